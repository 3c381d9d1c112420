"""Photo in, boxes out, against detections made by other programs with the same weights: all three heads, both runtimes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framegate.adapters.engine_onnxruntime import OnnxRuntimeEngine
from framegate.adapters.engine_openvino import OpenVinoEngine
from framegate.adapters.memory import FakeClock, MemoryBlobs
from framegate.inference.stage import InferenceHandler
from framegate.kernel.detections import Detections
from framegate.kernel.frames import encode_frame
from framegate.kernel.imagefile import inspect_file
from framegate.kernel.inspection import Inspected, Prepared
from framegate.kernel.manifest import ModelManifest
from framegate.ports.engine import Engine
from framegate.preprocess.decode import decode
from framegate.preprocess.letterbox import prepare
from tests.support.inference import claim, fleet_of
from tests.support.models import COCO, REAL, confidence_tolerance, write_manifest
from tests.support.pictures import shared_data
from tests.support.values import quality

#: Below this a box may come or go with the processor's rounding; the references say so themselves.
CLEAR = 0.30
RUNTIMES: dict[str, Callable[[ModelManifest], Engine]] = {
    "onnxruntime": lambda manifest: OnnxRuntimeEngine(manifest, 1, threads=1, device="cpu"),
    "openvino f32": lambda manifest: OpenVinoEngine(manifest, 1, threads=1, precision="f32"),
    "openvino auto": lambda manifest: OpenVinoEngine(manifest, 1, threads=1),
}


def references(model: str) -> dict[str, Any]:
    images: dict[str, Any] = json.loads(shared_data("weights", f"expected_{model}.json").read_text())["images"]
    return images


def inspect(handler: InferenceHandler, blobs: MemoryBlobs, manifest: ModelManifest, photo: Path) -> Detections:
    data = photo.read_bytes()
    header = inspect_file(data)
    content, letterbox = prepare(decode(data, header.media_type, header.orientation), manifest.input)
    blobs.put(photo.name, encode_frame(content, "raw"), durable=False)
    job = handler.load(claim(Prepared(photo.name, "raw", letterbox, quality(), {})))
    [result] = handler.handle([job])
    assert isinstance(result, Inspected)
    return result.detections


def overlap(a: Any, b: Any) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    return shared / float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def disagreements(found: Detections, expected: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """How many clear boxes there are on either side, and those without a partner on the other."""
    ours = [(c, conf, np.array(box)) for c, conf, box in found]
    theirs = [(d["cls"], d["conf"], np.array(d["xyxy"])) for d in expected]

    def partner(one: Any, others: list[Any]) -> bool:
        return any(
            one[0] == other[0]
            and abs(one[1] - other[1]) <= confidence_tolerance()
            and overlap(one[2], other[2]) >= 0.85
            for other in others
        )

    clear = [("lost", d, ours) for d in theirs if d[1] >= CLEAR] + [("new", d, theirs) for d in ours if d[1] >= CLEAR]
    return len(clear), [
        f"{what} {COCO[d[0]]} {d[1]:.3f} {d[2].round()}" for what, d, others in clear if not partner(d, others)
    ]


def agreement(tmp_path: Path, model: str, runtime: str) -> tuple[int, list[str]]:
    manifest = ModelManifest.load(write_manifest(tmp_path, shared_data("weights", f"{model}.onnx")))
    blobs = MemoryBlobs(FakeClock())
    handler = InferenceHandler(fleet_of(RUNTIMES[runtime](manifest), manifest), blobs)
    clear, apart = 0, []
    for photo, reference in references(model).items():
        here, differing = disagreements(inspect(handler, blobs, manifest, shared_data(photo)), reference["detections"])
        clear += here
        apart += [f"{photo}: {one}" for one in differing]
    handler.close()
    return clear, apart


@pytest.mark.parametrize("model", REAL)
def test_onnx_runtime_finds_every_reference_box_and_no_other(tmp_path: Path, model: str) -> None:
    clear, apart = agreement(tmp_path, model, "onnxruntime")
    assert clear >= 20
    assert not apart


#: Quantised convolutions round differently in OpenVINO. Measured over the three models, of 62 boxes on both sides: 1 apart
#: in f32 and 4 in bf16 on an AMD EPYC with avx512_bf16; other processors may differ in up to a quarter.
@pytest.mark.parametrize("model", REAL)
@pytest.mark.parametrize("runtime", ["openvino f32", "openvino auto"])
def test_openvino_finds_most_reference_boxes(tmp_path: Path, model: str, runtime: str) -> None:
    clear, apart = agreement(tmp_path, model, runtime)
    assert clear >= 20
    assert len(apart) <= 0.3 * clear, apart
