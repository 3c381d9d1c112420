"""The shadow sees what others decided, and holds nothing up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from framegate.adapters.memory import FakeClock, MemoryBlobs, MemoryStore
from framegate.adapters.memory_engine import MemoryEngine
from framegate.inference.fleet import Fleet, LoadedModel
from framegate.inference.shadow import ShadowRunner
from framegate.inference.stage import InferenceHandler, Job
from framegate.kernel.geometry import Letterbox, Region
from framegate.kernel.inspection import FirstLook, Inspected, Prepared
from framegate.kernel.manifest import Head, ModelInput, ModelManifest
from framegate.kernel.rollout import ModelKey, Rollout
from framegate.observability.catalogue import SHADOW_IMAGES
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.registry import ShadowResult
from tests.support.inference import claim
from tests.support.values import inspected, quality

DECIDER, SHADOW = ModelKey("carton@1", "11" * 32), ModelKey("carton@2", "22" * 32)


def manifest(key: ModelKey, size: int) -> ModelManifest:
    box = ModelInput(size, size, True, False)
    name, _, version = key.ref.partition("@")
    return ModelManifest(
        name, version, "test", Path("m.onnx"), key.sha256, Head.END2END, ("a", "b"), box, 0.1, {}, (), {}
    )


class Desk:
    """A shadow beside a decider, its thread not started."""

    def __init__(self, shadow_size: int = 64) -> None:
        self.blobs, self.metrics = MemoryBlobs(FakeClock()), Metrics()
        self.results: list[ShadowResult] = []
        self.fleet = Fleet(lambda key: self._load(key, shadow_size if key == SHADOW else 64), FakeClock())
        rollout = Rollout(DECIDER, shadow=SHADOW)
        self.fleet.load(rollout)
        self.fleet.serve(rollout)
        self.runner = ShadowRunner(self.fleet, self, self.metrics, get_log())
        self.handler = InferenceHandler(self.fleet, self.blobs, self.runner.offer)

    def _load(self, key: ModelKey, size: int) -> LoadedModel:
        return LoadedModel(key, manifest(key, size), MemoryEngine(manifest(key, size), 4))

    def record_shadow(self, results: list[ShadowResult]) -> None:
        self.results += results

    compare_shadow = MemoryStore(FakeClock()).shadows.compare_shadow

    def jobs(self, count: int) -> list[Job]:
        box = Letterbox.fit(64, 64, 64, 64)
        made = []
        for i in range(count):
            self.blobs.put(f"frame-{i}", bytes([i]) * (64 * 64 * 3), durable=False)
            made.append(self.handler.load(claim(Prepared(f"frame-{i}", "raw", box, quality(), {}))))
        return made

    def counted(self, result: str) -> float:
        return self.metrics.value(SHADOW_IMAGES, {"result": result})


def test_a_shadow_sees_no_second_looks() -> None:
    desk = Desk()
    one, two = desk.jobs(2)
    first = FirstLook(inspected(a=0.4), one.prepared, Region(0, 0, 32, 32))
    desk.runner.offer([replace(one, claim=replace(one.claim, first=first)), two])
    with desk.runner:
        while not desk.results:
            assert desk.counted("failed") == 0
    assert [result.image_id for result in desk.results] == [two.claim.image.image_id]
    assert desk.counted("skipped") == 0


def test_the_shadow_records_what_it_found_and_decides_nothing() -> None:
    desk = Desk()
    jobs = desk.jobs(3)
    decided = desk.handler.handle(jobs)
    assert {r.model for r in decided if isinstance(r, Inspected)} == {DECIDER.ref}
    desk.handler.settled(jobs)
    assert not desk.blobs.exists("frame-0")
    with desk.runner:
        while len(desk.results) < 3:
            assert desk.counted("failed") == 0
    assert {result.model for result in desk.results} == {SHADOW}
    assert {result.image_id for result in desk.results} == {job.claim.image.image_id for job in jobs}
    assert all(len(result.classes) == len(result.detections) for result in desk.results)


def test_what_the_shadow_has_no_time_for_is_skipped_and_counted() -> None:
    desk = Desk()
    desk.runner.offer(desk.jobs(40))
    assert desk.counted("skipped") == 8


def test_a_shadow_with_another_input_skips_the_frames_it_cannot_take() -> None:
    desk = Desk(shadow_size=32)
    desk.runner.offer(desk.jobs(2))
    assert desk.counted("skipped") == 2


def test_a_broken_shadow_hurts_nobody() -> None:
    desk = Desk()

    def broken(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise RuntimeError("out of memory")

    assert desk.fleet.shadow is not None
    desk.fleet.shadow.engine.infer = broken  # type: ignore[method-assign]
    jobs = desk.jobs(2)
    with desk.runner:
        desk.handler.settled(jobs)
        while desk.counted("failed") < 2:
            pass
    assert all(isinstance(result, Inspected) for result in desk.handler.handle(desk.jobs(2)))


@pytest.mark.parametrize("count", [1, 5])
def test_without_a_shadow_nothing_is_offered(count: int) -> None:
    desk = Desk()
    desk.fleet.load(Rollout(DECIDER))
    desk.fleet.serve(Rollout(DECIDER))
    desk.runner.offer(desk.jobs(count))
    assert desk.counted("skipped") == 0
    assert desk.results == []
