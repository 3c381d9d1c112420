locals {
  alarm_actions = compact([var.alarm_topic_arn])
}

# Work waits and none is done. A long queue from which messages vanish is only slow.
resource "aws_cloudwatch_metric_alarm" "stuck" {
  for_each = local.queues

  alarm_name          = "${each.value}-stuck"
  alarm_description   = "The oldest message of ${each.value} is older than ${var.stuck_after_s} s and nothing was settled for five minutes: is its stage up? See /readyz of its workers."
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

resource "aws_cloudwatch_metric_alarm" "dead" {
  for_each = local.dead

  alarm_name          = "${each.value}-letters"
  alarm_description   = "Dead letters in ${each.value}: framegate dead-letters list says why each of them died."
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
  alarm_description   = "The database has less than ${var.storage_low_gib} GiB free and cannot grow fast enough: raise database_max_storage_gib."
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
