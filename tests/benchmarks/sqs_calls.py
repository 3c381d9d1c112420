"""How many calls SQS sees for an image: `python -m tests.benchmarks.sqs_calls`, prints JSON.

All stages run as processes of a box whose messages wait in our strict SQS (tests/support/fake_sqs, without adversity, in a
process of its own); the outbox is in Postgres, blobs are local. Cameras upload, and every call counts from the first upload
until the last outcome: receives that bring nothing and the sweeper's look at the queues, too. Run it on a quiet machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.support.aws import aws_environment
from tests.support.models import tiny_manifest
from tests.support.pictures import jpeg

from framegate.bootstrap import provision
from framegate.box.bench.frames import make_frames
from framegate.box.bench.load import generate
from framegate.box.bench.run import Bench, running
from framegate.box.box import free_port
from framegate.observability.logs import configure_logs
from framegate.settings import Settings

_CONCURRENCY = 16
_IDLE_S = 30.0
_LAST_DELETES_S = 1.5


@dataclass(frozen=True, slots=True)
class Statistics:
    """What SQS has seen so far."""

    calls: Counter[tuple[str, str]]  #: by action and queue
    delivered: int

    @classmethod
    def of(cls, url: str) -> "Statistics":
        told = httpx.get(f"{url}/_control/statistics", timeout=30, trust_env=False).raise_for_status().json()
        by_queue: Mapping[str, Mapping[str, int]] = told["calls_by_queue"]
        calls = Counter({(action, queue): n for queue, actions in by_queue.items() for action, n in actions.items()})
        return cls(calls, sum(counts["delivered"] for counts in told["messages"].values()))

    def since(self, before: "Statistics") -> "Statistics":
        return Statistics(self.calls - before.calls, self.delivered - before.delivered)

    def per(self, count: float) -> dict[str, float]:
        """By action and queue, and their sum."""
        shares = {" ".join(key): round(n / count, 3) for key, n in sorted(self.calls.items()) if n / count >= 0.0005}
        return shares | {"sum": round(self.calls.total() / count, 3)}


@contextmanager
def fake_sqs() -> Iterator[str]:
    """The URL of a server in a process of its own: it must not share an interpreter with what it is measured with."""
    command = [sys.executable, "-m", "tests.support.fake_sqs"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def measure(scratch: Path, url: str, images: int, rate: float, *, tiny: bool) -> dict[str, Any]:
    """Runs it once; the environment leads to SQS at `url`."""
    frames = scratch / "frames"
    frames.mkdir()
    files = _small(frames, images) if tiny else make_frames(frames, images, seed=1, progress=lambda _: None)
    settings = Settings.read(
        data=scratch / "box", model=str(tiny_manifest(scratch / "tiny").weights.parent) if tiny else None
    )
    api = settings.api.model_copy(update={"port": free_port(), "min_free_mb": 64})
    settings = settings.model_copy(update={"api": api})
    provision(settings)
    with running(settings) as box:
        bench = Bench(box, files, scratch)
        generate(box.base_url, bench.key, "bench", bench.salted()[: max(20, images // 10)], _CONCURRENCY)  # warm
        bench.wait_until_idle()
        loaded = _loaded(bench, url, rate)
        bench.stores.close()
        before = _settled(url)
        time.sleep(_IDLE_S)
        idle = Statistics.of(url).since(before).per(_IDLE_S / 3600)
    return {"linger_ms": settings.queue.linger_ms, **loaded, "calls_per_hour_when_idle": idle}


def _loaded(bench: Bench, url: str, rate: float) -> dict[str, Any]:
    uploads = bench.salted()
    before, started = _settled(url), time.monotonic()
    load = generate(bench.box.base_url, bench.key, "bench", uploads, _CONCURRENCY, rate)
    bench.wait_until_idle()
    elapsed = time.monotonic() - started
    seen = _settled(url).since(before)
    timings = [record.timings["accept_to_verdict_ms"] for record in bench.newest(len(uploads))]
    return {
        "images": len(uploads),
        "refused": load.refused,
        "images_per_s": round(len(uploads) / elapsed, 1),
        "uploads_per_s": round(len(uploads) / (load.ended - load.started), 1),
        "verdict_ms": _percentiles(timings),
        "deliveries_per_image": round(seen.delivered / len(uploads), 3),
        "calls_per_image": seen.per(len(uploads)),
    }


def _settled(url: str) -> Statistics:
    """When the last deletes have been made, which wait for a second."""
    time.sleep(_LAST_DELETES_S)
    return Statistics.of(url)


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {f"p{p}": round(ordered[len(ordered) * p // 100], 1) for p in (50, 99)}


def _small(directory: Path, count: int) -> list[Path]:
    files = [directory / f"{n:05}.jpg" for n in range(count)]
    for n, file in enumerate(files):
        file.write_bytes(jpeg(n, 160, 120))
    return files


def main() -> None:
    """The script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rate", type=float, default=0, help="images/s; default: as fast as 16 connections can upload")
    parser.add_argument(
        "--tiny", action="store_true", help="160x120 pictures and a model that only averages: more images/s"
    )
    parser.add_argument("--linger-ms", help="FRAMEGATE_QUEUE__LINGER_MS; default: the setting's own")
    given = parser.parse_args()
    configure_logs(level="ERROR", json=False)
    with tempfile.TemporaryDirectory(prefix="framegate-calls-") as directory, fake_sqs() as url:
        os.environ.update(aws_environment(url), FRAMEGATE_QUEUE__KIND="sqs")
        if given.linger_ms:
            os.environ["FRAMEGATE_QUEUE__LINGER_MS"] = given.linger_ms
        if given.tiny:
            os.environ["FRAMEGATE_ENGINE"] = "onnxruntime"
        print(json.dumps(measure(Path(directory), url, given.images, given.rate, tiny=given.tiny), indent=2))


if __name__ == "__main__":
    main()
