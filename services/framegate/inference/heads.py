"""From an engine's raw output to boxes: one function per head layout."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from framegate.inference.nms import suppress
from framegate.kernel.errors import EngineFault
from framegate.kernel.manifest import Head, ModelManifest

Rows = NDArray[np.float32]  #: (k, 6): x1, y1, x2, y2 in pixels of the model's input, confidence, class id

MAX_DETECTIONS: Final = 300
#: Overlap above which the weaker of two boxes of one class goes; as the families' own tools do by default.
ANCHORS_IOU: Final = 0.7
YOLOX_IOU: Final = 0.45
_YOLOX_STRIDES = (8, 16, 32)
#: Sigmoids in low precision may come out a little above one.
_CONFIDENCE_SLACK = 1e-2


def decode_head(raw: NDArray[np.float32], manifest: ModelManifest) -> list[Rows | EngineFault]:
    """`raw` (n, ...) -> for each frame its boxes of at least the manifest's floor, or why its output must not be trusted.

    Raises `EngineFault` when the whole output has the wrong shape.
    """
    _check_shape(raw, manifest)
    decode = _DECODERS[manifest.head]
    with np.errstate(over="ignore", invalid="ignore"):
        return [_decode_frame(frame, manifest, decode) for frame in raw]


def _decode_frame(frame: Rows, manifest: ModelManifest, decode: "Decoder") -> Rows | EngineFault:
    if not np.isfinite(frame).all():
        return EngineFault(
            f"the output for this frame holds {np.count_nonzero(~np.isfinite(frame))} NaN or infinite values"
        )
    rows = decode(frame, manifest)
    if not np.isfinite(rows).all():
        return EngineFault("a box of this frame is infinitely large")
    confidence, class_id = rows[:, 4], rows[:, 5]
    if (confidence > 1 + _CONFIDENCE_SLACK).any():
        return EngineFault(f"a confidence of {confidence.max():.4g} is above one: is the head {manifest.head.value}?")
    if ((class_id < 0) | (class_id >= len(manifest.classes)) | (class_id % 1 != 0)).any():
        return EngineFault(f"a class id is not one of 0..{len(manifest.classes) - 1}")
    np.minimum(confidence, 1, out=confidence)
    return rows


def _end2end(frame: Rows, manifest: ModelManifest) -> Rows:
    return frame[frame[:, 4] >= manifest.floor]


def _anchors(frame: Rows, manifest: ModelManifest) -> Rows:
    """A single class for each anchor, the best; then NMS within each class."""
    boxes, scores = frame[:4], frame[4:]
    confidence = scores.max(axis=0)
    chosen = np.flatnonzero(confidence >= manifest.floor)
    return _suppressed(boxes[:, chosen].T, confidence[chosen], scores[:, chosen].argmax(axis=0), ANCHORS_IOU)


def _yolox(frame: Rows, manifest: ModelManifest) -> Rows:
    """Centres are offsets from grid cells, sizes logarithms, both in strides; confidence is objectness times class."""
    confidence = frame[:, 4] * frame[:, 5:].max(axis=1)
    chosen = np.flatnonzero(confidence >= manifest.floor)
    frame, grid = frame[chosen], _yolox_grid(manifest.input.width, manifest.input.height)[chosen]
    boxes = np.empty((len(chosen), 4), np.float32)
    boxes[:, :2] = (frame[:, :2] + grid[:, :2]) * grid[:, 2:]
    boxes[:, 2:] = np.exp(frame[:, 2:4]) * grid[:, 2:]
    return _suppressed(boxes, confidence[chosen], frame[:, 5:].argmax(axis=1), YOLOX_IOU)


def _suppressed(centred: Rows, confidence: Rows, class_id: NDArray[np.intp], iou: float) -> Rows:
    """`centred` (k, 4): centre x, centre y, width, height."""
    rows = np.empty((len(centred), 6), np.float32)
    half = centred[:, 2:] / 2
    rows[:, 0:2], rows[:, 2:4] = centred[:, :2] - half, centred[:, :2] + half
    rows[:, 4], rows[:, 5] = confidence, class_id
    return rows[suppress(rows[:, :4], rows[:, 4], rows[:, 5], iou, MAX_DETECTIONS)]


@lru_cache(maxsize=4)
def _yolox_grid(width: int, height: int) -> Rows:
    """(anchors, 3): column, row and stride of each cell, finest stride first, row by row."""
    cells = []
    for stride in _YOLOX_STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel(), np.full(rows.size, stride)], axis=1))
    return np.concatenate(cells).astype(np.float32)


def _check_shape(raw: NDArray[np.float32], manifest: ModelManifest) -> None:
    classes = len(manifest.classes)
    wanted: tuple[int | str, ...]
    match manifest.head:
        case Head.END2END:
            wanted = ("k", 6)
        case Head.ANCHORS:
            wanted = (4 + classes, "anchors")
        case Head.YOLOX:
            size = manifest.input.width, manifest.input.height
            wanted = (sum((size[0] // s) * (size[1] // s) for s in _YOLOX_STRIDES), 5 + classes)
        case Head.CLASSIFY:
            raise EngineFault(f"{manifest.ref} names pictures and finds no boxes: it cannot be the detector")
        case _:
            assert_never(manifest.head)
    fits = raw.ndim == 3 and all(w in (d, "k", "anchors") for w, d in zip(wanted, raw.shape[1:], strict=True))
    if not fits:
        raise EngineFault(
            f"the output has the shape {raw.shape}, a head {manifest.head.value} with {classes} classes "
            f"(n, {wanted[0]}, {wanted[1]}): correct [model] in the manifest of {manifest.ref}"
        )


Decoder = Callable[[Rows, ModelManifest], Rows]
_DECODERS: Final[dict[Head, Decoder]] = {Head.END2END: _end2end, Head.ANCHORS: _anchors, Head.YOLOX: _yolox}
