variable "name" {
  description = "Put before the name of everything; queues are called <name>-<message>-<lane>."
  type        = string
  default     = "framegate"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,29}[a-z0-9]$", var.name))
    error_message = "name has 2 to 31 lower-case letters, digits and dashes, begins with a letter and does not end with a dash."
  }
}

variable "region" {
  description = "The AWS region, for example eu-central-1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is the name of an AWS region, for example eu-central-1."
  }
}

variable "tags" {
  description = "Tags of everything, beside `application`."
  type        = map(string)
  default     = {}
}

variable "kms_key_arn" {
  description = "KMS key of the bucket, the database, its password and the images in ECR; null: keys that AWS manages."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn is the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not of an alias."
  }
}

# Queues

variable "max_receive_count" {
  description = "Receives after which SQS itself moves a message to the dead letters. Far above the pipeline's own limit of attempts (FRAMEGATE_WORKER__LAST_ATTEMPT): waiting for a dependency burns receives, too."
  type        = number
  default     = 50

  validation {
    condition     = var.max_receive_count >= 20 && var.max_receive_count <= 1000
    error_message = "max_receive_count is 20 to 1000."
  }
}

variable "queue_retention_days" {
  description = "How long a queue keeps a message that nobody settles. The dead letters' 14 days count from the first send, so this must be less."
  type        = number
  default     = 4

  validation {
    condition     = var.queue_retention_days >= 1 && var.queue_retention_days <= 10
    error_message = "queue_retention_days is 1 to 10, so that dead letters can be looked at for four days at least."
  }
}

# Bucket

variable "bucket" {
  description = "Name of the bucket; null: <name>-<account>-<region>."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket has 3 to 63 lower-case letters, digits, dots and dashes."
  }
}

variable "event_prefixes" {
  description = "Prefixes besides uploads/ in which others put pictures that Framegate shall inspect. It reads them and deletes nothing there."
  type        = set(string)
  default     = []

  validation {
    condition = alltrue([
      for prefix in var.event_prefixes :
      can(regex("^[A-Za-z0-9_./-]+/$", prefix)) && !can(regex("^(originals|prepared|models|uploads)/", prefix))
    ])
    error_message = "event_prefixes end with a slash and lie outside originals/, prepared/, models/ and uploads/."
  }
}

variable "hook_topic_arns" {
  description = "Topics of Amazon SNS that alerts may be published to; which of them are endpoints, `framegate hooks` says."
  type        = list(string)
  default     = []
}

variable "eventbridge" {
  description = "Whether the bucket sends its events to EventBridge, too, for other consumers."
  type        = bool
  default     = false
}

variable "upload_origins" {
  description = "Origins (https://host) of pages from which browsers upload with a presigned form; empty: none, no CORS."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.upload_origins : can(regex("^https?://[^/*]+$", origin))])
    error_message = "upload_origins are whole origins without a path or a wildcard, for example https://inspect.example.com."
  }
}

variable "originals_archive_days" {
  description = "Days after which originals move to originals_archive_class; null: never."
  type        = number
  default     = 90

  validation {
    condition     = var.originals_archive_days == null || try(var.originals_archive_days >= 30, false)
    error_message = "originals_archive_days is 30 or more (the least that STANDARD_IA allows), or null."
  }
}

variable "originals_archive_class" {
  description = "STANDARD_IA or GLACIER_IR. Both answer at once; classes that must be restored first would look like lost images."
  type        = string
  default     = "GLACIER_IR"

  validation {
    condition     = contains(["STANDARD_IA", "GLACIER_IR"], var.originals_archive_class)
    error_message = "originals_archive_class is STANDARD_IA or GLACIER_IR."
  }
}

variable "noncurrent_days" {
  description = "Days for which deleted or replaced originals and models can be brought back."
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_days >= 1
    error_message = "noncurrent_days is 1 or more."
  }
}

# Database

variable "vpc_id" {
  description = "The VPC of the database and its clients."
  type        = string
}

variable "private_subnet_ids" {
  description = "Private subnets for the database, in two availability zones at least."
  type        = list(string)

  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "private_subnet_ids names two subnets or more, in different availability zones: RDS demands it."
  }
}

variable "database_client_security_group_ids" {
  description = "Security groups (of the cluster's nodes or pods) that may connect to the database."
  type        = set(string)
}

variable "postgres_version" {
  description = "Major version of Postgres."
  type        = string
  default     = "18"

  validation {
    condition     = can(regex("^1[6-9]$", var.postgres_version))
    error_message = "postgres_version is a major version from 16 on; minor ones follow by themselves."
  }
}

variable "database_class" {
  description = "Instance class of the database."
  type        = string
  default     = "db.m7g.large"
}

variable "database_storage_gib" {
  description = "Storage at the start."
  type        = number
  default     = 100

  validation {
    condition     = var.database_storage_gib >= 20
    error_message = "database_storage_gib is 20 or more (the least of gp3)."
  }
}

variable "database_max_storage_gib" {
  description = "Up to which RDS enlarges the storage by itself."
  type        = number
  default     = 500

  validation {
    condition     = var.database_max_storage_gib >= ceil(var.database_storage_gib * 1.1)
    error_message = "database_max_storage_gib is at least a tenth more than database_storage_gib."
  }
}

variable "multi_az" {
  description = "A standby in another availability zone; about twice the price of the database."
  type        = bool
  default     = true
}

variable "backup_days" {
  description = "Days for which the database can be set back to any moment."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days is 1 to 35."
  }
}

variable "deletion_protection" {
  description = "Whether the database refuses to be deleted."
  type        = bool
  default     = true
}

# Images

variable "repositories" {
  description = "ECR repositories, <name>/<repository>."
  type        = set(string)
  default     = ["api", "worker-cpu", "worker-gpu"]
}

variable "images_kept" {
  description = "Images that each repository keeps, the newest."
  type        = number
  default     = 30

  validation {
    condition     = var.images_kept >= 2
    error_message = "images_kept is 2 or more: one must be there to go back to."
  }
}

# Roles

variable "oidc_provider_arn" {
  description = "ARN of the cluster's IAM OIDC provider."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/", var.oidc_provider_arn))
    error_message = "oidc_provider_arn looks like arn:aws:iam::ACCOUNT:oidc-provider/HOST/id/ID."
  }
}

variable "namespace" {
  description = "Kubernetes namespace of the stages."
  type        = string
  default     = "framegate"
}

variable "service_account_prefix" {
  description = "Put before the stage in the names of the Kubernetes service accounts: framegate-ingest, ..."
  type        = string
  default     = "framegate-"
}

variable "keda_service_account" {
  description = "Service account of KEDA's operator as NAMESPACE:NAME; it may take the role that counts messages."
  type        = string
  default     = "keda:keda-operator"

  validation {
    condition     = can(regex("^[a-z0-9-]+:[a-z0-9.-]+$", var.keda_service_account))
    error_message = "keda_service_account looks like NAMESPACE:NAME, for example keda:keda-operator."
  }
}

# Traces

variable "traces_endpoint" {
  description = "OTLP/HTTP URL of the collector that every stage tells its traces; empty: none are made."
  type        = string
  default     = ""

  validation {
    condition     = var.traces_endpoint == "" || can(regex("^https?://[^/]+", var.traces_endpoint))
    error_message = "traces_endpoint is an http or https URL, or empty."
  }
}

variable "traces_sample" {
  description = "Share of images that are traced."
  type        = number
  default     = 0.01

  validation {
    condition     = var.traces_sample >= 0 && var.traces_sample <= 1
    error_message = "traces_sample is 0 to 1."
  }
}

# Alarms

variable "alarm_topic_arn" {
  description = "SNS topic that hears of every alarm and its end; null: alarms are only shown."
  type        = string
  default     = null
}

variable "stuck_after_s" {
  description = "Age of the oldest message above which a queue from which nothing was deleted for five minutes counts as stuck, seconds."
  type        = number
  default     = 300

  validation {
    condition     = var.stuck_after_s >= 60
    error_message = "stuck_after_s is 60 or more."
  }
}

variable "storage_low_gib" {
  description = "Free storage of the database below which an alarm is raised."
  type        = number
  default     = 10

  validation {
    condition     = var.storage_low_gib >= 1 && var.storage_low_gib < var.database_storage_gib
    error_message = "storage_low_gib is 1 or more and less than database_storage_gib."
  }
}

variable "runbook_url" {
  description = "Address of docs/runbook.md, to which every alarm leads; as --runbook of infra.monitoring.rules."
  type        = string
  default     = "docs/runbook.md"
}

variable "late_after_s" {
  description = "Age of the oldest message above which a queue counts as behind, seconds; for bulk: bulk_late_after_s."
  type        = number
  default     = 900

  validation {
    condition     = var.late_after_s >= 60
    error_message = "late_after_s is 60 or more."
  }
}

variable "bulk_late_after_s" {
  description = "The same for the bulk lane."
  type        = number
  default     = 21600

  validation {
    condition     = var.bulk_late_after_s >= var.late_after_s
    error_message = "bulk_late_after_s is late_after_s or more."
  }
}

variable "database_cpu_high_percent" {
  description = "How busy the database may be for 15 minutes, percent of its processors."
  type        = number
  default     = 90

  validation {
    condition     = var.database_cpu_high_percent > 0 && var.database_cpu_high_percent < 100
    error_message = "database_cpu_high_percent is between 0 and 100."
  }
}

variable "database_memory_low_mib" {
  description = "Memory that the database shall have to spare, MiB."
  type        = number
  default     = 512

  validation {
    condition     = var.database_memory_low_mib >= 64
    error_message = "database_memory_low_mib is 64 or more."
  }
}

variable "database_connections_high" {
  description = "Connections to the database above which an alarm is raised. RDS allows the instance's bytes of memory / 9531392, about 900 with 8 GiB: change it with database_class."
  type        = number
  default     = 600

  validation {
    condition     = var.database_connections_high >= 10
    error_message = "database_connections_high is 10 or more."
  }
}

variable "load_balancer" {
  description = "The Application Load Balancer before ingest, the end of its ARN from app/ on; null: no alarms about requests."
  type        = string
  default     = null

  validation {
    condition     = var.load_balancer == null || can(regex("^app/[^/]+/[0-9a-f]+$", var.load_balancer))
    error_message = "load_balancer is the end of an ARN, for example app/framegate/0123456789abcdef."
  }
}

variable "latency_high_s" {
  description = "Seconds for which one request in a hundred may wait."
  type        = number
  default     = 1

  validation {
    condition     = var.latency_high_s > 0
    error_message = "latency_high_s is above 0."
  }
}

variable "cluster_name" {
  description = "The EKS cluster, if Container Insights with enhanced observability watches it; null: no alarms about pods."
  type        = string
  default     = null

  validation {
    condition     = var.cluster_name == null || can(regex("^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$", var.cluster_name))
    error_message = "cluster_name is the name of an EKS cluster."
  }
}
