"""What every process tells of itself and its host when it is scraped."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from framegate import __version__
from framegate.adapters.postgres import Database
from framegate.kernel.states import Stage
from framegate.observability.background import BackgroundReadings
from framegate.observability.catalogue import BUILD_INFO
from framegate.observability.host import HostCpu, collect_process, connections, disks, host_memory, log_lines
from framegate.observability.metrics import Metrics
from framegate.settings import Settings


@contextmanager
def measured_process(
    stages: Sequence[Stage], settings: Settings, database: Database, metrics: Metrics
) -> Iterator[None]:
    """Of a process that runs `stages`; GPUs are read until the end, and by inference alone: others share its host."""
    for stage in stages:
        metrics.set(BUILD_INFO, 1, version=__version__, python=platform.python_version(), stage=str(stage))
    collect_process(metrics.registry)
    for read in (HostCpu(), host_memory, disks(_volumes(settings)), connections(database.connections), log_lines):
        metrics.at_scrape(read)
    if Stage.INFERENCE not in stages:
        yield
        return
    from framegate.adapters.nvml import Nvml

    gpus = BackgroundReadings(Nvml())
    metrics.at_scrape(gpus)
    with gpus:
        yield


def _volumes(settings: Settings) -> dict[str, Path]:
    volumes = {"data": settings.data}
    if settings.model_cache is not None:
        volumes["model_cache"] = settings.model_cache
    return volumes
