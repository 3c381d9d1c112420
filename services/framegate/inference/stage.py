"""The inference stage: prepared frames in, detections in pixels of the original out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framegate.inference.heads import Rows, decode_head
from framegate.kernel.detections import Detections
from framegate.kernel.errors import BlobMissing, EngineFault, FramegateError
from framegate.kernel.frames import decode_frame, pad
from framegate.kernel.geometry import Letterbox
from framegate.kernel.inspection import Failed, Inspected, Prepared
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.states import Stage
from framegate.ports.blobs import Blobs
from framegate.ports.clock import Clock
from framegate.ports.engine import Engine
from framegate.ports.progress import Claim, Result

_GREY = 114
_WORTH_WAITING = 0.95
_MEASURE_S = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A claim and its prepared frame: content rows, read-only, padded only when its batch is put together."""

    claim: Claim
    prepared: Prepared
    content: NDArray[np.uint8]


class InferenceHandler:
    """The engine belongs to the one thread that calls `warm`, `handle` and `close`; `load` and `settled` may run beside."""

    stage = Stage.INFERENCE

    def __init__(self, engine: Engine, manifest: ModelManifest, blobs: Blobs, clock: Clock) -> None:
        self._engine, self._manifest, self._blobs, self._clock = engine, manifest, blobs, clock
        self._frames = np.full((engine.max_batch, manifest.input.height, manifest.input.width, 3), _GREY, np.uint8)

    def warm(self) -> int:
        """Infers grey frames until the first image will be as fast as any; returns the batch that is worth using: the
        largest where that is faster for each frame than one at a time, else 1.

        With AMX or on a GPU batches win; on other processors they only push each other out of the cache, and sizes that
        will not be used need no warmth. Raises `EngineFault` when the output is not what the manifest says.
        """
        largest = self._engine.max_batch
        for n in {1, largest}:
            self._try(n)
        if self._seconds_per_frame(largest) >= _WORTH_WAITING * self._seconds_per_frame(1):
            return 1
        for n in range(2, largest):
            self._try(n)
        return largest

    def _try(self, n: int) -> None:
        for rows in decode_head(self._infer(n), self._manifest):
            if isinstance(rows, EngineFault):
                raise rows

    def _seconds_per_frame(self, n: int) -> float:
        """The fastest of up to three runs; slow ones are not repeated much, they delay readiness."""
        fastest, ends = float("inf"), self._clock.monotonic() + _MEASURE_S
        for _ in range(3):
            started = self._clock.monotonic()
            self._infer(n)
            ended = self._clock.monotonic()
            fastest = min(fastest, ended - started)
            if ended >= ends:
                break
        return fastest / n

    def load(self, claim: Claim) -> Job:
        """Raises `BlobMissing` also for a prepared frame that cannot be used: both are cured by preparing it again."""
        prepared = claim.prepared
        if prepared is None:
            raise FramegateError(f"image {claim.image.image_id} came to inference without a prepared frame")
        box = prepared.letterbox
        if (box.input_width, box.input_height) != (self._manifest.input.width, self._manifest.input.height):
            raise BlobMissing(f"{prepared.blob_key} was prepared for another model's input")
        data = self._blobs.get(prepared.blob_key)
        try:
            content = decode_frame(data, prepared.codec, box.content_height, box.content_width)
        except ValueError as error:
            raise BlobMissing(f"{prepared.blob_key} is damaged: {error}") from error
        return Job(claim, prepared, content)

    def handle(self, jobs: Sequence[Job]) -> list[Result]:
        """Raises `EngineFault` when the engine refuses the batch or its output has the wrong shape."""
        for job, frame in zip(jobs, self._frames[: len(jobs)], strict=True):
            pad(job.content, job.prepared.letterbox, self._manifest.input.pad_value, out=frame)
        decoded = decode_head(self._infer(len(jobs)), self._manifest)
        engine = self._engine.description
        return [
            finding(rows, job.prepared.letterbox, self._manifest, engine)
            for rows, job in zip(decoded, jobs, strict=True)
        ]

    def settled(self, jobs: Sequence[Job]) -> None:
        """Their prepared frames are not needed any more."""
        for job in jobs:
            self._blobs.delete(job.prepared.blob_key)

    def close(self) -> None:
        """Frees the device."""
        self._engine.close()

    def _infer(self, n: int) -> NDArray[np.float32]:
        raw = self._engine.infer(self._frames[:n])
        if len(raw) != n:
            raise EngineFault(f"{n} frames were answered with an output of shape {raw.shape}")
        return raw


def finding(rows: Rows | EngineFault, letterbox: Letterbox, manifest: ModelManifest, engine: str) -> Inspected | Failed:
    """What `decode_head` said of one frame, in pixels of its original; `engine` is the engine's description."""
    if isinstance(rows, EngineFault):
        return Failed("engine-output", f"{engine}: {rows}")
    detections = _in_original(rows, letterbox)
    names = tuple(manifest.classes[class_id] for class_id in detections.class_id)
    return Inspected(detections, names, manifest.ref, manifest.sha256, engine)


def _in_original(rows: Rows, letterbox: Letterbox) -> Detections:
    """Boxes without area, such as those wholly inside the padding, are dropped."""
    boxes = letterbox.to_original(rows[:, :4])
    solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return Detections.from_rows(np.concatenate([boxes, rows[:, 4:]], axis=1)[solid])
