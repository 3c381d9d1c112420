"""What prometheus_client says about each process."""

from typing import Final

from framegate.observability.catalogue.metric import Metric

PROCESS_CPU: Final = Metric(
    "process_cpu_seconds_total", "counter", "seconds", (),
    "time that the process spent on CPUs, in user and system mode",
    "rate near 1: one thread is the limit of this process; more processes",
    source="client",
)  # fmt: skip
PROCESS_RESIDENT: Final = Metric(
    "process_resident_memory_bytes", "gauge", "bytes", (),
    "memory of the process that is in RAM",
    "rising for days: a leak; keep the logs, restart it, report it",
    source="client",
)  # fmt: skip
PROCESS_VIRTUAL: Final = Metric(
    "process_virtual_memory_bytes", "gauge", "bytes", (),
    "memory that the process has mapped",
    "nothing to do: much of it is never touched",
    source="client",
)  # fmt: skip
PROCESS_START: Final = Metric(
    "process_start_time_seconds", "gauge", "seconds", (),
    "when the process started, since 1970",
    "changing often: it dies and is started again; the log before that says why",
    source="client",
)  # fmt: skip
PROCESS_OPEN_FDS: Final = Metric(
    "process_open_fds", "gauge", "files", (),
    "open files and connections",
    "near process_max_fds: raise the limit, or a peer leaves connections open",
    source="client",
)  # fmt: skip
PROCESS_MAX_FDS: Final = Metric(
    "process_max_fds", "gauge", "files", (),
    "how many may be open",
    "nothing to do",
    source="client",
)  # fmt: skip
GC_COLLECTIONS: Final = Metric(
    "python_gc_collections_total", "counter", "collections", ("generation",),
    "runs of Python's garbage collector",
    "nothing to do",
    source="client",
)  # fmt: skip
GC_COLLECTED: Final = Metric(
    "python_gc_objects_collected_total", "counter", "objects", ("generation",),
    "objects that it freed",
    "nothing to do",
    source="client",
)  # fmt: skip
GC_UNCOLLECTABLE: Final = Metric(
    "python_gc_objects_uncollectable_total", "counter", "objects", ("generation",),
    "objects that it could not free",
    "rising: a bug in a library; report it",
    source="client",
)  # fmt: skip
PYTHON_INFO: Final = Metric(
    "python_info", "gauge", "info", ("version", "implementation", "major", "minor", "patchlevel"),
    "1; the Python that runs here",
    "nothing to do",
    source="client",
)  # fmt: skip
