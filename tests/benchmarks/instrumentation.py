"""What metrics and tracing cost: `python -m tests.benchmarks.instrumentation [--images N] [--minutes N]`, prints JSON.

CPU-milliseconds for each image from the durable original to the recorded outcome: the real stages as workers of this process
over the embedded Postgres, with a decoder child, ONNX Runtime and the starter on 1920x1080 JPEGs. The child's CPU time counts,
that of Postgres and of HTTP does not, which makes the shares larger than those of a box. Four modes take turns in every
round, in a random order: `without` metrics (no wrappers of adapters, and a `Metrics` that writes nothing), `metrics`,
`one_percent` and `all`: metrics and so many images traced. All use the same engine, decoder and frames; what starts (workers,
exporter, connections, series) starts before the clock does, and an exporter is awaited.

What is made of it is in `instrumentation_report`.
"""

import argparse
import itertools
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.instrumentation_report import ALL, METRICS, ONE_PERCENT, WITHOUT, Taken, report
from tests.benchmarks.kept import CountingGate, KeptChild, KeptFleet, NoMetrics, Repeating
from tests.benchmarks.tracing import collector
from tests.contracts.examples import new_image
from tests.support.jpegs import commented

from framegate.adapters.clock import SystemClock
from framegate.adapters.measured import MeasuredEngine
from framegate.adapters.otlp import SpanSender, otlp_exporter
from framegate.bootstrap import (
    EmbeddedPostgres,
    Stores,
    adopt_model,
    load_manifest,
    make_engine,
    migrate,
    open_blobs,
    open_stores,
)
from framegate.box.bench.frames import HEIGHT, WIDTH, make_frames
from framegate.gate.policy import document_from_manifest
from framegate.inference.fleet import Fleet, LoadedModel
from framegate.inference.stage import InferenceHandler
from framegate.ingest.counting import CountedIntake
from framegate.kernel.manifest import ModelManifest
from framegate.observability.catalogue import SPANS
from framegate.observability.logs import configure_logs
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Kind, Span, Systems, Tracing
from framegate.ports.blobs import Blobs
from framegate.ports.engine import Engine
from framegate.ports.store import Intake
from framegate.preprocess.stage import PreprocessHandler
from framegate.settings import InferenceSettings, Settings
from framegate.worker.handler import Handler, WorkerOptions
from framegate.worker.loop import Worker
from framegate.worker.models import Rollouts

_SAMPLES: Final = {ONE_PERCENT: 0.01, ALL: 1.0}
_WARM: Final = 2
_PATIENCE_S: Final = 120
#: So many images with repeated answers for each whole one.
_REPEATED: Final = 6
#: Between the last acknowledgement and the end of what is noted after it.
_NOTED_S: Final = 0.1
_FRAMES: Final = 16


@dataclass
class Mode:
    """One way to instrument, for the whole run."""

    metrics: Metrics
    stores: Stores
    blobs: Blobs
    intake: Intake
    quiet: bool
    tracing: Tracing = field(default_factory=Tracing)
    recorded: list[None] = field(default_factory=list)  #: one for each span

    def engine(self, engine: Engine) -> Engine:
        """As inference sees it."""
        return engine if self.quiet else MeasuredEngine(engine, "starter", self.metrics)

    def trace(self, url: str, sample: float, stack: ExitStack) -> None:
        """From now on."""
        exporter = otlp_exporter(f"{url}/v1/traces", 5)
        sender = SpanSender(exporter, {}, lambda how, spans: self.metrics.count(SPANS, spans, result=how))
        stack.callback(sender.close)

        def record(span: Span) -> None:
            self.recorded.append(None)
            sender(span)

        self.tracing = Tracing(record, sample=sample, systems=Systems("postgresql", "postgresql"))

    def told(self) -> float:
        """Spans that the exporter is done with."""
        return sum(self.metrics.value(SPANS, {"result": how}) for how in ("exported", "dropped", "failed"))

    def flush(self) -> None:
        """Waits for the exporter."""
        ends = time.monotonic() + _PATIENCE_S
        while self.told() < len(self.recorded):
            if time.monotonic() > ends:
                raise TimeoutError("the spans are not exported")
            time.sleep(0.2)


@dataclass(frozen=True)
class Shared:
    """What all modes use."""

    manifest: ModelManifest
    child: KeptChild
    engine: Repeating
    loaded: LoadedModel
    fleet: Fleet
    frames: Iterator[bytes]
    originals: Blobs


def accept(mode: Mode, frames: Sequence[bytes]) -> list[str]:
    """As the API does it, without HTTP; the keys of the originals."""
    keys = []
    for data in frames:
        traced = mode.tracing.upload("")
        image = new_image(data, width=WIDTH, height=HEIGHT, size_bytes=len(data))
        traced.storing()
        mode.blobs.put(image.blob_key, data)
        traced.durable()
        context = traced.begin(image.image_id, image.facility, image.camera)
        mode.intake.accept([replace(image, trace=context)])
        traced.recorded("POST /v1/images", Kind.SERVER, "frame-submitted-live", {"http.request.method": "POST"})
        keys.append(image.blob_key)
    return keys


def workers(mode: Mode, shared: Shared, gate: CountingGate) -> Iterator[Worker[Any]]:
    """Of the three stages, set up as `bootstrap.stages` does it; a batch is one frame, as where batches do not pay."""
    shared.loaded.engine = mode.engine(shared.engine)
    preprocess = PreprocessHandler(mode.blobs, lambda _: shared.manifest.input, "raw", lambda: shared.child)
    handlers: tuple[tuple[Handler[Any], WorkerOptions], ...] = (
        (preprocess, WorkerOptions("preprocess", prefetch=24, isolates=True)),
        (InferenceHandler(shared.fleet, mode.blobs), WorkerOptions("inference", prefetch=12)),
        (gate, WorkerOptions("gate", max_batch=64, prefetch=64)),
    )
    for handler, options in handlers:
        queue = mode.stores.queue(options.owner)
        yield Worker(handler, queue, mode.stores.progress, options, SystemClock(), mode.metrics, mode.tracing)


class Round:
    """One mode once."""

    def __init__(self, mode: Mode, shared: Shared) -> None:
        self._mode, self._shared, self._stop = mode, shared, threading.Event()
        policy = document_from_manifest(shared.manifest)
        self._gate = CountingGate(mode.stores.policies, policy, SystemClock(), mode.metrics)
        self._gate.ended = threading.Semaphore(0)

    def run(self, images: int) -> float:
        """CPU-milliseconds of one; starting and stopping the workers is left out, the rest of their spans awaited."""
        made = list(workers(self._mode, self._shared, self._gate))
        threads = [threading.Thread(target=worker.run, args=(self._stop,), daemon=True) for worker in made]
        for thread in threads:
            thread.start()
        try:
            self._through(_WARM)
            self._mode.flush()
            before = self._cpu_s()
            self._through(images)
            taken_s = self._cpu_s() - before
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(30)
        stopped = time.process_time()
        self._mode.flush()
        return (taken_s + time.process_time() - stopped) * 1000 / images

    def _through(self, images: int) -> None:
        """So many, until the workers have nothing left to do with them."""
        keys = accept(self._mode, list(itertools.islice(self._shared.frames, images)))
        for _ in keys:
            if not self._gate.ended.acquire(timeout=_PATIENCE_S):
                raise TimeoutError("the images do not end")
        time.sleep(_NOTED_S)
        for key in keys:
            self._shared.originals.delete(key)

    def _cpu_s(self) -> float:
        return time.process_time() + self._shared.child.cpu_s()


def take(mode: Mode, shared: Shared, images: int) -> Taken:
    """One round of one mode."""
    shared.child.repeats = shared.engine.repeats = False
    whole = Round(mode, shared).run(images)
    shared.child.repeats = shared.engine.repeats = True
    return Taken(whole, Round(mode, shared).run(_REPEATED * images))


def salted(frames: Sequence[bytes]) -> Iterator[bytes]:
    """Without end, each unlike any other: what is known already is not inspected again."""
    for number, data in enumerate(itertools.cycle(frames)):
        yield commented(data, f"image {number}")


def scrape_ms(metrics: Metrics, times: int = 20) -> float:
    """CPU-milliseconds of one scrape of what these images left, without reading the host."""
    began = time.process_time()
    for _ in range(times):
        metrics.render("application/openmetrics-text")
    return round((time.process_time() - began) * 1000 / times, 2)


@contextmanager
def opened(settings: Settings, database: str, url: str) -> Iterator[dict[str, Mode]]:
    """Every mode, by its name."""
    with ExitStack() as stack:

        def mode(name: str) -> Mode:
            quiet = name == WITHOUT
            metrics = NoMetrics() if quiet else Metrics(settings.metrics.cameras)
            stores = open_stores(settings, database, None if quiet else metrics)
            stack.callback(stores.close)
            blobs = open_blobs(settings, None if quiet else metrics)
            intake = stores.intake if quiet else CountedIntake(stores.intake, metrics)
            made = Mode(metrics, stores, blobs, intake, quiet)
            if name in _SAMPLES:
                made.trace(url, _SAMPLES[name], stack)
            return made

        yield {name: mode(name) for name in (WITHOUT, METRICS, ONE_PERCENT, ALL)}


def compare(settings: Settings, modes: dict[str, Mode], images: int, minutes: float) -> dict[str, Any]:
    """All of it."""
    adopt_model(settings, modes[WITHOUT].stores, "operator")
    rollout = Rollouts(modes[WITHOUT].stores.registry, SystemClock()).current()
    manifest, child = load_manifest("starter"), KeptChild()
    engine = Repeating(make_engine(settings, manifest))
    loaded = LoadedModel(rollout.incumbent, manifest, engine)
    fleet = KeptFleet(lambda _: loaded, SystemClock())
    fleet.load(rollout)
    fleet.serve(rollout)
    child.start()  # by this thread, with which it ends
    with tempfile.TemporaryDirectory() as folder:
        files = make_frames(Path(folder), _FRAMES, seed=1, progress=lambda _: None)
        frames = salted([file.read_bytes() for file in files])
    shared = Shared(manifest, child, engine, loaded, fleet, frames, modes[WITHOUT].blobs)
    taken: dict[str, list[Taken]] = {name: [] for name in modes}
    ends = time.monotonic() + minutes * 60
    for number in itertools.count():
        if number > 1 and time.monotonic() > ends:
            break
        for name in random.sample(list(modes), len(modes)):
            one = take(modes[name], shared, images)
            if number:  # the first round warms everything up
                taken[name].append(one)
            print(number, name, one, file=sys.stderr, flush=True)
    told: dict[str, Any] = {"images": images, "rounds": len(taken[WITHOUT]), "engine": engine.description}
    spans = {name: len(modes[name].recorded) for name in _SAMPLES}
    return told | report(taken) | {"spans": spans, "scrape_cpu_ms": scrape_ms(modes[METRICS].metrics)}


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6, help="whole ones, in each mode of each round")
    parser.add_argument("--minutes", type=float, default=20, help="no round begins later")
    asked = parser.parse_args()
    configure_logs(level="ERROR")
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "postgres").owned() as database,
        collector() as url,
    ):
        migrate(database)
        settings = Settings(data=Path(folder), engine="onnxruntime", inference=InferenceSettings(max_batch=1))
        with opened(settings, database, url) as modes:
            print(json.dumps(compare(settings, modes, asked.images, asked.minutes), indent=2))


if __name__ == "__main__":
    main()
