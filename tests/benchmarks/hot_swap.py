"""How much a model swap under load costs: `python tests/benchmarks/hot_swap.py [--rate IMAGES_PER_S]`, prints JSON.

A box serves the starter at half load (open loop); after 20 s the same weights are deployed under another version. Verdict
latencies of the images accepted before the order, and from the order until a few seconds after the swap.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from framegate.bootstrap import load_manifest
from framegate.box.bench.frames import make_frames
from framegate.box.bench.load import generate
from framegate.box.bench.run import Bench, running
from framegate.box.box import free_port
from framegate.box.verify import verify
from framegate.kernel.rollout import ModelState, Rollout
from framegate.models import deploying
from framegate.observability.logs import configure_logs
from framegate.settings import Settings
from framegate.starter import starter_dir
from framegate.worker.models import register

_BEFORE_S, _AFTER_S, _TOTAL_S = 20.0, 8.0, 40.0


def measure(scratch: Path, rate: float | None) -> dict[str, Any]:
    """Runs it once."""
    frames = scratch / "frames"
    frames.mkdir()
    files = make_frames(frames, 400, seed=1, progress=lambda _: None)
    settings = Settings.read()
    api = settings.api.model_copy(update={"port": free_port(), "min_free_mb": 64})
    settings = settings.model_copy(update={"data": scratch / "box", "api": api})
    with running(settings) as box:
        bench = Bench(box, files, scratch)
        drained, _ = bench.drain()
        rate = rate or drained / 2
        uploads = bench.salted()[: int(rate * _TOTAL_S)]
        swapped: dict[str, float] = {}
        swapper = threading.Thread(target=_swap, args=(bench, settings, scratch / "two", swapped))
        swapper.start()
        load = generate(box.base_url, bench.key, "bench", uploads, 16, rate)
        swapper.join()
        bench.wait_until_idle()
        records = bench.newest(len(uploads))
        holds = verify(bench.stores, bench.blobs, hash_blobs=False).holds
        bench.stores.close()
    latencies: dict[str, list[float]] = {"before": [], "during": []}
    for record in records:
        at = record.facts.received_at.timestamp()
        if at < swapped["active"] + _AFTER_S:
            when = "before" if at < swapped["ordered"] else "during"
            latencies[when].append(record.timings["accept_to_verdict_ms"])
    p99 = {when: round(statistics.quantiles(values, n=100)[98], 1) for when, values in latencies.items()}
    return {
        "rate_per_s": round(rate, 2),
        "images": {when: len(values) for when, values in latencies.items()},
        "refused": load.refused,
        "not_decided": sum(str(record.state) != "decided" for record in records),
        "models": sorted({record.model or "" for record in records}),
        "holds": holds,
        "swap_s": round(swapped["active"] - swapped["ordered"], 2),
        "verdict_p99_ms": p99,
        "ratio": round(p99["during"] / p99["before"], 2),
    }


def _swap(bench: Bench, settings: Settings, directory: Path, swapped: dict[str, float]) -> None:
    directory.mkdir()
    text = (starter_dir() / "model.toml").read_text("utf-8")
    (directory / "model.toml").write_text(text.replace('version = "1"', 'version = "2"'), "utf-8")
    shutil.copy(starter_dir() / "model.onnx", directory)
    registry = bench.stores.registry
    model = register(registry, bench.blobs, load_manifest(str(directory)), "bench")
    for state in (ModelState.VALIDATED, ModelState.APPROVED):
        registry.advance(model.ref, state, "bench", {})
    time.sleep(_BEFORE_S)
    swapped["ordered"] = time.time()
    deploying.order(settings, bench.stores, Rollout(model.key), "bench", "", 60, lambda _: None)
    swapped["active"] = time.time()


def main() -> None:
    """The script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, help="images/s; default: half of what a drain reaches")
    configure_logs(level="ERROR", json=False)
    with tempfile.TemporaryDirectory(prefix="framegate-swap-") as directory:
        print(json.dumps(measure(Path(directory), parser.parse_args().rate), indent=2))


if __name__ == "__main__":
    main()
