"""The consumer of bucket events: acknowledged is what is durable, and nothing else."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from framegate.adapters.memory import FakeClock, MemoryBlobs, MemoryObjects, MemoryQueue, MemoryStore
from framegate.ingest.events import BucketEvents
from framegate.ingest.objects import ObjectIntake
from framegate.kernel.errors import DependencyUnavailable
from framegate.observability.catalogue import BUCKET_EVENTS, DEAD_LETTERS
from framegate.observability.metrics import Metrics
from framegate.ports.queue import Delivery
from tests.support.clocks import let_time_pass
from tests.support.pictures import jpeg

EVENTS = "bucket-events"
JPEG = jpeg(1)


def told(*keys: str, name: str = "ObjectCreated:Put") -> str:
    return json.dumps(
        {
            "Records": [
                {"eventName": name, "s3": {"bucket": {"name": "photos"}, "object": {"key": key, "eTag": key}}}
                for key in keys
            ]
        }
    )


class Reader(MemoryObjects):
    """`trouble` is raised for the keys that it names."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.trouble: dict[str, Exception] = {}

    def read(self, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        if key in self.trouble:
            raise self.trouble[key]
        return super().read(bucket, key, version, limit_bytes)


class Rig:
    """One consumer over memory; its receives wait on a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.clock = FakeClock(blocking=True)
        self.queue = MemoryQueue(self.clock, "consumer")
        self.store, self.objects = MemoryStore(self.clock), Reader(self.clock)
        self.metrics = Metrics()
        self.intake = ObjectIntake(
            self.objects, self.store.uploads, self.store.intake, MemoryBlobs(self.clock), self.clock
        )
        self.consumer = BucketEvents(self.queue, EVENTS, self.intake, self.metrics, self.clock)
        self.stop = threading.Event()

    def put(self, *keys: str, data: bytes = JPEG) -> None:
        for key in keys:
            self.objects.store("photos", key, data)

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self.consumer.run, args=(self.stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.stop.set()
            self.queue.interrupt()
            thread.join(20)
            assert not thread.is_alive(), "the consumer did not stop"

    def until(self, condition: Callable[[], bool], step_s: float = 0.0) -> None:
        """Lets (fake) time pass until `condition` holds."""
        let_time_pass(self.clock, condition, step_s)

    @property
    def empty(self) -> bool:
        depth = self.queue.depth(EVENTS)
        return depth.ready + depth.in_flight + depth.delayed == 0

    def count(self, result: str) -> float:
        return self.metrics.value(BUCKET_EVENTS, {"result": result})

    @property
    def keys(self) -> list[str]:
        return sorted(str(row.new.metadata["meta.key"]) for row in self.store.state.images.values())


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_every_record_becomes_what_it_is_and_the_message_is_done(rig: Rig) -> None:
    rig.put("a.jpg", "b.jpg")
    rig.put("c.txt", data=b"text")
    rig.queue.send(EVENTS, [told("a.jpg", "b.jpg", "gone.jpg"), told("a.jpg"), told("c.txt"), told("d", name="Other")])
    with rig.running():
        rig.until(lambda: rig.empty)
    assert rig.keys == ["a.jpg", "b.jpg", "c.txt"]
    assert [rig.count(result) for result in ("accepted", "known", "skipped", "failed")] == [3, 1, 2, 0]


def test_what_is_no_event_is_a_dead_letter_with_its_cause(rig: Rig) -> None:
    rig.put("a.jpg")
    rig.queue.send(EVENTS, ["nonsense", told("a.jpg")])
    with rig.running():
        rig.until(lambda: rig.empty)
    (dead,) = rig.queue.list_dead()
    assert (dead.body, dead.cause) == ("nonsense", "this is not JSON")
    assert rig.metrics.value(DEAD_LETTERS, {"stage": "ingest", "cause": "not-an-event"}) == 1
    assert rig.keys == ["a.jpg"]


def test_a_bucket_that_does_not_answer_is_waited_for_however_long(rig: Rig) -> None:
    rig.put("a.jpg", "b.jpg")
    rig.objects.trouble["a.jpg"] = DependencyUnavailable("S3 is away")
    rig.queue.send(EVENTS, [told("a.jpg", "b.jpg")])
    with rig.running():
        rig.until(lambda: rig.count("failed") >= 12, step_s=70)
        assert rig.keys == ["b.jpg"]  # the other record of the same message did not wait
        assert not rig.empty
        rig.objects.trouble.clear()
        rig.until(lambda: rig.empty, step_s=70)
    assert rig.keys == ["a.jpg", "b.jpg"]
    assert rig.queue.list_dead() == []


def test_a_record_that_fails_by_itself_is_a_dead_letter_in_the_end_and_holds_up_nobody(rig: Rig) -> None:
    rig.put("a.jpg", "b.jpg", "c.jpg")
    rig.objects.trouble["a.jpg"] = RuntimeError("a bug")
    rig.queue.send(EVENTS, [told("a.jpg", "b.jpg"), told("c.jpg")])
    with rig.running():
        rig.until(lambda: rig.empty, step_s=70)
    (dead,) = rig.queue.list_dead()
    assert (dead.cause, dead.receive_count) == ("RuntimeError: a bug", 5)
    assert rig.keys == ["b.jpg", "c.jpg"]
    assert rig.count("failed") == 5


def test_nothing_is_acknowledged_before_it_is_recorded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.put("a.jpg")
    acknowledge = rig.queue.acknowledge
    recorded: list[list[str]] = []

    def watched(deliveries: list[Delivery]) -> list[Delivery]:
        recorded.append(rig.keys)
        return acknowledge(deliveries)

    monkeypatch.setattr(rig.queue, "acknowledge", watched)
    rig.queue.send(EVENTS, [told("a.jpg")])
    with rig.running():
        rig.until(lambda: rig.empty)
    assert recorded == [["a.jpg"]]


def test_an_acknowledgement_that_is_lost_gives_no_second_image(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.put("a.jpg")
    acknowledge, lost = rig.queue.acknowledge, []

    def unsure(deliveries: list[Delivery]) -> Any:
        if not lost:
            lost.extend(deliveries)
            raise DependencyUnavailable("SQS is away")
        return acknowledge(deliveries)

    monkeypatch.setattr(rig.queue, "acknowledge", unsure)
    rig.queue.send(EVENTS, [told("a.jpg")])
    with rig.running():
        rig.until(lambda: rig.empty, step_s=60)
    assert rig.keys == ["a.jpg"]
    assert (rig.count("accepted"), rig.count("known")) == (1, 1)


@pytest.mark.parametrize("error", [DependencyUnavailable("away"), RuntimeError("a bug")])
def test_a_queue_that_fails_is_asked_again(rig: Rig, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    rig.put("a.jpg")
    receive, failures = rig.queue.receive, [error, error]

    def failing(*arguments: Any) -> list[Delivery]:
        if failures:
            raise failures.pop()
        return receive(*arguments)

    monkeypatch.setattr(rig.queue, "receive", failing)
    rig.queue.send(EVENTS, [told("a.jpg")])
    with rig.running():
        rig.until(lambda: rig.empty, step_s=5)
    assert rig.keys == ["a.jpg"]


def test_what_an_outstanding_receive_brings_after_the_stop_is_released(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = rig.queue.receive

    def stopped_meanwhile(*arguments: Any) -> list[Delivery]:
        brought = receive(*arguments)
        rig.stop.set()
        return brought

    monkeypatch.setattr(rig.queue, "receive", stopped_meanwhile)
    rig.put("a.jpg")
    rig.queue.send(EVENTS, [told("a.jpg")])
    rig.consumer.run(rig.stop)
    assert rig.queue.depth(EVENTS).ready == 1
    assert rig.keys == []


def test_a_consumer_that_waits_for_events_stops_at_once(rig: Rig) -> None:
    with rig.running():
        rig.until(lambda: bool(rig.queue._broker.waiting))
