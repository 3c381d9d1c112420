"""Real detectors through the whole pipeline give the detections that their makers' tools give."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.box import running_box
from tests.support.models import confidence_tolerance, write_manifest
from tests.support.pictures import shared_data

#: Boxes in this band may or may not appear: the models are quantised.
_COMPARE_FROM, _IOU = 0.30, 0.85


def iou(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area - width * height)


def is_found(expected: dict[str, Any], found: list[dict[str, Any]]) -> bool:
    return any(
        d["class"] == expected["name"]
        and abs(d["confidence"] - expected["conf"]) <= confidence_tolerance()
        and iou(d["box"], expected["xyxy"]) >= _IOU
        for d in found
    )


@pytest.mark.parametrize("name", ["yolo26n_int8", "yolo11n_int8"])
def test_the_reference_detections_come_out_of_the_whole_pipeline(name: str, tmp_path: Path) -> None:
    weights = shared_data("weights", f"{name}.onnx")
    expected = json.loads(shared_data("weights", f"expected_{name}.json").read_text("utf-8"))
    model = write_manifest(tmp_path / "model", weights)
    missing: list[str] = []
    total = 0
    with running_box(tmp_path / "data", FRAMEGATE_MODEL=str(model)) as box:
        for file, image in expected["images"].items():
            path = shared_data(*Path(file).parts)
            content_type = "image/png" if path.suffix == ".png" else "image/jpeg"
            record = box.outcome(box.upload(path.read_bytes(), content_type).json()["id"])
            assert record["engine"].startswith("onnxruntime")
            wanted = [d for d in image["detections"] if d["conf"] >= _COMPARE_FROM]
            total += len(wanted)
            missing += [f"{file}: {d}" for d in wanted if not is_found(d, record["detections"])]
    assert total >= 10
    assert missing == []
