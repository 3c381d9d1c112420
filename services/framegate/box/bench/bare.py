"""The bare limit: pinned one-thread processes that read, decode, letterbox, infer and decode the head. Nothing else.

The same code as the pipeline's, without a queue, a database, HTTP, isolation or metrics.
Run as `python -m framegate.box.bench.bare LIST BATCH CPU`: prints `ready`, waits for a line, prints seconds as JSON.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from framegate.bootstrap import load_manifest, make_engine
from framegate.box.signals import pin
from framegate.environment import ONE_THREAD, child_environment
from framegate.inference.heads import decode_head
from framegate.kernel.frames import pad
from framegate.kernel.geometry import Letterbox
from framegate.kernel.manifest import ModelManifest
from framegate.ports.engine import Engine
from framegate.preprocess.decode import decode
from framegate.preprocess.letterbox import content_size, prepare
from framegate.settings import Settings

_WARM = 4


def run_files(files: Sequence[Path], batch: int, engine: Engine, manifest: ModelManifest) -> int:
    """Detections found, so that nothing can be skipped."""
    model, found = manifest.input, 0
    buffer = np.empty((batch, model.height, model.width, 3), np.uint8)
    for start in range(0, len(files), batch):
        chunk = files[start : start + batch]
        boxes: list[Letterbox] = []
        for slot, file in enumerate(chunk):
            data = file.read_bytes()
            target = content_size(1920, 1080, model) if model.scaled_decoding else None
            content, letterbox = prepare(decode(data, "image/jpeg", 1, target), model, (1920, 1080))
            pad(content, letterbox, model.pad_value, buffer[slot])
            boxes.append(letterbox)
        for rows, letterbox in zip(decode_head(engine.infer(buffer[: len(chunk)]), manifest), boxes, strict=True):
            if isinstance(rows, Exception):
                raise rows
            found += len(letterbox.to_original(rows[:, :4]))
    return found


def main() -> None:
    """The child process."""
    listing, batch = Path(sys.argv[1]), int(sys.argv[2])
    pin(int(sys.argv[3]))
    settings = Settings.read()
    settings = settings.model_copy(
        update={"inference": settings.inference.model_copy(update={"max_batch": batch, "threads": 1})}
    )
    manifest = load_manifest(settings.model or "starter")
    engine = make_engine(settings, manifest)
    files = [Path(line) for line in listing.read_text("utf-8").splitlines()]
    run_files(files[: _WARM * batch], batch, engine, manifest)
    print("ready", flush=True)
    sys.stdin.readline()
    cpu = time.process_time()
    found = run_files(files, batch, engine, manifest)
    print(json.dumps({"cpu_s": time.process_time() - cpu, "detections": found}), flush=True)


def measure(files: Sequence[Path], batch: int, cpus: int, scratch: Path, model: str) -> tuple[float, float]:
    """(images/s, core-ms per image) of `cpus` processes that share `files`; the slowest ends the clock."""
    processes = []
    environment = child_environment(FRAMEGATE_MODEL=model, **ONE_THREAD)
    for cpu in range(cpus):
        listing = scratch / f"bare-{cpu}.txt"
        listing.write_text("\n".join(str(f) for f in files[cpu::cpus]), "utf-8")
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "framegate.box.bench.bare", str(listing), str(batch), str(cpu)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                text=True,
            )
        )
    try:
        for process in processes:
            if process.stdout is None or process.stdout.readline().strip() != "ready":
                raise OSError("a process of the bare limit did not start")
        started = time.perf_counter()
        for process in processes:
            if process.stdin is not None:
                process.stdin.write("go\n")
                process.stdin.flush()
        answers = [json.loads(process.communicate(timeout=600)[0]) for process in processes]
        elapsed = time.perf_counter() - started
        return len(files) / elapsed, sum(answer["cpu_s"] for answer in answers) * 1000 / len(files)
    finally:
        for process in processes:
            process.kill()
            process.wait(5)


if __name__ == "__main__":
    main()
