# What is watched, as data; alarms.tf makes it.

locals {
  alarm_actions = compact([var.alarm_topic_arn])

  # Bulk images may wait for the night.
  late_after_s = { for queue in keys(local.queues) : queue => endswith(queue, "-bulk") ? var.bulk_late_after_s : var.late_after_s }

  # Free storage has an alarm of its own, which looks every minute. By the last part of the alarm's name.
  database_alarms = {
    cpu = {
      meaning    = "The database was busier than ${var.database_cpu_high_percent} % for 15 minutes, so that every stage waits for it."
      metric     = "CPUUtilization"
      comparison = "GreaterThanThreshold"
      threshold  = var.database_cpu_high_percent
    }
    memory = {
      meaning    = "The database has had less than ${var.database_memory_low_mib} MiB of memory to spare for 15 minutes: it soon swaps or is killed."
      metric     = "FreeableMemory"
      comparison = "LessThanThreshold"
      threshold  = var.database_memory_low_mib * 1024 * 1024
    }
    connections = {
      meaning    = "More than ${var.database_connections_high} connections to the database are open; at max_connections further pods cannot start."
      metric     = "DatabaseConnections"
      comparison = "GreaterThanThreshold"
      threshold  = var.database_connections_high
    }
  }

  # Nothing where nothing is named.
  load_balancers = toset(compact([var.load_balancer]))
  watched_stages = toset([for stage in keys(local.stages) : stage if var.cluster_name != null])

  request_counts = [
    { id = "taken", metric = "RequestCount" },
    { id = "ours", metric = "HTTPCode_Target_5XX_Count" },
    { id = "its", metric = "HTTPCode_ELB_5XX_Count" },
  ]
  replica_counts = [
    { id = "wanted", metric = "replicas_desired" },
    { id = "ready", metric = "replicas_ready" },
  ]
}
