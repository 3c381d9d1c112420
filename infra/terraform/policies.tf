# Who may do what, as data; roles.tf, queues.tf and bucket.tf attach it.

locals {
  keep_actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
  find_actions = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"]

  consumed = { for stage, row in local.stages : stage => flatten([for message in row.consumes : local.queues_of[message]]) }
  sent_to  = { for stage, row in local.stages : stage => flatten([for message in row.sends : local.queues_of[message]]) }
  # What a stage sends to, in ARNs: other stages' queues, and the dead letters of its own.
  targets = {
    for stage, row in local.stages : stage => concat(
      [for queue in local.sent_to[stage] : local.queue_arns[queue]],
      [for queue in local.consumed[stage] : local.dead_arns[queue]],
    )
  }

  # One policy for each stage; a statement about nothing is left out.
  statements = {
    for stage, row in local.stages : stage => [
      for statement in [
        {
          Sid      = "Consume"
          Effect   = "Allow"
          Action   = local.keep_actions
          Resource = [for queue in local.consumed[stage] : local.queue_arns[queue]]
        },
        {
          Sid      = "Send"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = local.targets[stage]
        },
        {
          Sid      = "FindAndMeasure"
          Effect   = "Allow"
          Action   = local.find_actions
          Resource = concat([for queue in local.consumed[stage] : local.queue_arns[queue]], local.targets[stage])
        },
        {
          # People look at dead letters, and send them back, on a page or over the API.
          Sid      = "HandleDeadLetters"
          Effect   = "Allow"
          Action   = concat(local.keep_actions, local.find_actions)
          Resource = stage == "ingest" ? values(local.dead_arns) : []
        },
        {
          Sid      = "SendThemBack"
          Effect   = "Allow"
          Action   = concat(["sqs:SendMessage"], local.find_actions)
          Resource = stage == "ingest" ? values(local.queue_arns) : []
        },
        {
          Sid      = "Read"
          Effect   = "Allow"
          Action   = ["s3:GetObject"]
          Resource = [for prefix in row.reads : "${local.bucket_arn}/${prefix}*"]
        },
        {
          Sid      = "ReadVersions"
          Effect   = "Allow"
          Action   = ["s3:GetObjectVersion"]
          Resource = [for prefix in row.reads_versions : "${local.bucket_arn}/${prefix}*"]
        },
        {
          Sid      = "Write"
          Effect   = "Allow"
          Action   = ["s3:PutObject"]
          Resource = [for prefix in row.writes : "${local.bucket_arn}/${prefix}*"]
        },
        {
          Sid      = "Delete"
          Effect   = "Allow"
          Action   = ["s3:DeleteObject"]
          Resource = [for prefix in row.deletes : "${local.bucket_arn}/${prefix}*"]
        },
        {
          # Of all queues, so that people see what waits for them.
          Sid      = "CountDeadLetters"
          Effect   = "Allow"
          Action   = local.find_actions
          Resource = stage == "sweep" ? values(local.dead_arns) : []
        },
        {
          # ingest tries an endpoint when somebody asks it to.
          Sid      = "PublishAlerts"
          Effect   = "Allow"
          Action   = ["sns:Publish"]
          Resource = contains(["alerts", "ingest"], stage) ? var.hook_topic_arns : []
        },
        {
          # Every process looks for its bucket when it starts. And without this S3 answers 403 for an object that is
          # gone, which looks like a lack of permission and not like a lost file. A condition on s3:prefix would take
          # both away again: neither request has a prefix.
          Sid      = "FindBucketAndTellGoneFromForbidden"
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = [local.bucket_arn]
        },
        {
          Sid       = "UseKey"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource  = length(concat(row.reads, row.writes)) > 0 ? compact([var.kms_key_arn]) : []
          Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
        },
      ] : statement if length(statement.Resource) > 0
    ]
  }

  # For people and jobs: framegate models import, verify, dead-letters list and redrive.
  operator_statements = [
    for statement in [
      {
        Sid      = "ReadDeadLetters"
        Effect   = "Allow"
        Action   = concat(local.keep_actions, local.find_actions)
        Resource = values(local.dead_arns)
      },
      {
        Sid      = "SendThemBack"
        Effect   = "Allow"
        Action   = concat(["sqs:SendMessage"], local.find_actions)
        Resource = values(local.queue_arns)
      },
      {
        Sid      = "ReadOriginalsAndModels"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${local.bucket_arn}/originals/*", "${local.bucket_arn}/models/*"]
      },
      {
        Sid      = "ImportModels"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = ["${local.bucket_arn}/models/*"]
      },
      {
        Sid      = "FindBucketAndTellGoneFromForbidden"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = [local.bucket_arn]
      },
      {
        Sid       = "UseKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = compact([var.kms_key_arn])
        Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
      },
    ] : statement if length(statement.Resource) > 0
  ]

  # For KEDA, which counts what waits for the stages. The bucket's events are ingest's, which its own load scales.
  keda_statements = [{
    Sid      = "CountMessages"
    Effect   = "Allow"
    Action   = ["sqs:GetQueueAttributes"]
    Resource = [for queue, arn in local.queue_arns : arn if queue != "bucket-events"]
  }]

  stage_policies  = { for stage, statements in local.statements : stage => jsonencode({ Version = "2012-10-17", Statement = statements }) }
  operator_policy = jsonencode({ Version = "2012-10-17", Statement = local.operator_statements })
  keda_policy     = jsonencode({ Version = "2012-10-17", Statement = local.keda_statements })

  # The issuer without https://, as the condition keys of its tokens are named.
  issuer = split(":oidc-provider/", var.oidc_provider_arn)[1]

  # Service accounts as NAMESPACE:NAME, by the last part of their role's name.
  subjects = merge(
    { for stage in keys(local.stages) : stage => "${var.namespace}:${var.service_account_prefix}${stage}" },
    { keda = var.keda_service_account },
  )

  trust_policies = {
    for role, subject in local.subjects : role => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Action    = "sts:AssumeRoleWithWebIdentity"
        Principal = { Federated = var.oidc_provider_arn }
        Condition = {
          StringEquals = {
            "${local.issuer}:aud" = "sts.amazonaws.com"
            "${local.issuer}:sub" = "system:serviceaccount:${subject}"
          }
        }
      }]
    })
  }

  # Of every queue and its dead letters: nothing in the clear; and the bucket alone, of this account alone, sends events.
  queue_policies = {
    for arn in concat(values(local.queue_arns), values(local.dead_arns)) : arn => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [{
          Sid       = "OnlyTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = arn
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        }],
        [for events in [local.queue_arns["bucket-events"]] : {
          Sid       = "EventsOfTheBucket"
          Effect    = "Allow"
          Principal = { Service = "s3.amazonaws.com" }
          Action    = "sqs:SendMessage"
          Resource  = arn
          Condition = {
            ArnEquals    = { "aws:SourceArn" = local.bucket_arn }
            StringEquals = { "aws:SourceAccount" = local.account_id }
          }
        } if arn == events],
      )
    })
  }

  bucket_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
