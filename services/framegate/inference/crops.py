"""What the models of a chain get to see of one frame."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from framegate.kernel.chain import Link
from framegate.kernel.geometry import Letterbox
from framegate.kernel.inspection import Inspected

#: The most detections of one frame that one model of the chain names; the most confident ones.
MAX_CROPS: Final = 16
#: Pixels; what rounding adds to an edge that lies on the border of two pixels must not add the next one.
_EDGE: Final = 1e-2

Pixels = NDArray[np.uint8]  #: (h, w, 3) RGB, h and w >= 1


def pictures(
    link: Link, found: Inspected, content: Pixels, letterbox: Letterbox
) -> Iterator[tuple[int | None, Pixels]]:
    """(place among the detections, its pixels) for each that `link` names, or (None, the whole frame).

    `content` is the prepared frame without padding. Nothing is copied.
    """
    if link.of is None:
        yield None, content
        return
    confident = found.detections.confidence >= np.float32(link.min_confidence)
    wanted = [i for i, name in enumerate(found.classes) if name in link.of and confident[i]]
    corners = letterbox.to_prepared(found.detections.xyxy)
    for i in wanted[:MAX_CROPS]:
        yield i, crop(content, corners[i] - np.array([letterbox.left, letterbox.top] * 2, np.float32))


def crop(content: Pixels, xyxy: NDArray[np.float32]) -> Pixels:
    """Every pixel of `content` that the box (4,) touches, and at least one."""
    height, width = content.shape[:2]
    left, top = (int(edge) for edge in np.floor(xyxy[:2] + _EDGE))
    right, bottom = (int(edge) for edge in np.ceil(xyxy[2:] - _EDGE))
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return content[top : max(top + 1, min(bottom, height)), left : max(left + 1, min(right, width))]
