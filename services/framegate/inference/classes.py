"""From a classifier's raw output to its probabilities, and from a picture to its input."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from framegate.kernel.errors import EngineFault
from framegate.kernel.manifest import Head, ModelManifest

Probabilities = NDArray[np.float32]  #: (classes,), all of 0..1, sum one
#: How far low precision may take a sum from one, and a probability out of 0..1.
_SLACK: Final = 0.02


def decode_classes(raw: NDArray[np.float32], manifest: ModelManifest) -> list[Probabilities | EngineFault]:
    """`raw` (n, classes) -> for each picture its probabilities, or why its output must not be trusted.

    Raises `EngineFault` when the whole output has the wrong shape.
    """
    classes = len(manifest.classes)
    if manifest.head is not Head.CLASSIFY:
        raise EngineFault(f"{manifest.ref} finds boxes and names no pictures: it cannot be part of a chain")
    if raw.ndim != 2 or raw.shape[1] != classes:
        raise EngineFault(
            f"the output has the shape {raw.shape}, a head classify with {classes} classes (n, {classes}): "
            f"correct [model] in the manifest of {manifest.ref}"
        )
    return [_decode_picture(picture) for picture in raw]


def _decode_picture(picture: Probabilities) -> Probabilities | EngineFault:
    if not np.isfinite(picture).all():
        count = np.count_nonzero(~np.isfinite(picture))
        return EngineFault(f"the output for this picture holds {count} NaN or infinite values")
    total = picture.sum(dtype=np.float64)
    if picture.min() < -_SLACK or abs(total - 1) > _SLACK:
        return EngineFault(
            f"the classes' values lie between {picture.min():.4g} and {picture.max():.4g} and sum to {total:.4g}, not one: "
            "export the classifier with its softmax"
        )
    return np.clip(picture, 0, 1)


def fill_input(picture: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """`picture` (h, w, 3) RGB -> `out` (height, width, 3): its largest centred part of the same shape, scaled.

    That is the shortest side scaled to the input's and the centre taken, as `CenterCrop` of ultralytics
    (ultralytics/data/augment.py) does it; cut first, so that a long and narrow box costs no more than a square one.
    Linear, also downwards and without smoothing first (cv2 INTER_LINEAR): ultralytics' own loader scales with Pillow,
    which smooths. Times 1/255 is the engine's work.
    """
    (height, width), (to_height, to_width) = picture.shape[:2], out.shape[:2]
    scale = min(height / to_height, width / to_width)
    cut_height, cut_width = max(1, round(to_height * scale)), max(1, round(to_width * scale))
    top, left = (height - cut_height) // 2, (width - cut_width) // 2
    part = picture[top : top + cut_height, left : left + cut_width]
    if part.shape == out.shape:
        np.copyto(out, part)
    else:
        cv2.resize(part, (to_width, to_height), dst=out, interpolation=cv2.INTER_LINEAR)
