"""What a process and its host say about themselves when somebody scrapes. What this system cannot tell is absent."""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from framegate.observability.catalogue import (
    CPU_RATIO,
    DATABASE_CONNECTIONS,
    DISK_FREE,
    DISK_SIZE,
    HOST_MEMORY_AVAILABLE,
    LOG_LINES,
)
from framegate.observability.logs import lines_logged
from framegate.observability.readings import GuardedCollector, Read, Reading

_PROC: Final = Path("/proc")


def collect_process(registry: CollectorRegistry) -> None:
    """Adds what prometheus_client itself says about this process: the group `client` of the catalogue."""
    for collector in (ProcessCollector(registry=None), PlatformCollector(registry=None)):
        registry.register(GuardedCollector(collector.collect))
    GCCollector(registry)


class HostCpu:
    """Compares each reading with the one before. Thread-safe."""

    def __init__(self, proc: Path = _PROC) -> None:
        """Where there is no `proc`, or none that may be read, it says nothing."""
        self._file, self._lock = proc / "stat", threading.Lock()
        self._last: tuple[int, int] | None = None
        with suppress(OSError):  # some sandboxes hide it, and the process is to start all the same
            self._last = self._ticks()

    def __call__(self) -> Iterator[Reading]:
        """Nothing where no time has passed."""
        if self._last is None:
            return
        with self._lock:
            (busy_before, all_before), (busy, everything) = self._last, self._ticks()
            self._last = busy, everything
        if everything > all_before:
            yield Reading(CPU_RATIO, min(1.0, max(0.0, (busy - busy_before) / (everything - all_before))))

    def _ticks(self) -> tuple[int, int]:
        """Busy and all, since the start of the host: proc_pid_stat(5)."""
        with self._file.open("rb") as file:
            # user, nice, system, idle, iowait, irq, softirq, steal; what guests use is in user and nice as well.
            ticks = [int(field) for field in file.readline().split()[1:9]]
        return sum(ticks) - sum(ticks[3:5]), sum(ticks)


def host_memory(proc: Path = _PROC) -> Iterator[Reading]:
    """`MemAvailable` of proc_meminfo(5)."""
    try:
        text = (proc / "meminfo").read_bytes()
    except FileNotFoundError:
        return
    for line in text.splitlines():
        name, _, value = line.partition(b":")
        if name == b"MemAvailable":
            yield Reading(HOST_MEMORY_AVAILABLE, int(value.split()[0]) * 1024)


def disks(volumes: Mapping[str, Path]) -> Read:
    """By the label of each volume. One that is not there yet is absent."""

    def read() -> Iterator[Reading]:
        for name, path in volumes.items():
            try:
                usage = shutil.disk_usage(path)
            except OSError:
                continue
            yield Reading(DISK_FREE, usage.free, {"volume": name})
            yield Reading(DISK_SIZE, usage.total, {"volume": name})

    return read


def connections(count: Callable[[], tuple[int, int]]) -> Read:
    """`count` gives those that are busy and those that are idle."""

    def read() -> Iterator[Reading]:
        for state, number in zip(("busy", "idle"), count(), strict=True):
            yield Reading(DATABASE_CONNECTIONS, number, {"state": state})

    return read


def log_lines() -> Iterator[Reading]:
    """Of this process since it started."""
    for level, lines in lines_logged().items():
        yield Reading(LOG_LINES, lines, {"level": level})
