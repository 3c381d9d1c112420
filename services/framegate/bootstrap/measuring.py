"""What every process tells of itself and its host when it is scraped."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
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
    """Of a process that runs `stages`. GPUs are read by inference alone: others share its host."""
    for stage in stages:
        metrics.set(BUILD_INFO, 1, version=__version__, python=platform.python_version(), stage=str(stage))
    collect_process(metrics.registry)
    for read in (HostCpu(), host_memory, connections(database.connections), log_lines):
        metrics.at_scrape(read)
    # What may hang: a volume of another host, and a sick driver.
    beside = [BackgroundReadings(disks({name: path})) for name, path in _volumes(settings).items()]
    if Stage.INFERENCE in stages:
        from framegate.adapters.nvml import Nvml

        beside.append(BackgroundReadings(Nvml(visible=settings.cuda_visible_devices)))
    metrics.at_scrape(lambda: chain.from_iterable(readings() for readings in beside))
    with ExitStack() as reading:
        for readings in beside:
            reading.enter_context(readings)
        yield


def _volumes(settings: Settings) -> dict[str, Path]:
    volumes = {"data": settings.data}
    if settings.model_cache is not None:
        volumes["model_cache"] = settings.model_cache
    return volumes
