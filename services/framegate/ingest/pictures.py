"""Pictures for people: upright, scaled down, with or without the detections drawn on them."""

import zlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Detection = tuple[str, float, tuple[float, float, float, float]]

SMALL, LARGE = 320, 1920  #: longest sides
_QUALITY: Final = 85
#: EXIF orientation -> (transposed first, flipped up-down, flipped left-right); CIPA DC-008 §4.6.4.
_UPRIGHT: Final = {
    1: (False, False, False), 2: (False, False, True), 3: (False, True, True), 4: (False, True, False),
    5: (True, False, False), 6: (True, False, True), 7: (True, True, True), 8: (True, True, False),
}  # fmt: skip


def draw_boxes(data: bytes, orientation: int, detections: Sequence[Detection]) -> bytes | None:
    """What evidence shows: `render`, at most 1920 pixels wide and high."""
    return render(data, orientation, LARGE, detections)


def render(
    data: bytes,
    orientation: int,
    longest: int | None,
    detections: Sequence[Detection] = (),
    stored: tuple[int, int] | None = None,
) -> bytes | None:
    """An upright JPEG without metadata, or None where `data` cannot be decoded. Blocks; `data` was decoded once before.

    `longest`: to this the longer side is scaled down, None: it is not. `stored`: width and height of the file, if known; a
    JPEG is then decoded no larger than needed, which saves most of the time and memory.
    """
    # Imported when first needed: an API process that only takes uploads in never loads a decoder.
    import cv2

    reduced = getattr(cv2, _reduction(data, stored, longest))
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), reduced | cv2.IMREAD_IGNORE_ORIENTATION)
    if decoded is None:
        return None
    frame: NDArray[np.uint8] = decoded.astype(np.uint8, copy=False)
    width, height = stored or (frame.shape[1], frame.shape[0])
    scale = 1.0 if longest is None else min(1.0, longest / max(width, height))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    frame = np.ascontiguousarray(upright(frame, orientation))
    if orientation >= 5:
        width, height = height, width
    for detection in detections:
        _draw(cv2, frame, detection, (frame.shape[1] / width, frame.shape[0] / height))
    done, encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes() if done else None


def _reduction(data: bytes, stored: tuple[int, int] | None, longest: int | None) -> str:
    """The flag for the smallest decoding whose longer side is not below `longest`. A PNG is always decoded whole."""
    if stored is not None and longest is not None and data.startswith(b"\xff\xd8"):
        for divisor in (8, 4, 2):
            if max(stored) // divisor >= longest:
                return f"IMREAD_REDUCED_COLOR_{divisor}"
    return "IMREAD_COLOR"


def upright(frame: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """`frame` (height, width, 3) as it is to be looked at; a view."""
    transposed, up_down, left_right = _UPRIGHT[orientation]
    if transposed:
        frame = frame.transpose(1, 0, 2)
    return frame[:: -1 if up_down else 1, :: -1 if left_right else 1]


def _draw(cv2: Any, frame: NDArray[np.uint8], detection: Detection, scale: tuple[float, float]) -> None:
    name, confidence, (x1, y1, x2, y2) = detection
    start, end = (round(x1 * scale[0]), round(y1 * scale[1])), (round(x2 * scale[0]), round(y2 * scale[1]))
    thickness = max(2, round(max(frame.shape[:2]) / 500))
    colour = _colour(name)
    cv2.rectangle(frame, start, end, colour, thickness)
    label = f"{name.encode('ascii', 'replace').decode()} {confidence:.2f}"
    size = max(0.4, max(frame.shape[:2]) / 2000)
    (label_width, label_height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    top = max(0, start[1] - label_height - 6)
    cv2.rectangle(frame, (start[0], top), (start[0] + label_width + 4, top + label_height + 6), colour, -1)
    where = (start[0] + 2, top + label_height + 2)
    cv2.putText(frame, label, where, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1, cv2.LINE_AA)


def _colour(name: str) -> tuple[int, int, int]:
    """The same for a class in every picture, dark enough for white text."""
    blue, green, red = zlib.crc32(name.encode()).to_bytes(4, "big")[:3]
    return blue % 176, green % 176, red % 176
