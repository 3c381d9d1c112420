output "environment" {
  description = "Environment variables of every stage; DATABASE_URL comes from a secret of your own."
  value       = local.environment
}

output "stage_environment" {
  description = "Environment variables that only one stage has, by stage."
  value       = local.stage_environment
}

output "role_arns" {
  description = "For the annotation eks.amazonaws.com/role-arn of each stage's service account."
  value       = { for stage, role in aws_iam_role.stage : stage => role.arn }
}

output "service_accounts" {
  description = "The Kubernetes service accounts that may take the roles, in the namespace of the variable."
  value       = { for stage in keys(local.stages) : stage => "${var.service_account_prefix}${stage}" }
}

output "keda_role_arn" {
  description = "The role with which KEDA counts messages, for its TriggerAuthentication."
  value       = aws_iam_role.keda.arn
}

output "operator_policy_arn" {
  description = "Attach it to whoever imports models and looks at dead letters."
  value       = aws_iam_policy.operator.arn
}

output "queue_urls" {
  description = "By the pipeline's name of the queue."
  value       = { for queue, made in aws_sqs_queue.this : queue => made.url }
}

output "dead_letter_queue_urls" {
  description = "By the pipeline's name of the source queue."
  value       = { for queue, made in aws_sqs_queue.dead : queue => made.url }
}

output "bucket" {
  description = "The bucket's name."
  value       = aws_s3_bucket.this.bucket
}

output "database_address" {
  description = "Host of the database; port 5432, database framegate, TLS only."
  value       = aws_db_instance.this.address
}

output "database_admin_secret_arn" {
  description = "The secret in Secrets Manager with the password of framegate_admin."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "repository_urls" {
  description = "Where images are pushed to."
  value       = { for name, made in aws_ecr_repository.this : name => made.repository_url }
}
