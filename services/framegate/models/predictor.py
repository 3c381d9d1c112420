"""Labelled images through the code of the stages: what is measured here is what the pipeline will do."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framegate.inference.heads import decode_head
from framegate.inference.stage import finding
from framegate.kernel.detections import Detections
from framegate.kernel.errors import DecoderCrashed, EngineFault, InvalidFrame, ModelRefused
from framegate.kernel.frames import pad
from framegate.kernel.imagefile import ImageRefused, inspect_file
from framegate.kernel.inspection import Failed, Inspected, Prepared
from framegate.kernel.manifest import ModelManifest
from framegate.models.labels import LeftOut
from framegate.ports.engine import Engine
from framegate.preprocess.decoder_pool import DecodeJob
from framegate.preprocess.stage import Decoder

#: Images done, images in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An image that went all the way, and all that the gate will ask about it."""

    path: Path
    prepared: Prepared  #: there is no prepared frame behind its `blob_key`, which is empty
    found: Inspected

    def above(self, floor: float) -> "Seen":
        """Without the detections that a model with this floor would not have given."""
        kept = int((self.found.detections.confidence >= floor).sum())  # they are in order
        boxes = self.found.detections
        fewer = Detections(boxes.xyxy[:kept], boxes.confidence[:kept], boxes.class_id[:kept])
        return replace(self, found=replace(self.found, detections=fewer, classes=self.found.classes[:kept]))


class Predictor:
    """The engine and the decoder stay the caller's; their one thread is the one that calls `predict`.

    The decoder is a `DecoderChild`: a damaged file may end that process, never this one.
    """

    def __init__(self, engine: Engine, manifest: ModelManifest, decoder: Decoder) -> None:
        """The floor of `manifest` holds, and may be another than the one that the engine was loaded with."""
        if manifest.task != "detect":
            raise ModelRefused(f"{manifest.ref} names whole frames and finds no boxes: give a detector")
        self._engine, self._manifest, self._decoder = engine, manifest, decoder
        size = manifest.input.height, manifest.input.width
        self._frames = np.empty((engine.max_batch, *size, 3), np.uint8)

    def predict(self, paths: Sequence[Path], progress: Progress = lambda done, of: None) -> Iterator[Seen | LeftOut]:
        """Exactly one answer for each path, in no promised order. Raises `EngineFault` for a model that does not work."""
        batch: list[tuple[Path, Prepared]] = []
        for done, path in enumerate(paths):
            progress(done, len(paths))
            try:
                content, prepared = self._prepare(path)
            except (OSError, ImageRefused, InvalidFrame, DecoderCrashed) as error:
                yield LeftOut(path, str(error))
                continue
            pad(content, prepared.letterbox, self._manifest.input.pad_value, out=self._frames[len(batch)])
            batch.append((path, prepared))
            if len(batch) == len(self._frames):
                yield from self._infer(batch)
                batch = []
        if batch:
            yield from self._infer(batch)
        progress(len(paths), len(paths))

    def _prepare(self, path: Path) -> tuple[NDArray[np.uint8], Prepared]:
        """The content is a view that the next call overwrites."""
        data = path.read_bytes()
        header = inspect_file(data)
        model = self._manifest.input
        job = DecodeJob(data, header.media_type, header.width, header.height, header.orientation, model)
        frame = self._decoder.prepare(job)
        return frame.content, Prepared("", "raw", frame.letterbox, frame.quality, frame.recipe)

    def _infer(self, batch: Sequence[tuple[Path, Prepared]]) -> Iterator[Seen | LeftOut]:
        raw = self._engine.infer(self._frames[: len(batch)])
        if len(raw) != len(batch):
            raise EngineFault(f"{len(batch)} frames were answered with an output of shape {raw.shape}")
        for rows, (path, prepared) in zip(decode_head(raw, self._manifest), batch, strict=True):
            found = finding(rows, prepared.letterbox, self._manifest, self._engine.description)
            yield LeftOut(path, found.detail) if isinstance(found, Failed) else Seen(path, prepared, found)
