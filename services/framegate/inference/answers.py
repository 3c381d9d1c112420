"""What an engine says about prepared frames, outside the pipeline: to prove a model, and to compare two engines."""

from collections.abc import Sequence

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
    found: list[Detections] = []
    for start in range(0, len(frames), engine.max_batch):
        batch = frames[start : start + engine.max_batch]
        raw = engine.infer(np.stack([pad(content, box, manifest.input.pad_value) for content, box in batch]))
        decode = decode_classes if manifest.task == "classify" else decode_head
        for answer, (_, box) in zip(decode(raw, manifest), batch, strict=True):
            rows = _boxes(answer, manifest)
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


def _boxes(answer: NDArray[np.float32] | EngineFault, manifest: ModelManifest) -> Rows | EngineFault:
    if manifest.task == "detect" or isinstance(answer, EngineFault):
        return answer
    classes, whole = len(answer), np.array([0, 0, manifest.input.width, manifest.input.height], np.float32)
    ids = np.arange(classes, dtype=np.float32)
    return np.column_stack([np.tile(whole, (classes, 1)), answer, ids]).astype(np.float32)
