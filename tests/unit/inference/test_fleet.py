from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from framegate.adapters.memory import FakeClock
from framegate.adapters.memory_engine import MemoryEngine
from framegate.inference.fleet import Fleet, LoadedModel, warm_models
from framegate.kernel.errors import EngineFault, ModelRefused
from framegate.kernel.geometry import Letterbox
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.manifest import Head, ModelInput, ModelManifest
from framegate.kernel.rollout import ModelKey, Rollout

SIZE = 64
MANIFEST = ModelManifest(
    "carton", "3", "test", Path("m.onnx"), "ab" * 32, Head.END2END, ("hole",),
    ModelInput(SIZE, SIZE, dynamic_batch=True, dynamic_size=False), 0.25, {}, (), {},
)  # fmt: skip
OLD, NEW, WIDE = ModelKey("carton@1", "11" * 32), ModelKey("carton@2", "22" * 32), ModelKey("wide@1", "33" * 32)
HALL, DOCK = FacilityId("hall"), CameraId("dock-1")
BOX = Letterbox.fit(128, 64, SIZE, SIZE)
WIDE_BOX = Letterbox.fit(128, 64, SIZE * 2, SIZE)


class Garage:
    """Loads models and remembers them; `broken` ones cannot be loaded."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.loaded: list[str] = []
        self.closed: list[str] = []
        self.broken: set[str] = set()
        self.fleet = Fleet(self._load, self.clock)

    def _load(self, key: ModelKey) -> LoadedModel:
        if key.ref in self.broken:
            raise ModelRefused(f"{key.ref} is broken")
        self.loaded.append(key.ref)
        width = SIZE * 2 if key is WIDE else SIZE
        manifest = replace(MANIFEST, input=replace(MANIFEST.input, width=width))
        engine = MemoryEngine(manifest, 4)
        engine.close = lambda: self.closed.append(key.ref)  # type: ignore[method-assign]
        return LoadedModel(key, manifest, engine)

    def serving(self, box: Letterbox = BOX) -> str | None:
        model = self.fleet.model_for(HALL, DOCK, box)
        return None if model is None else model.key.ref


def serve(garage: Garage, *rollouts: Rollout) -> None:
    for rollout in rollouts:
        garage.fleet.load(rollout)
        garage.fleet.serve(rollout)


def test_loading_beside_changes_nothing_until_it_serves() -> None:
    garage = Garage()
    serve(garage, Rollout(OLD))
    garage.fleet.load(Rollout(NEW))
    assert garage.serving() == OLD.ref
    garage.fleet.serve(Rollout(NEW))
    assert garage.serving() == NEW.ref


def test_a_model_that_cannot_be_loaded_leaves_the_old_one_serving() -> None:
    garage = Garage()
    serve(garage, Rollout(OLD))
    garage.broken.add(NEW.ref)
    with pytest.raises(ModelRefused, match="is broken"):
        garage.fleet.load(Rollout(NEW))
    assert garage.serving() == OLD.ref
    assert garage.closed == []


def test_what_serves_on_is_not_loaded_again() -> None:
    garage = Garage()
    serve(garage, Rollout(OLD), Rollout(OLD, NEW, 0.5), Rollout(NEW))
    assert garage.loaded == [OLD.ref, NEW.ref]


def test_an_old_engine_is_closed_when_its_grace_is_over_and_not_before() -> None:
    garage = Garage()
    serve(garage, Rollout(OLD), Rollout(NEW))
    garage.clock.advance(59)
    garage.fleet.tidy()
    assert garage.closed == []
    garage.clock.advance(1)
    garage.fleet.tidy()
    assert garage.closed == [OLD.ref]
    garage.fleet.close()
    assert garage.closed == [OLD.ref, NEW.ref]


def test_the_engines_of_a_deployment_that_never_served_are_closed_by_the_next_one() -> None:
    garage = Garage()
    serve(garage, Rollout(OLD))
    garage.fleet.load(Rollout(NEW))
    garage.fleet.load(Rollout(WIDE))
    assert garage.closed == [NEW.ref]
    assert garage.serving() == OLD.ref


def test_a_frame_that_was_prepared_for_the_old_model_is_still_inferred_by_it() -> None:
    garage = Garage()
    serve(garage, Rollout(WIDE), Rollout(NEW))
    assert garage.serving(BOX) == NEW.ref
    assert garage.serving(WIDE_BOX) == WIDE.ref
    garage.clock.advance(60)
    garage.fleet.tidy()
    assert garage.serving(WIDE_BOX) is None


def test_a_camera_is_the_canarys_or_the_incumbents_and_stays_so() -> None:
    garage = Garage()
    serve(garage, Rollout(OLD, NEW, 0.5, WIDE))
    seen = {}
    for camera in map(CameraId, map(str, range(200))):
        models = {garage.fleet.model_for(HALL, camera, BOX).key.ref for _ in range(3)}  # type: ignore[union-attr]
        (seen[camera],) = models
    assert 60 < list(seen.values()).count(NEW.ref) < 140
    assert set(seen.values()) == {OLD.ref, NEW.ref}
    assert garage.fleet.shadow is not None
    assert garage.fleet.shadow.key == WIDE


def test_any_number_of_frames_goes_through_in_batches_of_the_engines_size() -> None:
    sizes: list[int] = []

    class Counting(MemoryEngine):
        def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            sizes.append(len(frames))
            return super().infer(frames)

    model = LoadedModel(OLD, MANIFEST, Counting(MANIFEST, 4))
    frames = [(np.full((32, 64, 3), i, np.uint8), BOX) for i in range(10)]
    together = model.infer(frames)
    assert sizes == [4, 4, 2]
    for frame, rows in zip(frames, together, strict=True):
        (alone,) = model.infer([frame])
        assert np.array_equal(alone, rows)  # type: ignore[arg-type]


def test_a_batch_is_one_fault_when_it_is_refused_or_an_answer_in_it_cannot_be_used() -> None:
    answers: list[NDArray[np.float32] | EngineFault] = [
        np.zeros((3, 1, 6), np.float32),
        np.full((3, 1, 6), np.nan, np.float32),
        np.zeros((3, 1, 7), np.float32),
        np.zeros((2, 1, 6), np.float32),
        EngineFault("not these"),
    ]

    class Scripted(MemoryEngine):
        def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            answer = answers.pop(0)
            if isinstance(answer, EngineFault):
                raise answer
            return answer

    model, faults, seen = LoadedModel(OLD, MANIFEST, Scripted(MANIFEST, 4)), list[str](), []
    model.faulted = lambda: faults.append("batch")
    while answers:
        with suppress(EngineFault):
            model.infer([(np.zeros((32, 64, 3), np.uint8), BOX)] * 3)
        seen.append(len(faults))
    assert seen == [0, 1, 2, 3, 4]


def test_a_picture_whose_output_cannot_be_used_is_a_fault_too() -> None:
    class Nan(MemoryEngine):
        def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.full((len(frames), 1), np.nan, np.float32)

    manifest = replace(MANIFEST, head=Head.CLASSIFY)
    model, faults = LoadedModel(OLD, manifest, Nan(MANIFEST, 4)), list[str]()
    model.faulted = lambda: faults.append("batch")
    assert isinstance(model.classify([np.zeros((8, 8, 3), np.uint8)])[0], EngineFault)
    assert faults == ["batch"]


@pytest.mark.parametrize("answer", [np.full((1, 1, 6), np.nan), np.zeros((1, 8, 84))])
def test_a_model_that_does_not_fit_its_manifest_is_not_loaded_and_its_engine_closed(
    answer: NDArray[np.float32],
) -> None:
    closed: list[bool] = []

    class Wrong(MemoryEngine):
        def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.repeat(answer, len(frames), axis=0)

        def close(self) -> None:
            closed.append(True)

    load = warm_models(lambda _: MANIFEST, lambda manifest: Wrong(manifest, 4), FakeClock())
    with pytest.raises(EngineFault):
        load(OLD)
    assert closed == [True]


class Timed(MemoryEngine):
    """Takes `alone` seconds for one frame and `together` for each frame of a batch."""

    def __init__(self, alone: float, together: float) -> None:
        super().__init__(MANIFEST, 4)
        self.alone, self.together = alone, together
        self.clock = FakeClock()
        self.sizes: list[int] = []

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.sizes.append(len(frames))
        self.clock.advance(self.alone if len(frames) == 1 else self.together * len(frames))
        return super().infer(frames)


def warmed(engine: Timed) -> LoadedModel:
    model = LoadedModel(OLD, MANIFEST, engine)
    model.warm(engine.clock)
    return model


@pytest.mark.parametrize(("alone", "together", "best"), [(0.004, 0.001, 4), (0.001, 0.004, 1), (0.001, 0.001, 1)])
def test_batches_are_preferred_only_where_they_are_faster_for_each_frame(
    alone: float, together: float, best: int
) -> None:
    engine = Timed(alone, together)
    assert warmed(engine).batch == best


def test_every_batch_size_that_will_be_used_is_warm() -> None:
    batching, single = Timed(0.004, 0.001), Timed(0.001, 0.004)
    for engine in (batching, single):
        warmed(engine)
    assert set(batching.sizes) == {1, 2, 3, 4}
    assert set(single.sizes) == {1, 4}


def test_slow_batches_are_not_measured_again_and_again() -> None:
    engine = Timed(0.25, 0.25)
    warmed(engine)
    assert engine.sizes.count(4) == 2, "one run to warm it and one to measure it"


def test_a_model_is_watched_once_it_is_warm() -> None:
    seen: list[tuple[LoadedModel, set[int]]] = []
    engine = Timed(0.004, 0.001)
    load = warm_models(
        lambda _: MANIFEST, lambda _: engine, engine.clock, watched=lambda model: seen.append((model, {*engine.sizes}))
    )
    assert seen == [(load(ModelKey(MANIFEST.ref, MANIFEST.sha256)), {1, 2, 3, 4})]
