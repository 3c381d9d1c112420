"""Non-maximum suppression."""

import numpy as np
from numpy.typing import NDArray

#: More candidates than this are cut off, weakest first, so that a broken model cannot stall the worker.
MAX_CANDIDATES = 30_000
#: Candidates compared with each other at once: few enough for the cache, enough to spread the cost of a NumPy call.
_BLOCK = 128

Side = NDArray[np.float32]


def suppress(
    xyxy: NDArray[np.float32],
    confidence: NDArray[np.float32],
    class_id: NDArray[np.float32],
    iou: float,
    limit: int,
) -> NDArray[np.intp]:
    """Greedy, within each class: indices of the boxes (n, 4) that stay, by falling confidence, at most `limit`."""
    order = np.argsort(-confidence, kind="stable")[:MAX_CANDIDATES]
    kept = order[:0]
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        block = block[~_cover(xyxy, class_id, block, kept, iou).any(axis=1)]
        covers, stays = _cover(xyxy, class_id, block, block, iou), np.ones(len(block), np.bool_)
        for i in range(len(block)):
            if stays[i]:
                stays[i + 1 :] &= ~covers[i, i + 1 :]
        kept = np.concatenate([kept, block[stays]])
        if len(kept) >= limit:
            break
    return kept[:limit]


def _cover(
    xyxy: NDArray[np.float32], class_id: NDArray[np.float32], a: NDArray[np.intp], b: NDArray[np.intp], iou: float
) -> NDArray[np.bool_]:
    """(len(a), len(b)): whether the two boxes are of one class and overlap by more than `iou`."""
    (left, top, right, bottom), (left_, top_, right_, bottom_) = xyxy[a].T[..., None], xyxy[b].T
    width = np.maximum(np.minimum(right, right_) - np.maximum(left, left_), 0)
    height = np.maximum(np.minimum(bottom, bottom_) - np.maximum(top, top_), 0)
    shared = width * height
    union = _area(left, top, right, bottom) + _area(left_, top_, right_, bottom_) - shared
    covered: NDArray[np.bool_] = (shared > iou * union) & (class_id[a, None] == class_id[b])
    return covered


def _area(left: Side, top: Side, right: Side, bottom: Side) -> Side:
    """None for boxes turned inside out."""
    area: Side = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    return area
