"""Images/s of each engine that can run here, beside what its runtime does when nothing has to be moved or converted.

    python tests/benchmarks/engines.py --json

The starter (YOLO26n) at 640 px. `infer` is the engine as the pipeline calls it, bytes in and rows out; `resident` is the
runtime alone on an input that already lies on the device in the form it wants. Run it by hand on a quiet machine; the
fastest of several runs counts. Only engines that are installed take part: for torch, pip install 'framegate[torch]'.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.torch_models import starter_checkpoint

from framegate.adapters.engine_onnxruntime import OnnxRuntimeEngine
from framegate.adapters.engine_openvino import OpenVinoEngine
from framegate.kernel.manifest import ModelManifest
from framegate.ports.engine import Engine
from framegate.starter import starter_dir

Resident = Callable[[np.ndarray], Callable[[], Any]]
Candidate = tuple[str, Callable[[], tuple[Engine, Resident]]]


def onnxruntime(manifest: ModelManifest, batch: int, threads: int, device: str) -> tuple[Engine, Resident]:
    import onnxruntime as ort

    engine = OnnxRuntimeEngine(manifest, batch, threads, device)

    def resident(frames: np.ndarray) -> Callable[[], Any]:
        session = engine._session
        binding = session.io_binding()
        planes = np.ascontiguousarray(frames.transpose(0, 3, 1, 2), np.float32) / 255
        binding.bind_ortvalue_input(manifest.input.name, ort.OrtValue.ortvalue_from_numpy(planes, device, 0))
        binding.bind_output(session.get_outputs()[0].name, device)
        return lambda: session.run_with_iobinding(binding)

    return engine, resident


def openvino(manifest: ModelManifest, batch: int, threads: int, precision: str) -> tuple[Engine, Resident]:
    engine = OpenVinoEngine(manifest, batch, threads, precision)

    def resident(frames: np.ndarray) -> Callable[[], Any]:
        # OpenVINO reads frames where they lie: the same call again, without the copy of its result.
        engine.infer(frames)
        return engine._request.infer

    return engine, resident


def torch(manifest: ModelManifest, batch: int, threads: int, **options: Any) -> tuple[Engine, Resident]:
    import torch as pytorch

    from framegate.adapters.engine_torch import TorchEngine

    engine = TorchEngine(manifest, batch, threads, **options)
    on_gpu = options["device"] == "cuda"

    def resident(frames: np.ndarray) -> Callable[[], Any]:
        there = pytorch.from_numpy(frames).to(options["device"])
        engine.infer(frames)
        run = engine._runners[len(frames)]

        def once() -> None:
            with pytorch.inference_mode():
                run(there)
            if on_gpu:
                pytorch.cuda.synchronize()

        return once

    return engine, resident


def candidates(checkpoint: Path, batch: int, threads: int) -> Iterator[Candidate]:
    starter = ModelManifest.load(starter_dir())
    yield "openvino auto", lambda: openvino(starter, batch, threads, "auto")
    yield "openvino f32", lambda: openvino(starter, batch, threads, "f32")
    yield "onnxruntime cpu", lambda: onnxruntime(starter, batch, threads, "cpu")
    if has_cuda():
        yield "onnxruntime cuda", lambda: onnxruntime(starter, batch, threads, "cuda")
    if not find_spec("ultralytics"):
        return
    manifest = starter_checkpoint(checkpoint)
    for precision in ("f32", "bf16"):
        yield f"torch cpu {precision}", lambda p=precision: torch(manifest, batch, threads, device="cpu", precision=p)
    for execution in ("eager", "graph", "compile") if has_cuda() else ():
        yield f"torch cuda {execution}", lambda e=execution: torch(manifest, batch, threads, device="cuda", execution=e)


def has_cuda() -> bool:
    if not find_spec("torch"):
        return False
    import torch as pytorch

    return bool(pytorch.cuda.is_available())


def device_name(label: str) -> str:
    if "cuda" not in label:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
    import torch as pytorch

    return str(pytorch.cuda.get_device_name())


def images_per_s(runs: dict[str, Callable[[], Any]], n: int, seconds: float) -> dict[str, float]:
    """The runs take turns, so that whatever else the machine does meets them alike."""
    for run in runs.values():
        run()
    fastest, ends = dict.fromkeys(runs, float("inf")), time.monotonic() + seconds
    while time.monotonic() < ends or float("inf") in fastest.values():
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            fastest[name] = min(fastest[name], time.perf_counter() - began)
    return {name: round(n / best, 1) for name, best in fastest.items()}


def measure(label: str, opened: Callable[[], tuple[Engine, Resident]], n: int, seconds: float) -> dict[str, Any]:
    row: dict[str, Any] = {"engine": label, "device": device_name(label), "batch": n}
    try:
        engine, resident = opened()
    except Exception as error:
        return row | {"skipped": " ".join(str(error).split())[:200]}
    frames = np.random.default_rng(1).integers(0, 256, (n, 640, 640, 3), np.uint8)
    found = images_per_s({"infer": lambda: engine.infer(frames), "resident": resident(frames)}, n, seconds)
    engine.close()
    return row | {"description": engine.description} | found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of one engine (default 1)")
    parser.add_argument("--seconds", type=float, default=8, help="for each row (default 8)")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for n in (1, 8, 32, 64):
            for label, opened in candidates(Path(scratch) / "starter.pt", n, given.threads):
                if n > 8 and "cuda" not in label:
                    continue
                rows.append(measure(label, opened, n, given.seconds))
                if not given.json:
                    row = rows[-1]
                    figures = (
                        row.get("skipped") or f"infer {row['infer']:8.1f}  resident {row['resident']:8.1f} images/s"
                    )
                    print(f"{label:20} batch {n:3}  {figures}", flush=True)
    if given.json:
        print(json.dumps({"python": platform.python_version(), "threads": given.threads, "rows": rows}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
