"""Engines side by side on the same frames, in the same run: how fast, and how much of what the source sees."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from framegate.bootstrap.engines import open_engine, reference_engine
from framegate.inference.answers import answers
from framegate.inference.fleet import Frame
from framegate.kernel.agreement import Agreement, Tolerances, compare_all
from framegate.kernel.frames import pad
from framegate.kernel.manifest import ModelManifest
from framegate.ports.engine import Engine
from framegate.settings import Settings

#: A clear box agrees with one of its class on the other side that overlaps by this much and is about as sure.
TOLERANCES: Final = Tolerances(clear=0.30, iou=0.75, confidence=0.10)
#: Share of the clear boxes that must agree.
LIMIT: Final = 0.95
_ROUNDS: Final = 3
_FRAMES: Final = 24


@dataclass(frozen=True, slots=True)
class Contender:
    """An engine that takes part; `of_export`: it serves the new weights, else the source."""

    name: str
    of_export: bool
    open: Callable[[], Engine]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a contender did. `agreement` is with the reference, which is the first of the list."""

    name: str
    of_export: bool
    images_per_s: float  #: one process, with the threads of the settings, batches as large as the engine takes
    agreement: Agreement

    @property
    def agreed(self) -> float | None:
        """Share of the clear boxes of either side that agree; None where there is none."""
        boxes, found = self.agreement.boxes, self.agreement
        return 1 - (found.lost + found.new + found.apart) / boxes if boxes else None

    def __str__(self) -> str:
        return f"{self.name}: {self.images_per_s:.1f} images/s; {self.agreement}"

    def to_json(self) -> dict[str, Any]:
        """For a manifest and for programs."""
        agreed = {} if self.agreed is None else {"agreed": round(self.agreed, 4)}
        rate = round(self.images_per_s, 2)
        return {"engine": self.name, "images_per_s": rate, **agreed, **self.agreement.to_json()}


def contenders(settings: Settings, source: ModelManifest, made: ModelManifest, target: str) -> Iterator[Contender]:
    """The reference, the engines that serve the source today, and those that would serve the export."""
    yield Contender("source", False, partial(reference_engine, settings, source))
    if target == "tensorrt":
        yield Contender("export", True, partial(open_engine, settings, made, "tensorrt"))
        return
    for exact in (True, False):
        if source.weights.suffix == ".onnx":
            yield Contender("source", False, partial(open_engine, settings, source, "openvino", exact=exact))
    for name in ("openvino", "onnxruntime"):
        yield Contender("export", True, partial(open_engine, settings, made, name))


def contest(
    rivals: Iterator[Contender], manifest: ModelManifest, frames: Sequence[Frame], say: Callable[[str], None]
) -> Iterator[Standing]:
    """Opens all, compares what they see, then lets them take turns for speed. Engines that are the same run once."""
    with ExitStack() as closing:
        engines: dict[str, tuple[Contender, Engine]] = {}
        for rival in rivals:
            engine = rival.open()
            closing.callback(engine.close)
            engines.setdefault(f"{rival.name}: {engine.description}", (rival, engine))
        say(f"comparing {len(engines)} engines on {len(frames)} pictures ...")
        seen = {name: answers(engine, manifest, frames) for name, (_, engine) in engines.items()}
        expected = next(iter(seen.values()))
        speeds: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(_ROUNDS):
            for name, (_, engine) in engines.items():
                speeds[name].append(_images_per_s(engine, manifest, frames[:_FRAMES]))
        for name, (rival, _) in engines.items():
            agreement = compare_all(expected, seen[name], TOLERANCES)
            yield Standing(name, rival.of_export, statistics.median(speeds[name]), agreement)


def _images_per_s(engine: Engine, manifest: ModelManifest, frames: Sequence[Frame]) -> float:
    padded = np.stack([pad(content, box, manifest.input.pad_value) for content, box in frames])
    size = min(engine.max_batch, len(padded))
    engine.infer(padded[:size])
    started = time.perf_counter()
    for start in range(0, len(padded), size):
        engine.infer(padded[start : start + size])
    return len(padded) / (time.perf_counter() - started)
