"""What `framegate bench` does: rounds of bare limit, drain and upload, interleaved, then latency at half load."""

import hashlib
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from framegate.bootstrap import EmbeddedPostgres, Stores, open_blobs, open_stores
from framegate.box.bench import bare
from framegate.box.bench.cpu import cpu_seconds
from framegate.box.bench.frames import HEIGHT, WIDTH, make_frames
from framegate.box.bench.load import LoadResult, generate
from framegate.box.box import Box, free_port, open_box
from framegate.box.client import api_client
from framegate.box.keys import create_key
from framegate.box.launching import quickest
from framegate.box.logfiles import DIRECTORY, BoxLog
from framegate.environment import child_environment
from framegate.kernel.errors import FramegateError
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, new_image_id
from framegate.kernel.states import DEFAULT_SCOPES, Lane
from framegate.ports.store import ImageFilter, ImageRecord, NewImage
from framegate.settings import Settings

_BATCHES = (1, 4, 8)
_CAMERA = "bench"
_CONCURRENCY = 16
_TIMEOUT_S = 600.0
_HALF_LOAD_S = 15.0
_POLL_S = 0.5
_COLD_START_S = 60.0

#: A comment segment (marker FFFE, length 10) that holds eight digits.
_COMMENT = b"\xff\xfe\x00\x0a%08d"

Say = Callable[[str], None]


@dataclass(slots=True)
class Round:
    """One interleaved repetition; rates in images/s."""

    bare: float
    drain: float
    upload: float
    upload_adjusted: float
    bare_cpu_ms: float = 0.0
    drain_cpu_ms: dict[str, float] = field(default_factory=dict)
    upload_cpu_ms: dict[str, float] = field(default_factory=dict)


class Bench:
    """A running box and the frames to feed it."""

    def __init__(self, box: Box, files: Sequence[Path], scratch: Path) -> None:
        self.box, self.files, self.scratch = box, files, scratch
        self.cpus = len(os.sched_getaffinity(0))
        self.stores: Stores = open_stores(box.settings, box.database_url)
        self.blobs = open_blobs(box.settings.model_copy(update={"data": box.data}))
        self.stores.cameras.confirm_camera(DEFAULT_FACILITY, CameraId(_CAMERA), "bench")
        scopes = frozenset(map(str, DEFAULT_SCOPES))
        self.key = create_key(self.stores, box.settings, "bench", scopes, [DEFAULT_FACILITY], days=1)
        self._salt = 0

    def roots(self) -> dict[str, int]:
        """The processes whose CPU time counts, by stage; children and Postgres back ends included."""
        postmaster = (self.box.data / "postgres" / "postmaster.pid").read_text("ascii").split("\n")[0]
        return {**self.box.supervisor.pids(), "postgres": int(postmaster)}

    def salted(self) -> list[Path]:
        """The frames once more, each different from every earlier one: a JPEG comment makes it new."""
        self._salt += 1
        directory = self.scratch / f"round-{self._salt}"
        directory.mkdir()
        copies = []
        for file in self.files:
            copy = directory / file.name
            data = file.read_bytes()
            copy.write_bytes(data[:2] + _COMMENT % self._salt + data[2:])
            copies.append(copy)
        # The benchmark's own files must not be on their way to the disk while the box's fsyncs are timed.
        os.sync()
        return copies

    def drain(self) -> tuple[float, dict[str, float]]:
        """(images/s, core-milliseconds per image): a backlog appears at once and is worked off."""
        new = [self._stored(file.read_bytes()) for file in self.salted()]
        os.sync()  # as in `salted`
        cpu = cpu_seconds(self.roots())
        for i in range(0, len(new), 64):
            self.stores.intake.accept(new[i : i + 64])
        self.wait_until_idle()
        used = self._per_image(cpu, len(new))
        return len(new) / self._seconds(len(new)), used

    def _stored(self, data: bytes) -> NewImage:
        image_id, digest = new_image_id(), hashlib.sha256(data).hexdigest()
        key = f"originals/{DEFAULT_FACILITY}/bench/{image_id}.jpg"
        self.blobs.put(key, data, durable=False)
        return NewImage(
            DEFAULT_FACILITY, image_id, CameraId(_CAMERA), Lane.LIVE, key, "image/jpeg", digest, len(data), WIDTH, HEIGHT,
            1, (), None, {}, "bench", None, digest,
        )  # fmt: skip

    def upload(self) -> tuple[float, float, dict[str, float], LoadResult]:
        """(images/s, the same with the generator's CPU taken out, core-ms per image, what the generator saw)."""
        files = self.salted()
        cpu = cpu_seconds(self.roots())
        load = generate(self.box.base_url, self.key, _CAMERA, files, _CONCURRENCY)
        self.wait_until_idle()
        used, elapsed = self._per_image(cpu, len(files)), self._seconds(len(files))
        adjusted = len(files) * self.cpus / (elapsed * self.cpus - load.cpu_s)
        return len(files) / elapsed, adjusted, used, load

    def newest(self, count: int) -> list[ImageRecord]:
        """The `count` images accepted last."""
        records: list[ImageRecord] = []
        last = None
        while len(records) < count:
            where = ImageFilter(frozenset({DEFAULT_FACILITY}), before=last)
            page = self.stores.results.images(where, min(200, count - len(records)))
            records += page
            last = page[-1].facts.image_id
        return records

    def _seconds(self, count: int) -> float:
        """From the first acceptance to the last outcome of the newest `count` images, by the database's clock."""
        records = self.newest(count)
        ends = [record.decided_at for record in records if record.decided_at is not None]
        return (max(ends) - min(record.facts.received_at for record in records)).total_seconds()

    def half_load(self, rate_per_s: float) -> dict[str, Any]:
        """Latency percentiles in milliseconds at `rate_per_s`."""
        files = self.salted()[: max(20, int(rate_per_s * _HALF_LOAD_S))]
        load = generate(self.box.base_url, self.key, _CAMERA, files, _CONCURRENCY, rate_per_s)
        self.wait_until_idle()
        timings = [record.timings for record in self.newest(len(files))]
        waits = [t[name] for t in timings for name in t if name.endswith("wait_ms")]
        return {
            "rate_per_s": round(rate_per_s, 2),
            "images": len(files),
            "accept_ms": percentiles([s * 1000 for s in load.accept_s]),
            "queue_wait_ms": percentiles(waits),
            "verdict_ms": percentiles([t["accept_to_verdict_ms"] for t in timings]),
        }

    def wait_until_idle(self) -> None:
        """Until no image is in flight."""
        deadline = time.monotonic() + _TIMEOUT_S
        while self.stores.upkeep.in_flight():
            if time.monotonic() > deadline:
                raise FramegateError(
                    f"the box did not finish within {_TIMEOUT_S:.0f} s: see {self.box.data}/{DIRECTORY}"
                )
            time.sleep(_POLL_S)  # rarely: asking costs the database time that would be counted

    def _per_image(self, before: dict[str, float], count: int) -> dict[str, float]:
        after = cpu_seconds(self.roots())
        sums: dict[str, float] = {}
        for name, seconds in after.items():
            stage = name.partition("-")[0]
            sums[stage] = sums.get(stage, 0.0) + (seconds - before.get(name, 0.0)) * 1000 / count
        return {stage: round(ms, 3) for stage, ms in sorted(sums.items())}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and max."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {
        "p50": round(cuts[49], 2),
        "p95": round(cuts[94], 2),
        "p99": round(cuts[98], 2),
        "max": round(max(values), 2),
    }


@contextmanager
def running(settings: Settings) -> Iterator[Box]:
    """A box that is ready, its log in its data directory."""
    ending, ready = threading.Event(), threading.Event()
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with BoxLog(settings.data) as logs, open_box(settings, quickest(), logs) as box:
        thread = threading.Thread(target=lambda: box.supervisor.run(ending), name="supervisor")
        thread.start()
        try:
            if not box.wait_ready(60, ready):
                raise FramegateError(f"the box did not become ready: see {settings.data}/{DIRECTORY}")
            yield box
        finally:
            ending.set()
            thread.join()


def cold_start(settings: Settings, frame: Path, data: Path) -> float:
    """Seconds from starting `framegate up` on an empty directory to the first verdict over HTTP."""
    port = free_port()
    started = time.monotonic()
    with (data.parent / "cold.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "framegate",
                "up",
                "--data",
                str(data),
                "--port",
                str(port),
                "--model",
                settings.model or "starter",
            ],
            stdout=log,
            stderr=log,
            env=child_environment(),
        )
        try:
            return _first_verdict(port, data, frame, started)
        finally:
            process.terminate()
            process.wait(30)


def _first_verdict(port: int, data: Path, frame: Path, started: float) -> float:
    base_url, key = f"http://127.0.0.1:{port}", ""
    while time.monotonic() - started < _COLD_START_S:
        try:
            # The key is made here and not by the command line, whose own start would take the CPU from the box.
            key = key or _key_of(data, base_url)
            with api_client(base_url, key) as client:
                image = client.submit(frame.read_bytes(), ".jpg", camera=_CAMERA)["id"]
                while client.image(image)["state"] not in ("decided", "rejected", "failed"):
                    time.sleep(0.01)
                return time.monotonic() - started
        except (FramegateError, httpx.HTTPError):
            time.sleep(0.05)
    raise FramegateError(f"no verdict within {_COLD_START_S:.0f} s of a cold start")


def _key_of(data: Path, base_url: str) -> str:
    httpx.get(f"{base_url}/healthz", timeout=1, trust_env=False)  # once the API is there, so are the tables
    url = EmbeddedPostgres(data).attach()
    if url is None:
        raise FramegateError(f"the database in {data} is gone")
    settings = Settings.read(data=data)
    stores = open_stores(settings, url)
    try:
        return create_key(stores, settings, "bench", frozenset(map(str, DEFAULT_SCOPES)), [DEFAULT_FACILITY], days=1)
    finally:
        stores.close()


def run_bench(settings: Settings, scratch: Path, images: int, repeats: int, say: Say) -> dict[str, Any]:
    """The whole benchmark; the report as a dictionary."""
    frames = scratch / "frames"
    frames.mkdir()
    say(f"making {images} frames of {WIDTH}x{HEIGHT}")
    files = make_frames(frames, images, seed=1, progress=lambda _: None)
    say("cold start")
    cold = [cold_start(settings, files[i], scratch / f"cold-{i}") for i in range(3)]
    cpus = len(os.sched_getaffinity(0))
    layouts, model = {}, settings.model or "starter"
    for batch in _BATCHES:
        layouts[batch], _ = bare.measure(files[: images // 2], batch, cpus, scratch, model)
        say(f"bare limit, one process per core, batch {batch}: {layouts[batch]:.1f} images/s")
    best = max(layouts, key=lambda batch: layouts[batch])
    api = settings.api.model_copy(update={"port": free_port(), "min_free_mb": 64})
    settings = settings.model_copy(update={"data": scratch / "box", "api": api})
    with running(settings) as box:
        bench = Bench(box, files, scratch)
        bench.drain()  # warm
        rounds = [_round(bench, best, i, say) for i in range(repeats)]
        half = bench.half_load(statistics.median(r.drain for r in rounds) / 2)
        engine = next(iter(bench.stores.results.images(ImageFilter(frozenset({DEFAULT_FACILITY})), 1))).engine
        bench.stores.close()
    return _report(rounds, layouts, best, half, cold, files, engine, cpus)


def _round(bench: Bench, batch: int, number: int, say: Say) -> Round:
    limit, bare_cpu_ms = bare.measure(
        bench.files, batch, bench.cpus, bench.scratch, bench.box.settings.model or "starter"
    )
    drain, drain_cpu = bench.drain()
    upload, adjusted, upload_cpu, _ = bench.upload()
    say(
        f"round {number + 1}: bare {limit:.1f}, drain {drain:.1f} ({drain / limit:.3f}), "
        f"upload {upload:.1f}, without the generator's CPU {adjusted:.1f} ({adjusted / limit:.3f})"
    )
    return Round(limit, drain, upload, adjusted, bare_cpu_ms, drain_cpu, upload_cpu)


def _report(
    rounds: Sequence[Round],
    layouts: dict[int, float],
    best: int,
    half: dict[str, Any],
    cold: Sequence[float],
    files: Sequence[Path],
    engine: str | None,
    cpus: int,
) -> dict[str, Any]:
    def middle(values: Sequence[float]) -> float:
        return round(statistics.median(values), 3)

    return {
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "cpus": cpus,
        "cpu": _cpu_model(),
        "engine": engine,
        "images": len(files),
        "frame_bytes": round(statistics.mean(f.stat().st_size for f in files)),
        "bare_layouts_images_per_s": {f"batch {b}": round(rate, 2) for b, rate in layouts.items()},
        "bare_batch": best,
        "bare_images_per_s": middle([r.bare for r in rounds]),
        "drain_images_per_s": middle([r.drain for r in rounds]),
        "upload_images_per_s": middle([r.upload for r in rounds]),
        "upload_adjusted_images_per_s": middle([r.upload_adjusted for r in rounds]),
        "ratio": middle([r.drain / r.bare for r in rounds]),
        "ratio_upload": middle([r.upload_adjusted / r.bare for r in rounds]),
        "rounds": [{"bare": r.bare, "drain": r.drain, "upload_adjusted": r.upload_adjusted} for r in rounds],
        "core_ms_per_image": {
            "bare": {"all": middle([r.bare_cpu_ms for r in rounds])},
            "drain": rounds[-1].drain_cpu_ms,
            "upload": rounds[-1].upload_cpu_ms,
        },
        "half_load": half,
        "cold_start_s": {"median": middle(cold), "max": round(max(cold), 3)},
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"
