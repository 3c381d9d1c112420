from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zstandard
from numpy.typing import NDArray

from framegate.adapters.memory import FakeClock, MemoryBlobs
from framegate.adapters.memory_engine import MemoryEngine
from framegate.inference.stage import InferenceHandler
from framegate.kernel.errors import BlobMissing, EngineFault
from framegate.kernel.geometry import Letterbox
from framegate.kernel.inspection import Failed, Inspected, Prepared
from framegate.kernel.manifest import Head, ModelInput, ModelManifest
from framegate.ports.progress import Claim, PrepareAgain
from tests.support.inference import claim, fleet_of
from tests.support.values import quality

CLASSES = ("hole", "tear", "dent")
SIZE = 64
MANIFEST = ModelManifest(
    "carton", "3", "test", Path("m.onnx"), "ab" * 32, Head.END2END, CLASSES,
    ModelInput(SIZE, SIZE, dynamic_batch=True, dynamic_size=False), 0.25, {}, (), {},
)  # fmt: skip


class ScriptedEngine:
    """Answers with what it is given, and remembers what it saw."""

    description = "scripted 1 cpu f32"
    max_batch = 4

    def __init__(self, *answers: NDArray[np.float32]) -> None:
        self.answers = list(answers)
        self.seen: list[NDArray[np.uint8]] = []
        self.closed = False

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen.append(frames.copy())
        return self.answers.pop(0)

    def close(self) -> None:
        self.closed = True


def submitted(
    blobs: MemoryBlobs, key: str, width: int = 128, height: int = 64, *, codec: str = "raw", value: int = 7
) -> Claim:
    """An image whose prepared frame is all of one value."""
    box = Letterbox.fit(width, height, SIZE, SIZE)
    data = bytes([value]) * (box.content_width * box.content_height * 3)
    blobs.put(key, zstandard.ZstdCompressor().compress(data) if codec == "zstd" else data, durable=False)
    return claim(Prepared(key, codec, box, quality(), {}))


def boxes(*frames: list[list[float]]) -> NDArray[np.float32]:
    return np.array(frames, np.float32)


def inspected(result: object) -> Inspected:
    assert isinstance(result, Inspected)
    return result


@pytest.mark.parametrize("codec", ["raw", "zstd"])
def test_the_engine_sees_the_frame_centred_in_its_padding(codec: str) -> None:
    blobs, engine = MemoryBlobs(FakeClock()), ScriptedEngine(boxes([[0, 0, 0, 0, 0, 0]]))
    handler = InferenceHandler(fleet_of(engine, MANIFEST), blobs)
    handler.handle([handler.load(submitted(blobs, "a", codec=codec))])
    [frame] = engine.seen[0]
    assert (frame[16:48] == 7).all()
    assert (frame[:16] == 114).all()
    assert (frame[48:] == 114).all()


def test_a_frame_leaves_nothing_behind_for_the_next_one_in_its_place() -> None:
    blobs, nothing = MemoryBlobs(FakeClock()), boxes([[0, 0, 0, 0, 0, 0]])
    engine = ScriptedEngine(nothing, nothing)
    handler = InferenceHandler(fleet_of(engine, MANIFEST), blobs)
    handler.handle([handler.load(submitted(blobs, "a", 64, 64))])
    handler.handle([handler.load(submitted(blobs, "b", 64, 128, value=9))])
    [frame] = engine.seen[1]
    assert sorted({*np.unique(frame).tolist()}) == [9, 114]


def test_boxes_come_back_in_pixels_of_the_original_with_the_names_of_their_classes() -> None:
    blobs = MemoryBlobs(FakeClock())
    engine = ScriptedEngine(boxes([[8, 16, 32, 40, 0.5, 1], [0, 20, 10, 30, 0.9, 2]]))
    handler = InferenceHandler(fleet_of(engine, MANIFEST), blobs)
    [result] = handler.handle([handler.load(submitted(blobs, "a"))])
    found = inspected(result)
    assert found.classes == ("dent", "tear")
    assert found.detections.xyxy.tolist() == [[0, 8, 20, 28], [16, 0, 64, 48]]
    assert (found.model, found.model_sha256, found.engine) == ("carton@3", "ab" * 32, "scripted 1 cpu f32")


def test_boxes_wholly_in_the_padding_or_turned_inside_out_are_dropped() -> None:
    blobs = MemoryBlobs(FakeClock())
    engine = ScriptedEngine(boxes([[8, 2, 32, 12, 0.9, 1], [30, 20, 10, 30, 0.9, 2], [0, 20, 10, 30, 0.9, 0]]))
    handler = InferenceHandler(fleet_of(engine, MANIFEST), blobs)
    [result] = handler.handle([handler.load(submitted(blobs, "a"))])
    assert inspected(result).classes == ("hole",)


def test_results_are_in_the_order_of_the_jobs_whatever_the_batch() -> None:
    blobs = MemoryBlobs(FakeClock())
    handler = InferenceHandler(fleet_of(MemoryEngine(MANIFEST, 4), MANIFEST), blobs)
    jobs = [handler.load(submitted(blobs, f"k{i}", value=i)) for i in range(4)]
    alone = [inspected(handler.handle([job])[0]).detections.to_bytes() for job in jobs]
    together = [inspected(result).detections.to_bytes() for result in handler.handle(jobs)]
    assert together == alone
    assert len(set(alone)) == 4


def test_only_the_image_whose_output_is_nan_fails() -> None:
    blobs = MemoryBlobs(FakeClock())
    raw = np.zeros((3, 1, 6), np.float32)
    raw[1] = np.nan
    handler = InferenceHandler(fleet_of(ScriptedEngine(raw), MANIFEST), blobs)
    first, second, third = handler.handle([handler.load(submitted(blobs, f"k{i}")) for i in range(3)])
    assert inspected(first).classes == inspected(third).classes == ()
    assert isinstance(second, Failed)
    assert (second.reason, second.model) == ("engine-output", MANIFEST.ref)
    assert "scripted 1 cpu f32" in second.detail


@pytest.mark.parametrize("shape", [(1, 6), (2, 4, 5), (1, 1, 6), (3, 1, 6)])
def test_an_output_of_the_wrong_shape_gives_no_results_at_all(shape: tuple[int, ...]) -> None:
    blobs = MemoryBlobs(FakeClock())
    handler = InferenceHandler(fleet_of(ScriptedEngine(np.zeros(shape, np.float32)), MANIFEST), blobs)
    with pytest.raises(EngineFault):
        handler.handle([handler.load(submitted(blobs, f"k{i}")) for i in range(2)])


def test_a_prepared_frame_that_is_gone_damaged_or_of_another_size_counts_as_missing() -> None:
    blobs = MemoryBlobs(FakeClock())
    handler = InferenceHandler(fleet_of(ScriptedEngine(), MANIFEST), blobs)
    gone, short, packed = (
        submitted(blobs, key, codec=codec) for key, codec in [("a", "raw"), ("b", "raw"), ("c", "zstd")]
    )
    blobs.delete("a")
    blobs.put("b", blobs.get("b")[:-1], durable=False)
    blobs.put("c", blobs.get("c")[:-4], durable=False)
    for broken in (gone, short, packed):
        with pytest.raises(BlobMissing):
            handler.load(broken)


def test_a_frame_that_fits_no_model_is_prepared_again() -> None:
    blobs = MemoryBlobs(FakeClock())
    wider = replace(MANIFEST, input=replace(MANIFEST.input, width=SIZE * 2))
    handler = InferenceHandler(fleet_of(MemoryEngine(wider, 2), wider), blobs)
    (result,) = handler.handle([handler.load(submitted(blobs, "a"))])
    assert isinstance(result, PrepareAgain)


def test_a_settled_job_takes_its_prepared_frame_with_it() -> None:
    blobs = MemoryBlobs(FakeClock())
    handler = InferenceHandler(fleet_of(MemoryEngine(MANIFEST, 2), MANIFEST), blobs)
    jobs = [handler.load(submitted(blobs, key)) for key in ("a", "b")]
    handler.settled(jobs[:1])
    assert [blobs.exists(key) for key in ("a", "b")] == [False, True]


def test_closing_the_handler_closes_the_engine() -> None:
    engine = ScriptedEngine()
    InferenceHandler(fleet_of(engine, MANIFEST), MemoryBlobs(FakeClock())).close()
    assert engine.closed
