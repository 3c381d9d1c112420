"""Our average precision against that of `ultralytics val`: the same weights, images and labels."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest

from framegate.adapters.engine_onnxruntime import OnnxRuntimeEngine
from framegate.kernel.manifest import ModelManifest
from framegate.models.evaluation import defects_of, examine
from framegate.models.labels import read_labels
from framegate.preprocess.decoder_pool import DecoderChild
from framegate.starter import starter_dir

RENDERER = Path(__file__).parents[2] / "models" / "carton" / "render.py"

#: In a process of its own: torch and ultralytics warn a lot, and here warnings are errors.
VAL = """
import json, sys
from ultralytics import YOLO
weights, data, out = sys.argv[1:]
found = YOLO(weights, task="detect").val(
    data=data, imgsz=640, rect=False, conf=0.001, batch=1, device="cpu", workers=0, plots=False, verbose=False, project=out
)
print(json.dumps({"map50": float(found.box.map50), "map50_95": float(found.box.map), "images": found.nt_per_image.tolist()}))
"""


def with_metadata(path: Path, manifest: ModelManifest) -> Path:
    """The same graph and weights; ultralytics learns from the metadata of its own exports what it has before it."""
    model = onnx.load(manifest.weights)
    del model.metadata_props[:]
    facts = {
        "names": dict(enumerate(manifest.classes)),
        "stride": 32,
        "task": "detect",
        "batch": 1,
        "imgsz": [640, 640],
    }
    for key, value in {**facts, "end2end": True, "channels": 3, "args": {"dynamic": True}}.items():
        model.metadata_props.add(key=key, value=str(value))
    onnx.save(model, path)
    return path


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(find_spec("ultralytics") is None, reason="ultralytics (the extra 'train') is not installed")
def test_our_average_precision_is_that_of_ultralytics(tmp_path: Path) -> None:
    cartons = tmp_path / "cartons"
    command = [sys.executable, str(RENDERER), "--out", str(cartons), "--count", "40", "--seed", "90001"]
    subprocess.run(command, check=True, capture_output=True, timeout=200)
    manifest = replace(ModelManifest.load(starter_dir()), floor=0.001)
    weights = str(with_metadata(tmp_path / "starter.onnx", manifest))
    done = subprocess.run(
        [sys.executable, "-c", VAL, weights, str(cartons / "data.yaml"), str(tmp_path / "runs")],
        capture_output=True, text=True, timeout=400, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    theirs = json.loads(done.stdout.splitlines()[-1])

    labels = read_labels(cartons, manifest.classes, defects_of(manifest, ()))
    engine, decoder = OnnxRuntimeEngine(manifest, 1, threads=1, device="cpu"), DecoderChild()
    try:
        scores = examine(labels, manifest, defects_of(manifest, ()), engine, decoder, lambda done, of: None).scores()
    finally:
        decoder.close()
        engine.close()
    assert [one.images for one in scores.classes] == [count for count in theirs["images"] if count]
    assert scores.map50 == pytest.approx(theirs["map50"], abs=0.005)
    assert scores.map50_95 == pytest.approx(theirs["map50_95"], abs=0.005)
