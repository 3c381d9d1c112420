"""The embedded box: Postgres, the API and every stage on one machine, from one data directory."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import httpx

from framegate.bootstrap import (
    PUBLIC_URL_FILE,
    EmbeddedPostgres,
    adopt_model,
    check_queues,
    is_registered,
    load_manifest,
    migrate,
    open_stores,
)
from framegate.box.directory import prepare_data_dir
from framegate.box.launching import Launcher
from framegate.box.logfiles import BoxLog
from framegate.box.scraping import ScrapeTargets
from framegate.box.supervisor import ChildSpec, Supervisor
from framegate.environment import ONE_THREAD, child_environment
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.states import Stage
from framegate.observability.catalogue import PROCESS_STARTS
from framegate.observability.health import HealthServer
from framegate.observability.host import collect_process, log_lines
from framegate.observability.metrics import Metrics
from framegate.ports.overview import ALIVE
from framegate.settings import Settings


def check_port(host: str, port: int) -> None:
    """Raises `ConfigurationError` when something else listens there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {reason}; choose another port with --port"
            ) from error


def free_port() -> int:
    """A port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def child_specs(settings: Settings, data: Path, url: str) -> list[ChildSpec]:
    """One API, one preprocess, one pinned inference process for each core, one for gate and sweep, and one for alerts."""
    environment = child_environment(DATABASE_URL=url, FRAMEGATE_DATA=str(data), **ONE_THREAD)
    environment.pop("FRAMEGATE_MODEL", None)  # the children serve what is deployed
    environment |= {"FRAMEGATE_API__PORT": str(settings.api.port), "FRAMEGATE_API__HOST": settings.api.host}
    environment["FRAMEGATE_API__MIN_FREE_MB"] = str(settings.api.min_free_mb)
    environment["FRAMEGATE_WORKER__PORT"] = "0"  # one port cannot serve them all: each takes a free one
    environment.pop("DATABASE_URL_FILE", None)
    environment["FRAMEGATE_LOG_JSON"] = "true"  # whoever shows their lines writes them for people

    def spec(name: str, *arguments: str, **more: str) -> ChildSpec:
        return ChildSpec(name, arguments, {**environment, "FRAMEGATE_WORKER_NAME": f"box/{name}", **more})

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [
        spec("api", "run", Stage.INGEST),
        spec("gate", "run", Stage.GATE, Stage.SWEEP),
        spec("alerts", "run", Stage.ALERTS),
        *(spec(f"inference-{i}", "run", Stage.INFERENCE, FRAMEGATE_PIN_CPU=str(i)) for i in range(cores)),
        spec("preprocess", "run", Stage.PREPROCESS),
    ]


class Box:
    """A running box; made by `open_box`."""

    def __init__(self, settings: Settings, data: Path, url: str, supervisor: Supervisor) -> None:
        self.settings, self.data, self.database_url, self.supervisor = settings, data, url, supervisor

    @property
    def base_url(self) -> str:
        """Where the API listens."""
        host = self.settings.api.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.api.port}"

    def wait_ready(self, timeout_s: float, stop: threading.Event) -> bool:
        """Blocks until `/readyz` answers 200; False when stopped or out of time."""
        deadline = time.monotonic() + timeout_s
        with httpx.Client(timeout=2, trust_env=False) as client:
            while time.monotonic() < deadline and not stop.is_set():
                try:
                    if client.get(f"{self.base_url}/readyz").status_code == httpx.codes.OK:
                        return True
                except httpx.HTTPError:
                    pass  # not listening yet
                stop.wait(0.05)
        return False


def supervisor_metrics() -> Metrics:
    """Of this process; a child that dies before it was ever scraped is seen here alone."""
    metrics = Metrics()
    collect_process(metrics.registry)
    metrics.at_scrape(log_lines)
    return metrics


@contextmanager
def open_box(settings: Settings, launcher: Launcher, logs: BoxLog) -> Iterator[Box]:
    """Starts Postgres and prepares what the children need, whose lines go to `logs`; the caller runs `box.supervisor`."""
    data = prepare_data_dir(settings.data)
    if settings.model and not is_registered(settings.model):
        load_manifest(settings.model)  # a wrong model must fail here and now, before anything is started
    check_port(settings.api.host, settings.api.port)
    check_queues(settings, Stage)
    postgres = EmbeddedPostgres(data)
    with postgres.owned() as url:
        migrate(url)
        with closing(open_stores(settings, url)) as stores:
            stores.workers.forget()
            adopt_model(settings.model_copy(update={"data": data}), stores, "operator")
        metrics = supervisor_metrics()

        def started(name: str) -> None:
            metrics.count(PROCESS_STARTS, process=name)

        specs = child_specs(settings, data, url)
        box = Box(
            settings, data, url, Supervisor(specs, launcher, logs.follow, postgres.ensure_running, on_start=started)
        )
        # For links in messages that commands of this box make.
        (data / PUBLIC_URL_FILE).write_text(box.base_url, "ascii")
        health = HealthServer(metrics.render, dict, settings.worker.host, 0)
        with closing(open_stores(settings, url)) as looking, health:
            alive = partial(looking.workers.statuses, ALIVE)
            with ScrapeTargets(data, settings.worker.host, alive, health.port):
                yield box
