"""What an engine says about prepared frames, outside the pipeline: to prove a model, and to compare two engines."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from framegate.inference.classes import decode_classes
from framegate.inference.fleet import Frame
from framegate.inference.heads import Rows, decode_head
from framegate.inference.stage import in_original
from framegate.kernel.detections import Detections
from framegate.kernel.errors import EngineFault
from framegate.kernel.frames import pad
from framegate.kernel.geometry import Letterbox
from framegate.kernel.manifest import ModelManifest
from framegate.ports.engine import Engine


def answers(engine: Engine, manifest: ModelManifest, frames: Sequence[Frame]) -> list[Detections]:
    """Boxes in pixels of the originals; a classifier's probabilities are boxes of the whole frame, one for each class.

    Raises `EngineFault` when the output is not what the manifest says.
    """
    size, found = (manifest.input.height, manifest.input.width), list[Detections]()
    for start in range(0, len(frames), engine.max_batch):
        batch = frames[start : start + engine.max_batch]
        raw = engine.infer(np.stack([pad(content, box, manifest.input.pad_value) for content, box in batch]))
        decoded = _probabilities(raw, manifest, size) if manifest.task == "classify" else decode_head(raw, manifest)
        for rows, (_, box) in zip(decoded, batch, strict=True):
            if isinstance(rows, EngineFault):
                raise rows
            found.append(in_original(rows, box))
    return found


def prove(engine: Engine, manifest: ModelManifest) -> None:
    """Infers a grey frame and a noisy one; raises `EngineFault` when the manifest does not describe what comes out."""
    width, height = manifest.input.width, manifest.input.height
    box = Letterbox.fit(width, height, width, height)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    answers(engine, manifest, [(np.full_like(noise, manifest.input.pad_value), box), (noise, box)])


def _probabilities(
    raw: NDArray[np.float32], manifest: ModelManifest, size: tuple[int, int]
) -> Iterator[Rows | EngineFault]:
    whole = np.array([0, 0, size[1], size[0]], np.float32)
    for row in decode_classes(raw, manifest):
        if isinstance(row, EngineFault):
            yield row
        else:
            yield np.column_stack([np.tile(whole, (len(row), 1)), row, np.arange(len(row))]).astype(np.float32)
