"""A frame scaled to the content of the model's input; the padding is added where the frame arrives."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from framegate.kernel.geometry import Letterbox, Region
from framegate.kernel.manifest import ModelInput
from framegate.preprocess.sizes import fit

#: What the models were trained with; other kernels change the detections near the thresholds.
RESAMPLING: Final = "linear"


def content_size(width: int, height: int, model: ModelInput) -> tuple[int, int]:
    """(width, height) of the content for an upright frame of this size."""
    letterbox = fit(width, height, model)
    return letterbox.content_width, letterbox.content_height


def prepare(
    frame: NDArray[np.uint8], model: ModelInput, original: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8], Letterbox]:
    """Content rows (h, w, 3) and the letterbox that leads back to pixels of `original`.

    `original` is the upright (width, height) before scaled decoding; None: `frame` has it.
    """
    width, height = original or (frame.shape[1], frame.shape[0])
    letterbox = fit(width, height, model)
    return resize(frame, letterbox.content_width, letterbox.content_height), letterbox


def cut(frame: NDArray[np.uint8], region: Region | None) -> NDArray[np.uint8]:
    """A view of that part of a frame in its original size; None: all of it."""
    if region is None:
        return frame
    return frame[region.y : region.y + region.height, region.x : region.x + region.width]


def resize(
    frame: NDArray[np.uint8], width: int, height: int, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Linear, also downwards and without smoothing first, as the training did; into `out` when given."""
    if out is None:
        out = np.empty((height, width, 3), np.uint8)
    if frame.shape == out.shape:
        np.copyto(out, frame)
    else:
        cv2.resize(frame, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)
    return out
