"""Processes, what they depend on, disks and GPUs."""

from typing import Final

from infra.monitoring.alarm import Alarm, Group, Panel, Recording, by_host

_BOARD: Final = "framegate-pipeline"
_GPUS: Final = "framegate-inference"

_BACKLOG: Final = 'max(min_over_time(framegate_queue_ready_messages{{queue=~"frame-prepared-.+"}}[{}])) > 0'
#: FRAMEGATE_API__MIN_FREE_MB as it is without a setting, in bytes.
MIN_FREE: Final = 2048 * 1024**2

DEPENDENCY_DOWN: Final = Alarm(
    "FramegateDependencyDown", "page",
    "sum by (dependency) (increase(framegate_dependency_errors_total[2m])) >= 10", "2m",
    '{{ printf "%.0f" $value }} calls to the {{ $labels.dependency }} failed within two minutes',
    Panel(_BOARD, "Dependencies: errors"),
)  # fmt: skip
DEPENDENCY_SLOW: Final = Alarm(
    "FramegateDependencySlow", "ticket",
    # Receiving waits for messages by design. A quantile of few calls is the slowest of them.
    """histogram_quantile(
  0.99, sum by (dependency, le) (rate(framegate_dependency_seconds_bucket{operation!="receive"}[5m]))
) > 1
and sum by (dependency) (increase(framegate_dependency_seconds_count{operation!="receive"}[5m])) >= 50""",
    "5m", "One call of a hundred to the {{ $labels.dependency }} takes longer than {{ $value | humanizeDuration }}",
    Panel(_BOARD, "Dependencies: time of a call"),
)  # fmt: skip
TARGET_DOWN: Final = Alarm(
    "FramegateTargetDown", "ticket",
    """max by (job, instance, stage) (last_over_time(framegate_build_info[6h])) and on (job, instance) up == 0""",
    "5m", "{{ $labels.instance }} ({{ $labels.stage }}) does not answer when it is scraped",
    Panel(_BOARD, "Processes that answer"),
)  # fmt: skip
RESTART_LOOP: Final = Alarm(
    "FramegateRestartLoop", "ticket",
    # Of a box the supervisor tells: a process that is started again has another port, and one that dies at once was never
    # scraped. Elsewhere a process may run several stages, each of which has a series.
    """sum by (job, instance, process) (increase(framegate_process_starts_total[15m])) >= 3
or
sum by (job, instance, process) (
  framegate_process_starts_total unless last_over_time(framegate_process_starts_total[15m] offset 15m)
) > 3
or
max by (job, instance, stage) (
  changes(process_start_time_seconds{process=""}[15m]) * on (job, instance) group_right framegate_build_info
) >= 3""",
    "0s",
    "{{ or $labels.process $labels.stage }} of {{ $labels.instance }} was started again "
    '{{ printf "%.0f" $value }} times within 15 minutes',
    Panel(_BOARD, "Starts of processes"),
)  # fmt: skip
HOUSEKEEPING_FAILING: Final = Alarm(
    "FramegateHousekeepingFailing", "ticket",
    "sum by (work) (increase(framegate_housekeeping_failures_total[30m])) >= 3", "5m",
    '{{ $labels.work }} failed {{ printf "%.0f" $value }} times within half an hour',
    Panel(_BOARD, "Housekeeping that failed"),
)  # fmt: skip
RETENTION_OVERDUE: Final = Alarm(
    "FramegateRetentionOverdue", "ticket", "max(framegate_retention_overdue_seconds) > seconds(1d)", "30m",
    "What is to be erased has been due for {{ $value | humanizeDuration }}", Panel(_BOARD, "Retention overdue"),
)  # fmt: skip
DISK_FULL: Final = Alarm(
    "FramegateDiskFull", "page",
    # FRAMEGATE_API__MIN_FREE_MB; a small volume is not full because it is small.
    f"framegate:disk_free:min < {MIN_FREE} and framegate:disk_free:ratio < 0.2", "1m",
    "{{ $value | humanize1024 }}B are free on the volume {{ $labels.volume }} of {{ $labels.host }}: uploads are refused",
    Panel(_BOARD, "Free disk space"),
)  # fmt: skip
DISK_FILLING: Final = Alarm(
    "FramegateDiskFilling", "page",
    "predict_linear(framegate:disk_free:min[1h], seconds(4h)) < 0 and framegate:disk_free:ratio < 0.4", "15m",
    "The volume {{ $labels.volume }} of {{ $labels.host }} is full within four hours",
    Panel(_BOARD, "Free disk space"),
)  # fmt: skip
DISK_LOW: Final = Alarm(
    "FramegateDiskLow", "ticket", "framegate:disk_free:ratio < 0.1", "15m",
    "{{ $value | humanizePercentage }} of the volume {{ $labels.volume }} of {{ $labels.host }} is free",
    Panel(_BOARD, "Free disk space"),
)  # fmt: skip
MEMORY_LOW: Final = Alarm(
    "FramegateMemoryLow", "ticket",
    f"min by (host) ({by_host('framegate_host_memory_available_bytes')}) < {256 * 1024**2}", "5m",
    "{{ $value | humanize1024 }}B of memory are left on {{ $labels.host }}", Panel(_BOARD, "Memory available"),
)  # fmt: skip
GPU_IDLE: Final = Alarm(
    "FramegateGpuIdle", "ticket",
    f"avg_over_time(framegate:gpu_utilization:ratio[10m]) < 0.3 and on () {_BACKLOG.format('10m')}", "10m",
    "GPU {{ $labels.gpu }} of {{ $labels.host }} works {{ $value | humanizePercentage }} of the time while frames wait",
    Panel(_GPUS, "GPU utilization"),
)  # fmt: skip
GPU_OUTSIDE_BAND: Final = Alarm(
    "FramegateGpuOutsideBand", "ticket",
    f"""avg_over_time(framegate:gpu_utilization:ratio[6h]) > 0.85
or
(avg_over_time(framegate:gpu_utilization:ratio[6h]) >= 0.3 < 0.7) and on () {_BACKLOG.format("6h")}""",
    "1h",
    "GPU {{ $labels.gpu }} of {{ $labels.host }} works {{ $value | humanizePercentage }} of the time for hours; 70 to 85 % "
    "is right",
    Panel(_GPUS, "GPU utilization"),
)  # fmt: skip
GPU_HOT: Final = Alarm(
    "FramegateGpuHot", "ticket",
    f"""framegate:gpu_temperature:celsius > 85
or
framegate:gpu_temperature:celsius and on (host, gpu)
  max by (host, gpu) ({by_host('framegate_gpu_throttled{cause="heat"}')}) == 1""",
    "5m", "GPU {{ $labels.gpu }} of {{ $labels.host }} has {{ $value }} °C, or is slowed down because of heat",
    Panel(_GPUS, "GPU temperature"),
)  # fmt: skip
GPU_MEMORY_FULL: Final = Alarm(
    "FramegateGpuMemoryFull", "ticket",
    f"""max by (host, gpu) ({by_host("framegate_gpu_memory_used_bytes")})
/ max by (host, gpu) ({by_host("framegate_gpu_memory_total_bytes")}) > 0.95""",
    "15m", "{{ $value | humanizePercentage }} of the memory of GPU {{ $labels.gpu }} of {{ $labels.host }} is in use",
    Panel(_GPUS, "GPU memory"),
)  # fmt: skip

GROUP: Final = Group(
    "host",
    (
        Recording("framegate:disk_free:min", f"min by (host, volume) ({by_host('framegate_disk_free_bytes')})"),
        Recording(
            "framegate:disk_free:ratio",
            f"framegate:disk_free:min / max by (host, volume) ({by_host('framegate_disk_size_bytes')})",
        ),
        Recording(
            "framegate:gpu_utilization:ratio", f"max by (host, gpu) ({by_host('framegate_gpu_utilization_ratio')})"
        ),
        Recording(
            "framegate:gpu_temperature:celsius", f"max by (host, gpu) ({by_host('framegate_gpu_temperature_celsius')})"
        ),
    ),
    (
        DEPENDENCY_DOWN, DEPENDENCY_SLOW, TARGET_DOWN, RESTART_LOOP, HOUSEKEEPING_FAILING, RETENTION_OVERDUE,
        DISK_FULL, DISK_FILLING, DISK_LOW, MEMORY_LOW, GPU_IDLE, GPU_OUTSIDE_BAND, GPU_HOT, GPU_MEMORY_FULL,
    ),
)  # fmt: skip
