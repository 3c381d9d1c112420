"""What the instrumentation of one image costs, apart: `python -m tests.benchmarks.instrumented_loop [--rounds N]`, prints JSON.

The workers of the three stages over memory adapters, with stages that do nothing: what is left is what is instrumented, and
small enough to see microseconds where neighbours disturb everything longer. The modes of `tests.benchmarks.instrumentation`
(but `all`) take turns in every round, in a random order, with an exporter that is awaited. Batches of one image: the most
that is written. `added_ms` is the mean of the rounds' differences of CPU time to the mode before, for each image, with a
95 % bootstrap interval; `share` is that of `--whole-ms`, the CPU time of a whole image. `writes` are calls of `Metrics`.

Each part of an image finds its code in the processor's caches here, as it does not where an engine runs in between.
"""

import argparse
import json
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import numpy as np
from tests.benchmarks.instrumentation_report import METRICS, ONE_PERCENT, WITHOUT, interval
from tests.benchmarks.kept import NoMetrics
from tests.benchmarks.tracing import STAGES, Stub, collector
from tests.contracts.examples import new_image

from framegate.adapters.clock import SystemClock
from framegate.adapters.measured import MeasuredIntake, MeasuredProgress, MeasuredQueue
from framegate.adapters.memory import MemoryStore
from framegate.adapters.otlp import SpanSender, otlp_exporter
from framegate.ingest.counting import CountedIntake
from framegate.kernel.states import Stage
from framegate.observability.catalogue import Metric
from framegate.observability.logs import configure_logs
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Kind, Span, Tracing
from framegate.ports.progress import Claim, Progress
from framegate.ports.store import Intake
from framegate.worker.handler import WorkerOptions
from framegate.worker.loop import Worker

#: Mode -> the one that it is compared with.
COMPARED: Final = {METRICS: WITHOUT, ONE_PERCENT: METRICS}
LIMITS: Final = {METRICS: 0.02, ONE_PERCENT: 0.01}
_PATIENCE_S: Final = 120


class CountingMetrics(Metrics):
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        super().__init__()

    def count(self, metric: Metric, amount: float = 1, /, **labels: str) -> None:
        """See `Metrics`."""
        self.calls[metric.name] += 1
        super().count(metric, amount, **labels)

    def set(self, metric: Metric, value: float, /, **labels: str) -> None:
        """See `Metrics`."""
        self.calls[metric.name] += 1
        super().set(metric, value, **labels)

    def observe(self, metric: Metric, value: float, trace_id: str = "", /, **labels: str) -> None:
        """See `Metrics`."""
        self.calls[metric.name] += 1
        super().observe(metric, value, trace_id, **labels)


@dataclass
class LastStub(Stub):
    """Says when images have ended."""

    ended: threading.Semaphore

    def settled(self, jobs: Sequence[Claim]) -> None:
        """Their outcomes are durable."""
        self.ended.release(len(jobs))


class Exported:
    """`Record`, by a real exporter that can be awaited."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self._recorded, self._told = 0, 0
        self._sender = SpanSender(otlp_exporter(f"{url}/v1/traces", 5), {}, self._tell)
        stack.callback(self._sender.close)
        self._lock = threading.Lock()

    def __call__(self, span: Span) -> None:
        with self._lock:
            self._recorded += 1
        self._sender(span)

    def _tell(self, _: str, spans: int) -> None:
        with self._lock:
            self._told += spans

    def flush(self) -> None:
        """Waits until it is done with all."""
        ends = time.monotonic() + _PATIENCE_S
        while self._told < self._recorded:
            if time.monotonic() > ends:
                raise TimeoutError("the spans are not exported")
            time.sleep(0.2)


def accept(intake: Intake, tracing: Tracing, images: int) -> None:
    """As the API does it, without HTTP and files."""
    for _ in range(images):
        traced, image = tracing.upload(""), new_image()
        traced.storing()
        traced.durable()
        context = traced.begin(image.image_id, image.facility, image.camera)
        intake.accept([replace(image, trace=context)])
        traced.recorded("POST /v1/images", Kind.SERVER, "frame-submitted-live", {"http.request.method": "POST"})


def cpu_ms(metrics: Metrics, tracing: Tracing, images: int, exported: Exported | None = None) -> float:
    """Of one image. Starting and stopping is left out."""
    store, clock, stop, ended = MemoryStore(SystemClock()), SystemClock(), threading.Event(), threading.Semaphore(0)
    queue: Any = store.queue  # without `close`, which no worker calls
    progress: Progress = store.progress
    intake: Intake = store.intake
    if not isinstance(metrics, NoMetrics):
        queue, progress = MeasuredQueue(queue, metrics), MeasuredProgress(progress, metrics)
        intake = CountedIntake(MeasuredIntake(intake, metrics), metrics)
    threads = []
    for stub, _ in STAGES:
        handler = LastStub(stub.stage, stub.result, ended) if stub.stage is Stage.GATE else stub
        options = WorkerOptions(str(stub.stage), prefetch=12, poll=timedelta(seconds=1))
        worker = Worker(handler, queue, progress, options, clock, metrics, tracing)
        threads.append(threading.Thread(target=worker.run, args=(stop,), daemon=True))
        threads[-1].start()
    try:
        began = time.process_time()
        accept(intake, tracing, images)
        for _ in range(images):
            if not ended.acquire(timeout=_PATIENCE_S):
                raise TimeoutError("the images do not end")
        taken_s = time.process_time() - began
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    if exported is not None:
        began = time.process_time()
        exported.flush()
        taken_s += time.process_time() - began
    return taken_s * 1000 / images


def compare(url: str, images: int, rounds: int, whole_ms: float) -> dict[str, Any]:
    """What each mode takes."""
    taken: dict[str, list[float]] = {WITHOUT: [], METRICS: [], ONE_PERCENT: []}
    with ExitStack() as stack:
        exported = Exported(url, stack)
        modes: dict[str, tuple[Metrics, Tracing, Exported | None]] = {
            WITHOUT: (NoMetrics(), Tracing(), None),
            METRICS: (Metrics(), Tracing(), None),
            ONE_PERCENT: (Metrics(), Tracing(exported, sample=0.01), exported),
        }
        for number in range(rounds + 1):
            for name in random.sample(list(modes), len(modes)):
                metrics, tracing, sent = modes[name]
                ms = cpu_ms(metrics, tracing, images, sent)
                if number:  # the first round warms everything up
                    taken[name].append(ms)
    counting = CountingMetrics()
    cpu_ms(counting, Tracing(), images)
    told: dict[str, Any] = {"images": images, "rounds": rounds, "whole_ms": whole_ms}
    told["writes_per_image"] = round(counting.calls.total() / images, 1)
    told["cpu_ms_per_image"] = {name: round(statistics.median(values), 4) for name, values in taken.items()}
    for name, base in COMPARED.items():
        added = [one - other for one, other in zip(taken[name], taken[base], strict=True)]
        added_95 = interval(lambda samples: samples.mean(axis=1), added)
        told[name] = {
            "against": base,
            "added_ms": round(statistics.fmean(added), 4),
            "added_ms_95": added_95,
            "median_added_ms": round(statistics.median(added), 4),
            "median_added_ms_95": interval(lambda samples: np.median(samples, axis=1), added),
            "share_95": [round(ms / whole_ms, 5) for ms in added_95],
            "limit": LIMITS[name],
        }
    return told


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300, help="in each mode of each round")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument(
        "--whole-ms", type=float, default=89.4, help="docs/benchmarks.md: the bare limit's, without the rest"
    )
    asked = parser.parse_args()
    configure_logs(level="ERROR")
    with collector() as url:
        print(json.dumps(compare(url, asked.images, asked.rounds, asked.whole_ms), indent=2))


if __name__ == "__main__":
    main()
