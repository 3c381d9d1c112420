"""What is lost comes back, whatever the housekeeping is busy with."""

import threading
from datetime import timedelta
from typing import NoReturn

import pytest

from framegate.adapters.memory import FakeClock, MemoryBlobs, MemoryStore
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.ids import FacilityId
from framegate.kernel.states import ImageState, Stage
from framegate.observability.catalogue import (
    AUDIT_UNSEALED_SECONDS,
    DEAD_LETTERS_WAITING,
    HOUSEKEEPING_FAILURES,
    IMAGES_BY_END,
    IMAGES_REISSUED,
    QUEUE_DELAYED,
    QUEUE_IN_FLIGHT,
    QUEUE_READY,
    WORKERS,
)
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.pipeline import ALL_QUEUES
from framegate.ports.upkeep import Conservation
from framegate.sweep.canary import CanaryBounds, CanaryGuard
from framegate.sweep.sweeper import Sweeper, SweepOptions
from tests.contracts.examples import accept


class Site:
    def __init__(self, sealing: bool = False) -> None:
        self.clock, self.metrics = FakeClock(), Metrics()
        self.store = MemoryStore(self.clock)
        guard = CanaryGuard(self.store.registry, CanaryBounds(), self.metrics, get_log())
        queue = self.store.queue
        options = SweepOptions()
        audit = self.store.audit if sealing else None
        self.sweeper = Sweeper(
            self.store.upkeep,
            queue,
            MemoryBlobs(self.clock),
            guard,
            options,
            self.clock,
            self.metrics,
            audit=audit,
            workers=self.store.workers,
            dead=queue,
        )

    @property
    def reissued(self) -> float:
        return self.metrics.value(IMAGES_REISSUED, {"state": str(ImageState.RECEIVED)})

    def lose_messages(self) -> None:
        queue = self.store.queue
        queue.acknowledge(queue.receive(ALL_QUEUES, 10, timedelta(0), timedelta(seconds=60)))

    def counting(self, monkeypatch: pytest.MonkeyPatch, count: "Count") -> None:
        monkeypatch.setattr(self.store.upkeep, "take_stock", count)


class Count:
    """Of a history that takes for ever, or cannot be counted."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun, self.enough, self._error = threading.Event(), threading.Event(), error

    def __call__(self, facility: FacilityId | None = None) -> Conservation:
        self.begun.set()
        if self._error is not None:
            raise self._error
        self.enough.wait(60)
        return Conservation(0, 0, 0, 0, 0, 0, {})


def test_what_is_lost_is_sent_again_while_a_count_takes_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    site, count, stop = Site(), Count(), threading.Event()
    site.counting(monkeypatch, count)
    accept(site.store.intake)
    site.lose_messages()
    site.clock.advance(61)
    rounds = iter(range(3))

    def wait(event: threading.Event, _: float) -> None:
        if threading.current_thread() is not threading.main_thread():  # what is done beside
            event.wait(30)
            return
        assert count.begun.wait(30)
        if next(rounds) == 2:
            stop.set()

    monkeypatch.setattr(site.clock, "wait", wait)
    site.sweeper.run(stop)  # returns: who stops does not wait for the count either
    assert not count.enough.is_set()
    count.enough.set()
    assert site.reissued == 1


def test_a_count_that_fails_is_reported_and_leaves_the_sweeper_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    with monkeypatch.context() as patch:
        site.counting(patch, Count(DependencyUnavailable("statement timeout")))
        site.sweeper.keep_house()
    assert site.metrics.value(HOUSEKEEPING_FAILURES, {"work": "conservation"}) == 1
    assert site.sweeper.trouble == ""
    accept(site.store.intake)
    site.sweeper.keep_house()
    assert site.metrics.value(IMAGES_BY_END, {"end": "accepted"}) == 0  # not due yet
    site.clock.advance(31)
    site.sweeper.keep_house()
    assert site.metrics.value(IMAGES_BY_END, {"end": "accepted"}) == 1


def test_a_bug_in_the_housekeeping_is_reported_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(sealing=True)
    accept(site.store.intake)
    with monkeypatch.context() as broken:
        site.counting(broken, Count(KeyError("a bug")))
        broken.setattr(site.store.audit, "seal", Count(KeyError("another")))
        site.sweeper.keep_house()
        site.sweeper.seal()
    failed = [site.metrics.value(HOUSEKEEPING_FAILURES, {"work": work}) for work in ("conservation", "audit")]
    assert (failed, site.sweeper.trouble) == ([1, 1], "")
    site.sweeper.seal()
    assert len(site.store.state.seals) == 1


def test_the_audit_is_sealed_and_the_age_of_what_is_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(sealing=True)
    accept(site.store.intake)
    site.sweeper.seal()
    assert len(site.store.state.seals) == 1
    assert site.metrics.value(AUDIT_UNSEALED_SECONDS) == 0
    accept(site.store.intake)
    site.clock.advance(90)
    monkeypatch.setattr(site.store.audit, "seal", lambda _: 0)  # as while a transaction stays open
    site.sweeper.seal()
    assert site.metrics.value(AUDIT_UNSEALED_SECONDS) == 90


def test_a_seal_that_fails_is_reported_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(sealing=True)
    accept(site.store.intake)

    def fail(_: int) -> int:
        raise DependencyUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(site.store.audit, "seal", fail)
        site.sweeper.seal()
    assert site.metrics.value(HOUSEKEEPING_FAILURES, {"work": "audit"}) == 1
    site.sweeper.seal()
    assert len(site.store.state.seals) == 1


def test_messages_are_told_by_where_they_are() -> None:
    site = Site()
    for _ in range(3):
        accept(site.store.intake)
    queue = site.store.queue
    first, second = queue.receive(ALL_QUEUES, 2, timedelta(0), timedelta(seconds=60))
    queue.release([second], timedelta(seconds=30))
    site.sweeper.sweep()
    told = {"queue": first.queue}
    values = [site.metrics.value(metric, told) for metric in (QUEUE_READY, QUEUE_IN_FLIGHT, QUEUE_DELAYED)]
    assert values == [1, 1, 1]


def test_workers_are_told_for_every_stage_and_one_without_any_is_zero() -> None:
    site = Site()
    site.store.workers.report("a", [Stage.GATE, Stage.SWEEP], True, "", None)
    site.store.workers.report("b", [Stage.GATE], False, "it starts", None)

    def told(stage: Stage) -> list[float | None]:
        labels = [{"stage": str(stage), "state": state} for state in ("ready", "troubled")]
        return [site.metrics.registry.get_sample_value(WORKERS.name, one) for one in labels]

    site.sweeper.tell()
    assert (told(Stage.GATE), told(Stage.SWEEP), told(Stage.INFERENCE)) == ([1, 1], [1, 0], [0, 0])
    site.clock.advance(16)
    site.sweeper.tell()
    assert told(Stage.GATE) == [0, 0], "it said nothing for too long"


def test_dead_letters_are_told_until_somebody_has_sent_them_back() -> None:
    site = Site()
    accept(site.store.intake)
    queue = site.store.queue
    (delivery,) = queue.receive(ALL_QUEUES, 1, timedelta(0), timedelta(seconds=60))
    queue.dead_letter(delivery, "a reason")
    site.sweeper.tell()
    assert site.metrics.value(DEAD_LETTERS_WAITING, {"queue": delivery.queue}) == 1
    queue.redrive()
    site.clock.advance(15)
    site.sweeper.tell()
    assert site.metrics.value(DEAD_LETTERS_WAITING, {"queue": delivery.queue}) == 0


def test_what_cannot_be_counted_keeps_nothing_from_being_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> NoReturn:
        raise DependencyUnavailable("SQS queue framegate-frame-submitted-live-dead: access is denied")

    site = Site()
    monkeypatch.setattr(site.store.queue, "count_dead", refused)
    monkeypatch.setattr(site.store.workers, "statuses", refused)
    accept(site.store.intake)
    site.lose_messages()
    site.clock.advance(61)
    site.sweeper.sweep()
    assert site.reissued == 1
    site.sweeper.tell()
    failed = [site.metrics.value(HOUSEKEEPING_FAILURES, {"work": work}) for work in ("workers", "dead letters")]
    assert (failed, site.sweeper.trouble) == ([1, 1], "")


def test_dead_letters_of_bucket_events_are_told_too_until_there_are_none() -> None:
    site = Site()
    site.store.queue.send("bucket-events", ["{}"])
    (delivery,) = site.store.queue.receive(["bucket-events"], 1, timedelta(0), timedelta(seconds=60))
    site.store.queue.dead_letter(delivery, "no event")
    for expected in (1, 0):
        site.sweeper.tell()
        assert site.metrics.value(DEAD_LETTERS_WAITING, {"queue": "bucket-events"}) == expected
        site.store.queue.redrive()
        site.clock.advance(15)
