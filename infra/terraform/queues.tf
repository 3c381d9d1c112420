resource "aws_sqs_queue" "dead" {
  for_each = local.dead

  name                      = each.value
  message_retention_seconds = 14 * 24 * 3600
  receive_wait_time_seconds = 20
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "this" {
  for_each = local.queues

  name                       = each.value
  message_retention_seconds  = var.queue_retention_days * 24 * 3600
  receive_wait_time_seconds  = 20
  visibility_timeout_seconds = 60
  sqs_managed_sse_enabled    = true
  redrive_policy             = local.redrive[each.key]

  # SQS refuses a redrive policy whose target does not exist yet.
  depends_on = [aws_sqs_queue.dead]
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  for_each = local.redrive_allow

  queue_url            = aws_sqs_queue.dead[each.key].url
  redrive_allow_policy = each.value
}

resource "aws_sqs_queue_policy" "this" {
  for_each = local.queue_arns

  queue_url = aws_sqs_queue.this[each.key].url
  policy    = local.queue_policies[each.value]
}

resource "aws_sqs_queue_policy" "dead" {
  for_each = local.dead_arns

  queue_url = aws_sqs_queue.dead[each.key].url
  policy    = local.queue_policies[each.value]
}
