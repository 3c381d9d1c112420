"""Export a trained checkpoint as the ONNX file the pipeline loads, check it, and write its model.toml.

    python models/carton/export.py --weights RUNS/fine/weights/last.pt --out services/framegate/starter \\
        --facts RUNS/facts.json

The graph takes `images` (N, 3, H, W), RGB 0..1, any N and any H and W divisible by 32 from 160 px, and returns
(N, 300, 6): x1, y1, x2, y2 in input pixels, confidence, class; no NMS is needed. --facts is the JSON that evaluate.py
writes: thresholds, metrics and the data set's identity. With --facts and without --weights only model.toml is rewritten;
without --facts it says that nothing was measured.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scene import CLASSES
from scoring import batch_of

MAX_BYTES = 12_000_000
OPSET = 18


def to_onnx(weights: str, target: Path) -> Any:
    """Write the ONNX file and return the torch model it was made from."""
    from ultralytics import YOLO

    model = YOLO(weights)
    with tempfile.TemporaryDirectory() as folder:
        if weights.endswith(".pt"):
            source = Path(folder) / "carton.pt"
            shutil.copy(weights, source)
            model = YOLO(str(source))
        here = Path.cwd()
        os.chdir(folder)
        try:
            made = model.export(format="onnx", dynamic=True, imgsz=640, simplify=False, opset=OPSET, nms=False)
            shutil.copy(made, target)
        finally:
            os.chdir(here)
    return model


def tidy(target: Path) -> None:
    """Name the output's axes, replace the exporter's metadata by ours, and check the graph."""
    import onnx

    graph = onnx.load(target)
    del graph.metadata_props[:]
    for key, value in (("names", ",".join(CLASSES)), ("license", "AGPL-3.0")):
        graph.metadata_props.add(key=key, value=value)
    shape = graph.graph.output[0].type.tensor_type.shape
    for axis, name in zip(shape.dim, ("batch", 300, 6), strict=True):
        if isinstance(name, int):
            axis.dim_value = name
        else:
            axis.dim_param = name
    onnx.checker.check_model(graph, full_check=True)
    if any(tensor.external_data for tensor in graph.graph.initializer):
        raise SystemExit("the graph refers to external data; export again with a current exporter")
    onnx.save(graph, target)
    if target.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{target} has {target.stat().st_size} bytes, more than {MAX_BYTES}")


def agree(ours: Any, theirs: Any, floor: float = 0.05) -> float:
    """Largest box or confidence difference among detections above the floor, matched by nearest box and class."""
    worst = 0.0
    for mine, other in zip(ours, theirs, strict=True):
        for row in mine[mine[:, 4] >= floor]:
            same = other[(other[:, 4] >= floor * 0.9) & (other[:, 5] == row[5])]
            if not len(same):
                raise SystemExit(f"a detection {row} has no counterpart")
            gap = np.abs(same - row)
            worst = max(worst, float((gap[:, :4].max(1) / 640 + gap[:, 4]).min()))
    return worst


def check_against_torch(model: Any, target: Path, sample: Any) -> float:
    """Compare ONNX Runtime's answer for a batch with torch's; returns the largest difference."""
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    ours = session.run(None, {"images": sample})[0]
    network = model.model.float().eval()
    network.end2end = True
    with torch.inference_mode():
        theirs = network(torch.from_numpy(sample))
    theirs = theirs[0] if isinstance(theirs, (tuple, list)) else theirs
    return agree(ours, theirs.numpy())


def export(weights: str, target: Path, sample: Path | None) -> None:
    """Write and check the ONNX file; with a folder of frames, compare it with torch too."""
    model = to_onnx(weights, target)
    tidy(target)
    for count in (1, 4) if sample else ():
        frames = batch_of(sorted(Path(sample or ".").glob("*.jpg"))[:count], 640)
        print(f"torch against ONNX Runtime, batch {count}: {check_against_torch(model, target, frames):.2e}")


def model_toml(target: Path, facts: dict[str, Any]) -> str:
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    names = ", ".join(f'"{name}"' for name in CLASSES)
    limits = facts.get("thresholds", {name: (0.25, 0.5) for name in CLASSES if name not in ("carton", "label")})
    classes = "\n".join(f"{name} = {{review = {low}, fail = {high}}}" for name, (low, high) in limits.items())
    data, metrics = facts.get("data", {}), facts.get("metrics", {"split": "none: not measured"})
    rows = "\n".join(f"{key} = {json.dumps(value)}" for key, value in metrics.items())
    about = facts.get("description", "Carton damage detector, not measured.")
    return f'''schema = 1
name = "carton"
version = "{facts.get("version", "0")}"
licence = "AGPL-3.0"
description = {json.dumps(about)}
file = "{target.name}"
sha256 = "{digest}"

[model]
task = "detect"
head = "end2end"
classes = [{names}]

[input]
width = 640
height = 640
dynamic_size = true
dynamic_batch = true
name = "images"
color = "rgb"
scale = 0.00392156862745098
pad_value = 114
letterbox = "center"
scaled_decoding = {str(facts.get("scaled_decoding", False)).lower()}

[thresholds]
floor = 0.05

[thresholds.classes]
{classes}

[data]
source = "rendered by models/carton/render.py"
images = {data.get("images", 0)}
seed = {data.get("seed", 0)}
sha256 = "{data.get("sha256", "")}"

[metrics]
{rows}
'''


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="a .pt checkpoint from train.py; left out: keep OUT/model.onnx")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.onnx and model.toml")
    parser.add_argument("--facts", type=Path, help="JSON written by evaluate.py")
    parser.add_argument("--sample", type=Path, help="folder of frames to compare torch and ONNX Runtime on")
    given = parser.parse_args()
    os.environ.setdefault("YOLO_OFFLINE", "true")
    given.out.mkdir(parents=True, exist_ok=True)
    target = given.out.resolve() / "model.onnx"
    if given.weights:
        export(given.weights, target, given.sample)
    facts = json.loads(given.facts.read_text()) if given.facts else {}
    (given.out / "model.toml").write_text(model_toml(target, facts))
    print(f"{target} {target.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
