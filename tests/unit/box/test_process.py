import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from framegate.box import process
from framegate.box.signals import pin
from framegate.cli import run
from framegate.ingest import server
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.states import Stage
from framegate.observability.health import HealthServer
from framegate.settings import Settings


class FakeWorkers:
    """The table of processes; fails as often as it is told."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.reported = threading.Event()

    def report(self, *_: object) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.reported.set()

    def forget(self, _: str) -> None:
        pass


class FakeStores:
    def __init__(self, workers: FakeWorkers) -> None:
        self.workers, self.database = workers, SimpleNamespace(connections=lambda: (0, 0))

    def close(self) -> None:
        pass


class FakeService:
    """Runs until the process has told that it is ready."""

    trouble = ""

    def __init__(self, workers: FakeWorkers) -> None:
        self._workers = workers

    def run(self, stop: threading.Event) -> None:
        assert self._workers.reported.wait(20), "the process never reported"


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def run_gate(monkeypatch: pytest.MonkeyPatch, workers: FakeWorkers) -> int:
    monkeypatch.setattr(process, "_REPORT_S", 0.01)
    monkeypatch.setattr(process, "open_stores", lambda *_: FakeStores(workers))
    monkeypatch.setattr(process, "make_service", lambda *_: FakeService(workers))
    return process.run_stages([Stage.GATE], Settings(), "postgresql:///nowhere")


def test_a_process_starts_although_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_gate(monkeypatch, FakeWorkers(*(DependencyUnavailable("away") for _ in range(5)))) == 0


def test_a_report_that_fails_for_an_unforeseen_reason_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_gate(monkeypatch, FakeWorkers(*(ValueError("no such table") for _ in range(3)))) == 0


def test_the_api_is_ready_when_it_listens_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, str]] = []
    reasons: list[Callable[[], dict[str, str]]] = []

    def seen(*arguments: Any) -> Any:
        reasons.append(arguments[4])
        return nullcontext()

    def serve(*_: object, listens: Callable[[], None]) -> None:
        told.append(reasons[0]())
        listens()
        told.append(reasons[0]())

    monkeypatch.setattr(run, "open_stores", lambda *_: FakeStores(FakeWorkers()))
    monkeypatch.setattr(run, "seen_from_outside", seen)
    monkeypatch.setattr(run, "bucket_events", lambda *_: nullcontext())
    monkeypatch.setattr(run, "make_api", lambda *_: None)
    monkeypatch.setattr(server, "run_server", serve)
    assert run._serve(Settings(), "postgresql:///nowhere") == 0
    assert told == [{"ingest": "starting"}, {}]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins nothing")
@pytest.mark.parametrize(("number", "cpu"), [(0, 4), (1, 5), (2, 4), (None, None)])
def test_a_process_is_pinned_to_one_of_the_cpus_that_it_may_use(
    monkeypatch: pytest.MonkeyPatch, number: int | None, cpu: int | None
) -> None:
    pinned: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 4})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cpus: pinned.append(cpus))
    pin(number)
    assert pinned == ([] if cpu is None else [{cpu}])


_SIGNAL_IN_THE_LOCK = """
import signal, threading
from framegate.box.signals import stop_on_signals
stop = threading.Event()
stop_on_signals(stop)
with stop._cond:  # where the main thread is for an instant whenever it waits
    signal.raise_signal(signal.{name})
assert stop.wait(10)
print("stopped")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_stops_a_process_at_whatever_instant_it_comes(name: str) -> None:
    command = [sys.executable, "-c", _SIGNAL_IN_THE_LOCK.format(name=name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "stopped\n", done.stderr


def test_reasons_can_be_asked_while_stages_are_still_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = FakeWorkers()
    asked: list[dict[str, str]] = []
    reasons: list[Any] = []
    health = HealthServer

    def keep(render: Any, why: Any, *more: Any) -> Any:
        reasons.append(why)
        return health(render, why, *more)

    class Curious(FakeService):
        @property
        def trouble(self) -> str:  # type: ignore[override]
            return "new"

    def make(stage: Stage, *_: Any) -> FakeService:
        asked.append(reasons[0]())
        return Curious(workers)

    monkeypatch.setattr(process, "HealthServer", keep)
    monkeypatch.setattr(process, "open_stores", lambda *_: FakeStores(workers))
    monkeypatch.setattr(process, "make_service", make)
    assert process.run_stages([Stage.GATE, Stage.SWEEP], Settings(), "postgresql:///nowhere") == 0
    assert asked[0] == {"gate": "starting", "sweep": "starting"}
    assert asked[1] == {"gate": "new", "sweep": "starting"}
