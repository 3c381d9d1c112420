# The pipeline as data, as in services/framegate/pipeline.py; tests/architecture/test_terraform.py holds the two together.
# A new stage or message is one row here: its queues, dead letters, role and alarms follow.

locals {
  lanes = ["live", "bulk"]

  # consumes: received, deleted, kept; may be sent to the dead letters. sends: other queues it sends to.
  # reads, writes, deletes: prefixes of the bucket. reads_versions: events name a version of an object.
  stages = {
    # uploads/: a presigned form uploads with the rights of who signed it. originals/: superfluous ones are deleted.
    # models/: who orders a deployment over the API has it checked there first.
    ingest = {
      consumes       = ["bucket-events"]
      sends          = ["frame-submitted"]
      reads          = concat(["originals/", "models/"], tolist(local.event_prefixes))
      reads_versions = tolist(local.event_prefixes)
      writes         = ["originals/", "uploads/"]
      deletes        = ["originals/", "uploads/"]
    }
    # An image that it refuses goes straight to the gate.
    preprocess = {
      consumes       = ["frame-submitted"]
      sends          = ["frame-prepared", "frame-inspected"]
      reads          = ["originals/"]
      reads_versions = []
      writes         = ["prepared/"]
      deletes        = []
    }
    # A frame that is gone or was made for another model is prepared again.
    inference = {
      consumes       = ["frame-prepared"]
      sends          = ["frame-inspected", "frame-submitted"]
      reads          = ["prepared/", "models/"]
      reads_versions = []
      writes         = []
      deletes        = ["prepared/"]
    }
    # What is in doubt is looked at again.
    gate = {
      consumes       = ["frame-inspected"]
      sends          = ["frame-submitted"]
      reads          = []
      reads_versions = []
      writes         = []
      deletes        = []
    }
    # Its endpoints that are topics: var.hook_topic_arns.
    alerts = {
      consumes       = []
      sends          = []
      reads          = []
      reads_versions = []
      writes         = []
      deletes        = []
    }
    # Sends again what is overdue in any state, and measures every queue. originals/, uploads/: what was kept long enough.
    sweep = {
      consumes       = []
      sends          = ["frame-submitted", "frame-prepared", "frame-inspected"]
      reads          = []
      reads_versions = []
      writes         = []
      deletes        = ["originals/", "uploads/", "prepared/"]
    }
  }

  queues_of = merge(
    {
      for message in distinct(flatten([for stage in local.stages : stage.sends])) :
      message => [for lane in local.lanes : "${message}-${lane}"]
    },
    { bucket-events = ["bucket-events"] },
  )

  queue_prefix = "${var.name}-"

  # By the name that pipeline.py uses; a dead letter queue has the same key as its source.
  queues     = { for queue in flatten(values(local.queues_of)) : queue => "${local.queue_prefix}${queue}" }
  dead       = { for queue, name in local.queues : queue => "${name}-dead" }
  queue_arns = { for queue, name in local.queues : queue => "${local.sqs_arn}:${name}" }
  dead_arns  = { for queue, name in local.dead : queue => "${local.sqs_arn}:${name}" }
  sqs_arn    = "arn:${local.partition}:sqs:${local.region}:${local.account_id}"

  redrive = {
    for queue, arn in local.dead_arns :
    queue => jsonencode({ deadLetterTargetArn = arn, maxReceiveCount = var.max_receive_count })
  }
  redrive_allow = {
    for queue, arn in local.queue_arns :
    queue => jsonencode({ redrivePermission = "byQueue", sourceQueueArns = [arn] })
  }

  bucket     = coalesce(var.bucket, "${var.name}-${local.account_id}-${local.region}")
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}"

  event_prefixes = setunion(["uploads/"], var.event_prefixes)

  # What every stage reads. DATABASE_URL is a secret and is not here.
  environment = {
    AWS_REGION                 = local.region
    FRAMEGATE_QUEUE__KIND      = "sqs"
    FRAMEGATE_QUEUE__PREFIX    = local.queue_prefix
    FRAMEGATE_BLOBS__KIND      = "s3"
    FRAMEGATE_BLOBS__BUCKET    = local.bucket
    FRAMEGATE_TRACES__ENDPOINT = var.traces_endpoint
    FRAMEGATE_TRACES__SAMPLE   = tostring(var.traces_sample)
    FRAMEGATE_WORKER__LEASE_S  = "60"
  }
  # What only some stages read. sweep: to count the dead letters.
  stage_environment = {
    for stage in ["ingest", "sweep"] : stage => { FRAMEGATE_EVENTS__QUEUE = local.queues["bucket-events"] }
  }
}
