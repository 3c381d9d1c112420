"""A file's bytes to an upright frame, or the reason why not. Pixels that were not all decoded are never returned."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from framegate.kernel.errors import InvalidFrame
from framegate.preprocess import jpeg, png
from framegate.preprocess.sizes import is_turned

JPEG, PNG = "image/jpeg", "image/png"


def decode(
    data: bytes | memoryview, media_type: str, orientation: int, target: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """(h, w, 3) RGB with EXIF `orientation` (1..8) applied; raises `InvalidFrame`.

    `target`, the (width, height) of the upright content that is wanted, allows decoding a JPEG at reduced scale.
    """
    if media_type == JPEG:
        stored = (target[1], target[0]) if target and is_turned(orientation) else target
        return upright(jpeg.decode_jpeg(data, stored), orientation)
    if media_type == PNG:
        return upright(png.decode_png(data), orientation)
    raise InvalidFrame("unsupported-media-type", "The image is neither JPEG nor PNG.")


def decoder_name(media_type: str) -> str:
    """Name and version of what decodes this type."""
    return jpeg.NAME if media_type == JPEG else png.NAME


def scale_denominator(
    media_type: str, width: int, height: int, orientation: int, target: tuple[int, int] | None
) -> int:
    """At which 1/n `decode` decodes a file of this stored size."""
    if media_type != JPEG:
        return 1
    return jpeg.jpeg_scale(width, height, (target[1], target[0]) if target and is_turned(orientation) else target)


def upright(frame: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undoes EXIF orientation (CIPA DC-008, tag 274); values other than 1..8 count as 1."""
    turned: Any = frame
    match orientation:
        case 2:
            turned = cv2.flip(frame, 1)
        case 3:
            turned = cv2.rotate(frame, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(frame, 0)
        case 5:
            turned = cv2.transpose(frame)
        case 6:
            turned = cv2.rotate(frame, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.flip(cv2.transpose(frame), -1)
        case 8:
            turned = cv2.rotate(frame, cv2.ROTATE_90_COUNTERCLOCKWISE)
    result: NDArray[np.uint8] = turned
    return result
