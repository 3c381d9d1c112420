"""A worker over in-memory adapters, a stage that does what its test says, and a clock that the test moves."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, ImageId, new_image_id
from framegate.kernel.inspection import Refused
from framegate.kernel.states import ImageState, Lane, Stage
from framegate.observability.metrics import Metrics
from framegate.ports.progress import Claim, Result
from framegate.ports.store import ImageRecord, NewImage
from framegate.worker.handler import WorkerOptions
from framegate.worker.loop import Worker
from tests.support.clocks import let_time_pass

OPTIONS = WorkerOptions(owner="test", max_batch=4, prefetch=4, poll=timedelta(milliseconds=20))


@dataclass
class ScriptedStage:
    """Preprocess, as far as the worker knows; every image is refused unless the script says otherwise."""

    stage: Stage = Stage.PREPROCESS
    on_load: Callable[[Claim], None] = lambda claim: None
    on_handle: Callable[[Sequence[Claim]], None] = lambda jobs: None
    batches: list[list[ImageId]] = field(default_factory=list)
    cleaned: list[ImageId] = field(default_factory=list)
    closed: bool = False

    def load(self, claim: Claim) -> Claim:
        self.on_load(claim)
        return claim

    def handle(self, jobs: Sequence[Claim]) -> list[Result]:
        self.batches.append([job.image.image_id for job in jobs])
        self.on_handle(jobs)
        return [Refused("truncated", "for the test") for _ in jobs]

    def settled(self, jobs: Sequence[Claim]) -> None:
        self.cleaned += [job.image.image_id for job in jobs]

    def close(self) -> None:
        self.closed = True


class Rig:
    """Everything a test of the worker needs."""

    def __init__(self) -> None:
        self.clock = FakeClock(blocking=True)
        self.store = MemoryStore(self.clock)
        self.queue = self.store.queue
        self.metrics = Metrics()
        self.stage = ScriptedStage()
        self.error: BaseException | None = None
        self.stop = threading.Event()

    def accept(self, count: int, lane: Lane = Lane.LIVE) -> list[ImageId]:
        images = [_new_image(lane) for _ in range(count)]
        self.store.intake.accept(images)
        return [image.image_id for image in images]

    def record(self, image: ImageId) -> ImageRecord:
        record = self.store.results.image(frozenset({DEFAULT_FACILITY}), image)
        assert record is not None
        return record

    def state(self, image: ImageId) -> ImageState:
        return self.record(image).state

    def in_queue(self, message: str = "frame-submitted") -> int:
        depth = self.queue.depth(f"{message}-live")
        return depth.ready + depth.in_flight + depth.delayed

    @contextmanager
    def running(self, **options: object) -> Iterator[Worker[Claim]]:
        worker: Worker[Claim] = Worker(
            self.stage, self.queue, self.store.progress, replace(OPTIONS, **options), self.clock, self.metrics
        )

        def body() -> None:
            try:
                worker.run(self.stop)
            except BaseException as error:
                self.error = error

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        try:
            yield worker
        finally:
            self.stop.set()
            thread.join(timeout=30)
            assert not thread.is_alive(), "the worker did not stop"

    def until(self, condition: Callable[[], bool], step_s: float = 0.0) -> None:
        """Lets (fake) time pass until `condition` holds."""
        let_time_pass(self.clock, condition, step_s)


def _new_image(lane: Lane) -> NewImage:
    image_id = new_image_id()
    return NewImage(
        DEFAULT_FACILITY, image_id, CameraId("dock-1"), lane, f"originals/{image_id}", "image/jpeg",
        f"{image_id.int:064x}", 1000, 640, 480, 1, (), None, {}, "key", None, f"{image_id}",
    )  # fmt: skip


@pytest.fixture
def rig() -> Rig:
    return Rig()
