"""One worker process: its stages; and what the API's process has as well: a health server and a reporter."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from framegate.bootstrap import Service, Stores, make_service, measured_process, open_stores, open_tracing, worker_name
from framegate.box.signals import EXIT_RESTART, pin, stop_on_signals
from framegate.kernel.errors import ConfigurationError, FramegateError, Transient
from framegate.kernel.states import Stage
from framegate.observability.health import HealthServer
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.settings import Settings

_REPORT_S = 1.0


def run_stages(stages: Sequence[Stage], settings: Settings, database_url: str) -> int:
    """Runs until stopped; the exit code of the process."""
    pin(settings.pin_cpu)
    stop = threading.Event()
    stop_on_signals(stop)
    metrics, log = Metrics(settings.metrics.cameras), get_log()
    starting = dict.fromkeys(map(str, stages), "starting")
    services: dict[Stage, Service] = {}

    def reasons() -> dict[str, str]:
        return {
            **{s: r for s, r in starting.items() if r},
            **{str(s): t.trouble for s, t in list(services.items()) if t.trouble},  # others ask while stages are made
        }

    with ExitStack() as closing:
        stores = open_stores(settings, database_url, metrics)
        closing.callback(stores.close)
        tracing = closing.enter_context(open_tracing(settings, metrics, stages))
        port = closing.enter_context(seen_from_outside(stages, settings, stores, metrics, reasons))
        for stage in stages:
            name = worker_name(settings, stages)
            services[stage] = make_service(stage, settings, stores, metrics, tracing, closing, name)
            starting[str(stage)] = ""
        log.info("ready", action="ready", stages=[str(s) for s in stages], port=port)
        failed = _run_all(services, stop)
        log.info("stopped", action="stopped", failed=failed)
    return EXIT_RESTART if failed else 0


@contextmanager
def seen_from_outside(
    stages: Sequence[Stage],
    settings: Settings,
    stores: Stores,
    metrics: Metrics,
    reasons: Callable[[], dict[str, str]] = dict,
) -> Iterator[int]:
    """Serves metrics and health on the port that it gives, and tells the other processes of it, until the end.

    Raises `ConfigurationError` when something else listens there.
    """
    wanted = settings.worker
    try:
        server = HealthServer(metrics.render, reasons, wanted.host, wanted.port)
    except OSError as error:
        raise ConfigurationError(
            f"cannot serve metrics on {wanted.host}:{wanted.port}: {error.strerror or error}; choose another port with "
            "FRAMEGATE_WORKER__PORT (0: any free one)"
        ) from error
    with (
        measured_process(stages, settings, stores.database, metrics),
        server as health,
        _Reporter(stores, worker_name(settings, stages), stages, reasons, health.port),
    ):
        yield health.port


def _run_all(services: Mapping[Stage, Service], stop: threading.Event) -> bool:
    """Each service in a thread of its own; when one ends with an error, all stop. True when one did."""
    errors: list[BaseException] = []

    def body(service: Service) -> Callable[[], None]:
        def run() -> None:
            try:
                service.run(stop)
            except BaseException as error:
                errors.append(error)
                get_log().error("a stage died", action="stage_died", error=f"{type(error).__name__}: {error}")
            finally:
                stop.set()

        return run

    threads = [threading.Thread(target=body(s), name=str(stage)) for stage, s in services.items()]
    for thread in threads:
        thread.start()
    while not stop.wait(0.5):  # the main thread stays here so that signals are handled
        pass
    for thread in threads:
        thread.join()
    return bool(errors)


class _Reporter:
    """Tells the other processes, through the database, whether this one is ready."""

    def __init__(
        self, stores: Stores, name: str, stages: Sequence[Stage], reasons: Callable[[], dict[str, str]], port: int
    ) -> None:
        self._stores, self._name, self._stages, self._reasons, self._port = stores, name, stages, reasons, port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.report()
            except Transient as error:
                get_log().debug("cannot report", action="report_failed", error=str(error))
            except Exception:
                get_log().exception("cannot report", action="report_failed")
            self._stop.wait(_REPORT_S)
        with suppress(FramegateError):  # the row ages out by itself
            self._stores.workers.forget(self._name)

    def report(self) -> None:
        """Writes this process's row."""
        found = self._reasons()
        reason = "; ".join(f"{stage}: {why}" for stage, why in found.items())
        self._stores.workers.report(self._name, self._stages, not found, reason, self._port)
