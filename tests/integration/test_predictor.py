"""What is measured is what the pipeline does: the predictor against the stages, on the same files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framegate.adapters.memory import FakeClock, MemoryBlobs
from framegate.adapters.memory_engine import MemoryEngine
from framegate.inference.stage import InferenceHandler
from framegate.kernel.detections import Detections
from framegate.kernel.errors import ModelRefused
from framegate.kernel.frames import encode_frame
from framegate.kernel.imagefile import inspect_file
from framegate.kernel.inspection import Inspected, Prepared
from framegate.kernel.manifest import Head, ModelManifest
from framegate.models.labels import LeftOut
from framegate.models.predictor import Predictor, Seen
from framegate.preprocess.decode import decode
from framegate.preprocess.decoder_pool import DecoderChild
from framegate.preprocess.letterbox import prepare
from framegate.preprocess.quality import measure
from framegate.starter import starter_dir
from tests.support.inference import claim, fleet_of
from tests.support.pictures import cut_in_mid_scan, jpeg, png

MANIFEST = replace(ModelManifest.load(starter_dir()), floor=0.3)


@pytest.fixture
def decoder() -> Iterator[DecoderChild]:
    child = DecoderChild()
    yield child
    child.close()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(3, 300, 200, exif=exif.tobytes())


def through_the_stages(data: bytes) -> tuple[Detections, Prepared]:
    engine, blobs = MemoryEngine(MANIFEST, 1), MemoryBlobs(FakeClock())
    handler = InferenceHandler(fleet_of(engine, MANIFEST), blobs)
    header = inspect_file(data)
    content, letterbox = prepare(decode(data, header.media_type, header.orientation), MANIFEST.input)
    blobs.put("x", encode_frame(content, "raw"), durable=False)
    prepared = Prepared("x", "raw", letterbox, measure(content, (letterbox.width, letterbox.height)), {})
    [result] = handler.handle([handler.load(claim(prepared))])
    assert isinstance(result, Inspected)
    return result.detections, prepared


def test_each_file_gets_the_boxes_that_the_stages_give_it_and_none_is_skipped(
    tmp_path: Path, decoder: DecoderChild
) -> None:
    files = {f"{n}.jpg": turned(n) for n in (1, 3, 6)} | {"a.png": png(4), "b.jpg": jpeg(5)}
    broken = {"cut.jpg": cut_in_mid_scan(jpeg(6)), "text.jpg": b"hello", "gone.jpg": None}
    for name, data in (files | broken).items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
    steps: list[tuple[int, int]] = []
    paths = [tmp_path / name for name in sorted(files | broken)]
    engine = MemoryEngine(MANIFEST, 2)  # five good images: the last batch is not full
    answers = list(Predictor(engine, MANIFEST, decoder).predict(paths, lambda *step: steps.append(step)))

    left = {one.path.name: one.reason for one in answers if isinstance(one, LeftOut)}
    assert set(left) == set(broken)
    assert "unrecognized-image" in left["text.jpg"]
    assert steps == [(done, 8) for done in range(9)]
    seen = {one.path.name: one for one in answers if isinstance(one, Seen)}
    assert set(seen) == set(files)
    for name, data in files.items():
        boxes, prepared = through_the_stages(data)
        assert seen[name].found.detections.to_bytes() == boxes.to_bytes()
        assert seen[name].prepared.quality.to_json() == prepared.quality.to_json()  # rounded on the wire
        assert seen[name].prepared.letterbox == prepared.letterbox


def test_a_higher_floor_afterwards_is_the_higher_floor_before(tmp_path: Path, decoder: DecoderChild) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    low, high = replace(MANIFEST, floor=0.0), replace(MANIFEST, floor=0.5)
    [every], [strong] = (
        list(Predictor(MemoryEngine(manifest, 1), manifest, decoder).predict([tmp_path / "a.jpg"]))
        for manifest in (low, high)
    )
    assert isinstance(every, Seen)
    assert isinstance(strong, Seen)
    fewer = every.above(0.5)
    assert 0 < len(fewer.found.detections) < len(every.found.detections)
    assert np.array_equal(fewer.found.detections.xyxy, strong.found.detections.xyxy)
    assert fewer.found.classes == strong.found.classes


def test_a_model_that_finds_no_boxes_is_refused(decoder: DecoderChild) -> None:
    with pytest.raises(ModelRefused, match="finds no boxes"):
        Predictor(MemoryEngine(MANIFEST, 1), replace(MANIFEST, head=Head.CLASSIFY), decoder)
