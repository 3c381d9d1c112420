"""What one frame has in common with the camera's others: which parts of it are the very same, and how light lies in it."""

import zlib
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from framegate.kernel.inspection import Scene

_SIDE: Final = 8


def look(content: NDArray[np.uint8]) -> Scene:
    """Of `content` (h, w, 3) RGB.

    A perceptual hash (dHash, pHash) cannot tell an empty dock from a frozen camera: it is made to overlook noise, and
    noise is all that changes there. So each tile has a checksum of its pixels: a clock that is written into the picture
    changes its own tiles only.
    """
    luma = cv2.cvtColor(content, cv2.COLOR_RGB2GRAY)
    rows, columns = (np.linspace(0, length, _SIDE + 1).astype(int).tolist() for length in luma.shape)
    tiles = bytes(
        zlib.crc32(luma[top:bottom, left:right].tobytes()) & 0xFF
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    )
    layout = cv2.resize(luma, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return Scene(tiles, layout.tobytes())
