"""Wrappers: what goes through them comes out unchanged, and is timed."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from framegate.adapters.measured import (
    MeasuredBlobs,
    MeasuredEngine,
    MeasuredIntake,
    MeasuredProgress,
    MeasuredQueue,
)
from framegate.adapters.memory import FakeClock, MemoryBlobs, MemoryStore
from framegate.adapters.memory.queue import MemoryQueue
from framegate.kernel.errors import BlobMissing, DependencyUnavailable, EngineFault
from framegate.kernel.messages import FrameSubmitted
from framegate.kernel.states import Stage
from framegate.observability.catalogue import (
    BLOB_BYTES,
    DEPENDENCY_ERRORS,
    DEPENDENCY_SECONDS,
    ENGINE_IMAGES,
    ENGINE_SECONDS,
)
from framegate.observability.metrics import Metrics
from framegate.ports.progress import Claim
from framegate.ports.queue import ClosingQueue
from tests.contracts.examples import new_image
from tests.support.inference import ColourEngine

Q = "frame-submitted-live"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def calls(metrics: Metrics, dependency: str, operation: str) -> float:
    return metrics.value(DEPENDENCY_SECONDS, {"dependency": dependency, "operation": operation}, "_count")


def errors(metrics: Metrics, dependency: str, operation: str) -> float:
    return metrics.value(DEPENDENCY_ERRORS, {"dependency": dependency, "operation": operation})


def test_blobs_are_timed_and_their_bytes_counted(metrics: Metrics, tmp_path: Path) -> None:
    blobs = MeasuredBlobs(MemoryBlobs(FakeClock(), tmp_path), metrics)
    blobs.put("originals/a", b"12345")
    spooled = blobs.spool_dir() / "b"
    spooled.write_bytes(b"123")
    blobs.adopt("originals/b", spooled)
    assert (blobs.get("originals/a"), blobs.get("originals/b")) == (b"12345", b"123")
    assert metrics.value(BLOB_BYTES, {"operation": "put"}) == 8
    assert metrics.value(BLOB_BYTES, {"operation": "get"}) == 8
    assert [calls(metrics, "blobs", name) for name in ("put", "adopt", "get", "delete")] == [1, 1, 2, 0]


def test_what_is_not_there_is_no_error_of_the_store(metrics: Metrics, tmp_path: Path) -> None:
    blobs = MeasuredBlobs(MemoryBlobs(FakeClock(), tmp_path), metrics)
    with pytest.raises(BlobMissing):
        blobs.get("originals/none")
    assert errors(metrics, "blobs", "get") == 0
    assert calls(metrics, "blobs", "get") == 1


class Away(MemoryQueue):
    """Does not answer."""

    def receive(self, *_: object) -> list[object]:  # type: ignore[override]
        raise DependencyUnavailable("for the test")

    acknowledge = receive  # type: ignore[assignment]


def test_a_queue_that_does_not_answer_is_counted_by_operation(metrics: Metrics) -> None:
    inner = MemoryStore(FakeClock()).queue
    inner.__class__ = Away
    queue = MeasuredQueue(closing(inner), metrics)
    with pytest.raises(DependencyUnavailable):
        queue.acknowledge([])
    with pytest.raises(DependencyUnavailable):
        queue.receive([Q], 1, timedelta(), MINUTE)
    assert errors(metrics, "queue", "acknowledge") == errors(metrics, "queue", "receive") == 1
    assert calls(metrics, "queue", "acknowledge") == 1


def test_a_receive_is_not_timed_as_it_waits_for_messages(metrics: Metrics) -> None:
    queue = MeasuredQueue(closing(MemoryStore(FakeClock()).queue), metrics)
    queue.send(Q, ["a"])
    (delivery,) = queue.receive([Q], 1, timedelta(), MINUTE)
    queue.acknowledge([delivery])
    assert queue.depth(Q).ready == 0
    assert [calls(metrics, "queue", name) for name in ("send", "receive", "acknowledge", "depth")] == [1, 0, 1, 1]


def closing(queue: MemoryQueue) -> ClosingQueue:
    queue.close = lambda: None  # type: ignore[attr-defined]
    return queue  # type: ignore[return-value]


def test_the_database_is_timed_by_what_images_pass_through(metrics: Metrics) -> None:
    store, image = MemoryStore(FakeClock()), new_image()
    MeasuredIntake(store.intake, metrics).accept([image])
    progress = MeasuredProgress(store.progress, metrics)
    message = FrameSubmitted(image.facility, image.image_id)
    (claim,) = progress.claim(Stage.PREPROCESS, [message], "one", MINUTE)
    assert isinstance(claim, Claim)
    assert progress.extend([claim], MINUTE) == []
    assert [calls(metrics, "database", name) for name in ("accept", "claim", "extend", "complete")] == [1, 1, 1, 0]


FRAMES: NDArray[np.uint8] = np.full((3, 8, 8, 3), 7, np.uint8)


def test_an_engine_is_timed_and_its_frames_counted(metrics: Metrics) -> None:
    inner = ColourEngine(4)
    engine = MeasuredEngine(inner, "wear@1", metrics)
    assert engine.infer(FRAMES).shape == (3, 3)
    engine.close()
    assert inner.closed
    assert (engine.description, engine.max_batch) == (inner.description, 4)
    labels = {"model": "wear@1"}
    assert metrics.value(ENGINE_IMAGES, labels) == 3
    assert metrics.value(ENGINE_SECONDS, labels, "_count") == 1


def test_a_batch_that_the_engine_refuses_is_not_counted_as_seen(metrics: Metrics) -> None:
    def refuse(_: NDArray[np.uint8]) -> None:
        raise EngineFault("not these")

    with pytest.raises(EngineFault):
        MeasuredEngine(ColourEngine(4, refuse), "wear@1", metrics).infer(FRAMES)
    assert metrics.value(ENGINE_IMAGES, {"model": "wear@1"}) == 0
