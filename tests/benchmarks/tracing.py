"""What tracing costs: `python -m tests.benchmarks.tracing [--images N] [--rounds N]`, prints JSON.

CPU-milliseconds of the process per image, from the recorded upload to the outcome, with tracing off, for one image of a
hundred, and for all of them. The pipeline is the real one over Postgres, with stages that do nothing: decoding and the engine,
which take most of an image's time, are left out, and so is Postgres itself, so that the shares are of the part that tracing is
in and an upper bound of what a box sees. Spans go to a collector in a process of its own. The modes take turns in every
round, in a random order; `ratio` is the mean of the rounds' ratios to `off`, with a 95 % bootstrap interval.
"""

import argparse
import json
import multiprocessing
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
from tests.contracts.examples import inspected, new_image, outcome, prepared

from framegate.adapters.clock import SystemClock
from framegate.bootstrap import EmbeddedPostgres, Stores, migrate, open_stores, open_tracing
from framegate.kernel.states import Stage
from framegate.observability.catalogue import SPANS
from framegate.observability.logs import configure_logs
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Kind, Tracing
from framegate.ports.progress import Claim, Result
from framegate.settings import Settings, TraceSettings
from framegate.worker.handler import WorkerOptions
from framegate.worker.loop import Worker

SHARES: Final = {"off": None, "one_percent": 0.01, "all": 1.0}
_ACCEPTED_TOGETHER: Final = 32
_PATIENCE_S: Final = 120


@dataclass
class Stub:
    """A stage without work."""

    stage: Stage
    result: Result

    def load(self, claim: Claim) -> Claim:
        return claim

    def handle(self, jobs: Sequence[Claim]) -> list[Result]:
        return [self.result] * len(jobs)

    def settled(self, jobs: Sequence[Claim]) -> None:
        pass

    def close(self) -> None:
        pass


STAGES: Final = (
    (Stub(Stage.PREPROCESS, prepared()), 1),
    (Stub(Stage.INFERENCE, inspected("box")), 4),
    (Stub(Stage.GATE, outcome()), 64),
)


def _collect(ready: Connection) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    ready.send(server.server_address[1])
    server.serve_forever()


@contextmanager
def collector() -> Iterator[str]:
    """Its URL."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_collect, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def accept(stores: Stores, tracing: Tracing, count: int) -> None:
    """As the API does it, without HTTP."""
    for start in range(0, count, _ACCEPTED_TOGETHER):
        uploads = []
        for _ in range(min(_ACCEPTED_TOGETHER, count - start)):
            image, traced = new_image(), tracing.upload("")
            traced.storing()
            uploads.append((replace(image, trace=traced.begin(image.image_id, image.facility, image.camera)), traced))
            traced.durable()
        stores.intake.accept([image for image, _ in uploads])
        for _, traced in uploads:
            traced.recorded("POST /v1/images", Kind.SERVER, "frame-submitted-live", {"http.request.method": "POST"})


def cpu_ms(stores: Stores, settings: Settings, images: int, spans: Metrics) -> float:
    """Of one image, with the process's threads, the exporter's included."""
    stop = threading.Event()
    began = time.process_time()
    with ExitStack() as stack:
        tracing = stack.enter_context(open_tracing(settings, spans, [Stage.GATE]))
        for stub, batch in STAGES:
            queue = stores.queue(str(stub.stage))
            stack.callback(queue.close)
            options = WorkerOptions(owner=str(stub.stage), max_batch=batch, prefetch=24, poll=timedelta(seconds=1))
            worker = Worker(stub, queue, stores.progress, options, SystemClock(), Metrics(), tracing)
            thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
            thread.start()
            stack.callback(thread.join, 30)
        stack.callback(stop.set)
        accept(stores, tracing, images)
        deadline = time.monotonic() + _PATIENCE_S
        while stores.upkeep.in_flight():
            if time.monotonic() > deadline:
                raise TimeoutError("the images do not end")
            time.sleep(0.1)
    return (time.process_time() - began) * 1000 / images


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Of the mean, 95 %, by bootstrap (percentiles of 10,000 samples)."""
    rng = np.random.default_rng(1)
    means = rng.choice(np.asarray(values), (10_000, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def compare(stores: Stores, url: str, images: int, rounds: int) -> dict[str, Any]:
    """What each mode takes."""
    taken: dict[str, list[float]] = {name: [] for name in SHARES}
    spans = {name: Metrics() for name in SHARES}
    for number in range(rounds + 1):
        order = random.sample(list(SHARES), len(SHARES))
        for name in order:
            share = SHARES[name]
            traces = TraceSettings() if share is None else TraceSettings(endpoint=url, sample=share)
            ms = cpu_ms(stores, Settings(traces=traces), images, spans[name])
            if number:  # the first round warms everything up
                taken[name].append(ms)
    told: dict[str, Any] = {"images": images, "rounds": rounds}
    for name, values in taken.items():
        ratios = [value / off for value, off in zip(values, taken["off"], strict=True)]
        told[name] = {
            "cpu_ms_per_image": round(statistics.median(values), 3),
            "ratio": round(statistics.fmean(ratios), 4),
            "ratio_95": interval(ratios),
            "spans": {r: spans[name].value(SPANS, {"result": r}) for r in ("exported", "dropped", "failed")},
        }
    return told


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000, help="in each mode of each round")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    configure_logs(level="ERROR")
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder)).owned() as database,
        collector() as url,
    ):
        migrate(database)
        stores = open_stores(Settings(), database)
        try:
            print(json.dumps(compare(stores, url, asked.images, asked.rounds), indent=2))
        finally:
            stores.close()


if __name__ == "__main__":
    main()
