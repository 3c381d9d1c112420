"""Non-maximum suppression."""

import numpy as np
from numpy.typing import NDArray

#: More candidates than this are cut off, weakest first, so that a broken model cannot stall the worker.
MAX_CANDIDATES = 30_000


def suppress(
    xyxy: NDArray[np.float32],
    confidence: NDArray[np.float32],
    class_id: NDArray[np.float32],
    iou: float,
    limit: int,
) -> NDArray[np.intp]:
    """Greedy, within each class: indices of the boxes (n, 4) that stay, by falling confidence, at most `limit`."""
    order = np.argsort(-confidence, kind="stable")[:MAX_CANDIDATES]
    sides = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    area = sides[:, 0] * sides[:, 1]
    kept: list[np.intp] = []
    while len(order) and len(kept) < limit:
        best, rest = order[0], order[1:]
        kept.append(best)
        overlap = np.minimum(xyxy[best, 2:], xyxy[rest, 2:]) - np.maximum(xyxy[best, :2], xyxy[rest, :2])
        np.maximum(overlap, 0, out=overlap)
        shared = overlap[:, 0] * overlap[:, 1]
        covered = shared > iou * (area[best] + area[rest] - shared)
        order = rest[~(covered & (class_id[rest] == class_id[best]))]
    return np.array(kept, np.intp)
