# These also work when no pod does. Each names its section of the runbook, where a sentence is not enough.

# Work waits and none is done. A long queue from which messages vanish is only slow.
resource "aws_cloudwatch_metric_alarm" "stuck" {
  for_each = local.queues

  alarm_name          = "${each.value}-stuck"
  alarm_description   = "The oldest message of ${each.value} is older than ${var.stuck_after_s} s and nothing was settled for five minutes: is its stage up? ${var.runbook_url}#awsqueuestuck"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  evaluation_periods  = 5
  datapoints_to_alarm = 5
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions

  metric_query {
    id          = "stuck"
    label       = "old messages and no deletes"
    expression  = "IF(age > ${var.stuck_after_s} AND FILL(deleted, 0) == 0, 1, 0)"
    return_data = true
  }

  metric_query {
    id = "age"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = each.value }
      period      = 60
      stat        = "Maximum"
    }
  }

  metric_query {
    id = "deleted"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "NumberOfMessagesDeleted"
      dimensions  = { QueueName = each.value }
      period      = 60
      stat        = "Sum"
    }
  }
}

# Work is done, but more comes. SQS leaves out of the age what was received three times.
resource "aws_cloudwatch_metric_alarm" "behind" {
  for_each = local.late_after_s

  alarm_name          = "${local.queues[each.key]}-behind"
  alarm_description   = "The oldest message of ${local.queues[each.key]} has waited for more than ${each.value} s: its stage is slower than images come. ${var.runbook_url}#awsqueuebehind"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = local.queues[each.key] }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "dead" {
  for_each = local.dead

  alarm_name          = "${each.value}-letters"
  alarm_description   = "Dead letters in ${each.value}: framegate dead-letters list says why each of them died. ${var.runbook_url}#awsdeadletters"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "storage" {
  alarm_name          = "${var.name}-database-storage"
  alarm_description   = "The database has less than ${var.storage_low_gib} GiB free and cannot grow fast enough: raise database_max_storage_gib. ${var.runbook_url}#awsdatabasestorage"
  namespace           = "AWS/RDS"
  metric_name         = "FreeStorageSpace"
  dimensions          = { DBInstanceIdentifier = aws_db_instance.this.identifier }
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "LessThanThreshold"
  threshold           = var.storage_low_gib * 1024 * 1024 * 1024
  treat_missing_data  = "missing"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "database" {
  for_each = local.database_alarms

  alarm_name          = "${var.name}-database-${each.key}"
  alarm_description   = "${each.value.meaning} ${var.runbook_url}#awsdatabase${each.key}"
  namespace           = "AWS/RDS"
  metric_name         = each.value.metric
  dimensions          = { DBInstanceIdentifier = aws_db_instance.this.identifier }
  statistic           = "Average"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = "missing"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

# The load balancer counts as requests only those for which it found a target: with no pod left, all are its own errors.
resource "aws_cloudwatch_metric_alarm" "api_errors" {
  for_each = local.load_balancers

  alarm_name          = "${var.name}-api-errors"
  alarm_description   = "More than 1 % of requests end with a status from 500 on, through the API's fault or for want of a pod that takes them. ${var.runbook_url}#awsapierrors"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions

  metric_query {
    id          = "high"
    label       = "ten errors and more than 1 %"
    expression  = "IF(errors >= 10 AND errors > 0.01 * all, 1, 0)"
    return_data = true
  }

  metric_query {
    id         = "errors"
    expression = "FILL(ours, 0) + FILL(its, 0)"
  }

  metric_query {
    id         = "all"
    expression = "FILL(taken, 0) + FILL(its, 0)"
  }

  dynamic "metric_query" {
    for_each = local.request_counts

    content {
      id = metric_query.value.id

      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_query.value.metric
        dimensions  = { LoadBalancer = each.value }
        period      = 300
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "api_latency" {
  for_each = local.load_balancers

  alarm_name                            = "${var.name}-api-latency"
  alarm_description                     = "One request in a hundred waits for its answer for more than ${var.latency_high_s} s. ${var.runbook_url}#awsapilatency"
  namespace                             = "AWS/ApplicationELB"
  metric_name                           = "TargetResponseTime"
  dimensions                            = { LoadBalancer = each.value }
  extended_statistic                    = "p99"
  evaluate_low_sample_count_percentiles = "ignore"
  period                                = 300
  evaluation_periods                    = 3
  comparison_operator                   = "GreaterThanThreshold"
  threshold                             = var.latency_high_s
  treat_missing_data                    = "notBreaching"
  alarm_actions                         = local.alarm_actions
  ok_actions                            = local.alarm_actions
}

# Longer than a rollout, a new node and building a TensorRT engine take together.
resource "aws_cloudwatch_metric_alarm" "pods" {
  for_each = local.watched_stages

  alarm_name          = "${var.name}-${each.value}-pods"
  alarm_description   = "For 20 minutes fewer pods of ${each.value} were ready than wanted: they do not start, or no node takes them. ${var.runbook_url}#awspodsmissing"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  evaluation_periods  = 20
  datapoints_to_alarm = 20
  treat_missing_data  = "missing"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions

  metric_query {
    id          = "missing"
    label       = "fewer pods than wanted"
    expression  = "IF(ready < wanted, 1, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.replica_counts

    content {
      id = metric_query.value.id

      metric {
        namespace   = "ContainerInsights"
        metric_name = metric_query.value.metric
        dimensions  = { ClusterName = var.cluster_name, Namespace = var.namespace, PodName = "${var.service_account_prefix}${each.value}" }
        period      = 60
        stat        = "Minimum"
      }
    }
  }
}
