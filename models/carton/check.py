"""Check that ONNX Runtime and OpenVINO give the same detections for an exported model, at several batch sizes.

python models/carton/check.py --model services/framegate/starter/model.onnx --frames services/framegate/starter/frames
"""

import argparse
import sys
import time
from pathlib import Path

import onnxruntime
import openvino
from export import agree
from scoring import batch_of

TOLERANCE = 0.01


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--frames", type=Path, required=True, help="folder of JPEG frames")
    given = parser.parse_args()
    files = sorted(given.frames.glob("*.jpg"))
    session = onnxruntime.InferenceSession(str(given.model), providers=["CPUExecutionProvider"])
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    network = openvino.Core().compile_model(str(given.model), "CPU", options)
    worst = 0.0
    for side, count in ((640, 1), (640, 4), (320, 4), (640, len(files))):
        sample = batch_of(files[:count], side)
        began = time.perf_counter()
        ours = session.run(None, {"images": sample})[0]
        middle = time.perf_counter()
        theirs = network({"images": sample})[0]
        ended = time.perf_counter()
        if ours.shape != (count, 300, 6) or theirs.shape != ours.shape:
            raise SystemExit(f"unexpected shapes {ours.shape} and {theirs.shape}")
        gap = max(agree(ours, theirs), agree(theirs, ours))
        worst = max(worst, gap)
        print(f"{side} px, batch {count}: largest difference {gap:.1e}; {(ours[..., 4] >= 0.25).sum()} detections; "
              f"ONNX Runtime {middle - began:.2f} s, OpenVINO {ended - middle:.2f} s")  # fmt: skip
    if worst > TOLERANCE:
        raise SystemExit(f"the runtimes differ by {worst:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
