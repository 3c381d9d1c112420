"""The processes, what they depend on, and the hosts they run on."""

from typing import Final

from framegate.observability.catalogue.metric import SECONDS, Metric

BUILD_INFO: Final = Metric(
    "framegate_build_info", "gauge", "info", ("version", "python", "stage"),
    "1; what runs here",
    "nothing to do",
)  # fmt: skip
PROCESS_STARTS: Final = Metric(
    "framegate_process_starts_total", "counter", "starts", ("process",),
    "how often the supervisor of this box has started each process, the first time included",
    "rising: it dies and is started again; the log's action child_died has the exit code or signal",
)  # fmt: skip
DEPENDENCY_SECONDS: Final = Metric(
    "framegate_dependency_seconds", "histogram", "seconds", ("dependency", "operation"),
    "time of one call to what the process depends on, failures included: blobs; queue, but for receive, which waits for "
    "messages; database, where images pass (accept, claim, extend, complete, give_back, recover) and what pages read "
    "(page)",
    "one dependency slow: that is the cause of the slow stages; its own monitoring next",
    SECONDS,
)  # fmt: skip
DEPENDENCY_ERRORS: Final = Metric(
    "framegate_dependency_errors_total", "counter", "calls", ("dependency", "operation"),
    "calls that failed because the dependency did not answer or refused",
    "rising: the breakers open and work waits; nothing is lost; repair the dependency",
)  # fmt: skip
DATABASE_CONNECTIONS: Final = Metric(
    "framegate_database_connections", "gauge", "connections", ("state",),
    "connections of this process: busy or idle",
    "busy at the pool's size: threads wait for connections; statements are slow or too many run",
    source="scrape",
)  # fmt: skip
BLOB_BYTES: Final = Metric(
    "framegate_blob_bytes_total", "counter", "bytes", ("operation",),
    "bytes read from (get) and written to (put, adopted uploads included) the blob store",
    "much read for few images: frames are prepared again; see framegate_attempts_ended_total",
)  # fmt: skip
HOUSEKEEPING_FAILURES: Final = Metric(
    "framegate_housekeeping_failures_total", "counter", "rounds", ("work",),
    "counts (conservation, workers, dead letters), deletions (blobs), seals (audit), looks at cameras, decisions (reviews), "
    "retention and looks for drift that failed",
    "framegate_images is old meanwhile; the sweeper's log says why: a long history needs a longer "
    "CONSERVATION_EVERY_S",
)  # fmt: skip
BLOBS_SWEPT: Final = Metric(
    "framegate_blobs_swept_total", "counter", "files", ("prefix",),
    "left-over files that were deleted",
    "nothing to do",
)  # fmt: skip
PARTS_ERASED: Final = Metric(
    "framegate_parts_erased_total", "counter", "parts", ("part",),
    "originals and metadata whose retention was over",
    "nothing to do: framegate retention show says how long what is kept",
)  # fmt: skip
RETENTION_OVERDUE_SECONDS: Final = Metric(
    "framegate_retention_overdue_seconds", "gauge", "seconds", (),
    "for how long the oldest of what is to be erased has been due: the daily look through what ended, or a file whose "
    "erasure is recorded",
    "above a day: the sweeper cannot delete, or is slower than images come; its log's action housekeeping_failed says why",
)  # fmt: skip
CPU_RATIO: Final = Metric(
    "framegate_host_cpu_ratio", "gauge", "ratio", (),
    "share of the host's CPU time in use between the last two scrapes",
    "above 0.9 for long: the host is full; more hosts or fewer processes on it",
    source="scrape",
)  # fmt: skip
HOST_MEMORY_AVAILABLE: Final = Metric(
    "framegate_host_memory_available_bytes", "gauge", "bytes", (),
    "memory that can still be given out without swapping",
    "near 0: the kernel will kill a process; fewer workers on this host",
    source="scrape",
)  # fmt: skip
DISK_FREE: Final = Metric(
    "framegate_disk_free_bytes", "gauge", "bytes", ("volume",),
    "free space where this process keeps data",
    "below FRAMEGATE_API__MIN_FREE_MB uploads are refused; shorten retention or add disk",
    source="scrape",
)  # fmt: skip
DISK_SIZE: Final = Metric(
    "framegate_disk_size_bytes", "gauge", "bytes", ("volume",),
    "size of that volume",
    "nothing to do",
    source="scrape",
)  # fmt: skip
GPU_UTILIZATION: Final = Metric(
    "framegate_gpu_utilization_ratio", "gauge", "ratio", ("gpu",),
    "share of the time in which the GPU worked (NVML)",
    "below 0.7 with a backlog: it waits for frames or batches are small; above 0.85 for long: no reserve, add a GPU",
    source="scrape",
)  # fmt: skip
GPU_MEMORY_USED: Final = Metric(
    "framegate_gpu_memory_used_bytes", "gauge", "bytes", ("gpu",),
    "device memory in use, of all processes",
    "near the total: fewer models at once, or smaller batches",
    source="scrape",
)  # fmt: skip
GPU_MEMORY_TOTAL: Final = Metric(
    "framegate_gpu_memory_total_bytes", "gauge", "bytes", ("gpu",),
    "device memory",
    "nothing to do",
    source="scrape",
)  # fmt: skip
GPU_POWER_WATTS: Final = Metric(
    "framegate_gpu_power_watts", "gauge", "watts", ("gpu",),
    "power that the GPU draws",
    "at the limit: it is slowed down; see framegate_gpu_throttled",
    source="scrape",
)  # fmt: skip
GPU_POWER_LIMIT_WATTS: Final = Metric(
    "framegate_gpu_power_limit_watts", "gauge", "watts", ("gpu",),
    "power that the GPU may draw",
    "nothing to do",
    source="scrape",
)  # fmt: skip
GPU_TEMPERATURE: Final = Metric(
    "framegate_gpu_temperature_celsius", "gauge", "celsius", ("gpu",),
    "temperature of the GPU's core",
    "above 85: air flow, dust, room; it slows down by itself",
    source="scrape",
)  # fmt: skip
GPU_THROTTLED: Final = Metric(
    "framegate_gpu_throttled", "gauge", "flag", ("gpu", "cause"),
    "1 while the clocks are lowered: for power, for heat, or (hardware) at once for either",
    "heat: cool it; power: it is busy, or its limit is low",
    source="scrape",
)  # fmt: skip
LOG_LINES: Final = Metric(
    "framegate_log_lines_total", "counter", "lines", ("level",),
    "lines logged",
    "error rising: docs/logs.md says what each action means",
    source="scrape",
)  # fmt: skip
SPANS: Final = Metric(
    "framegate_spans_total", "counter", "spans", ("result",),
    "spans of traces: exported, dropped or failed",
    "dropped or failed: the collector is away or slow; the pipeline is not affected",
)  # fmt: skip
