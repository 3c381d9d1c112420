"""JPEG (ITU-T T.81) through libjpeg-turbo, whose every warning refuses the image.

libjpeg fills what it cannot read with grey and merely warns; a pass must never rest on such pixels.
"""

import re
import struct
from typing import Final

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from framegate.kernel.errors import InvalidFrame

NAME: Final = f"simplejpeg {simplejpeg.__version__}"

#: 1/2, 1/4 and 1/8 have vectorised inverse transforms; 3/8 gives fewer pixels and takes longer than 1/2.
_DENOMINATORS = (8, 4, 2)
_SOF_SEQUENTIAL, _SOF_PROGRESSIVE, _SOF_LOSSLESS = (0xC0, 0xC1), 0xC2, 0xC3
_SOS, _EOI, _APP0, _APP14 = 0xDA, 0xD9, 0xE0, 0xEE
_TABLES = frozenset((0xC4, 0xDB, 0xDD))  # Huffman, quantisation, restart interval
_OTHER_FRAMES = frozenset((*range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)))
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_COEFFICIENTS = 64


def decode_jpeg(data: bytes | memoryview, target: tuple[int, int] | None) -> NDArray[np.uint8]:
    """(h, w, 3) RGB as stored. With `target` (w, h), at the smallest of 1/1, 1/2, 1/4, 1/8 that still covers it."""
    file = _Essence(data)
    if file.components not in (1, 3):
        raise InvalidFrame("unsupported-color-model", f"The JPEG has {file.components} components (CMYK has 4).")
    denominator = jpeg_scale(file.width, file.height, target)
    width, height = scaled(file.width, denominator), scaled(file.height, denominator)
    # Asked for a lossless JPEG at reduced scale, simplejpeg 1.9 makes room for that scale and libjpeg writes the full one.
    smallest = {} if file.lossless else {"min_width": width, "min_height": height}
    try:
        frame: NDArray[np.uint8] = simplejpeg.decode_jpeg(file.bytes, colorspace="RGB", strict=True, **smallest)
    except ValueError as error:
        raise _refusal(str(error)) from error
    if file.lossless and denominator > 1:
        frame = np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    if frame.shape != (height, width, 3):
        raise InvalidFrame("corrupt", f"The JPEG should decode to {width} x {height}, not to {frame.shape}.")
    return frame


def jpeg_scale(width: int, height: int, target: tuple[int, int] | None) -> int:
    """The denominator at which a JPEG of this stored size is decoded."""
    if target is not None:
        for denominator in _DENOMINATORS:
            if scaled(width, denominator) >= target[0] and scaled(height, denominator) >= target[1]:
                return denominator
    return 1


def scaled(side: int, denominator: int) -> int:
    """One side at 1/`denominator`: libjpeg rounds up."""
    return -(-side // denominator)


def _refusal(message: str) -> InvalidFrame:
    if "remature end" in message or "nsufficient" in message:
        return InvalidFrame("truncated", "A part of the picture is missing from the JPEG.")
    if "subsampling" in message or "nsupported" in message:
        return InvalidFrame("unsupported-coding", f"The decoder does not know this kind of JPEG ({message[:100]}).")
    return InvalidFrame("corrupt", f"The data of the JPEG is damaged ({message[:100]}).")


class _Essence:
    """The file without what pixels do not need, after checking that its scans add up to the whole picture.

    Left out: metadata (a broken colour profile is a warning like any other to the decoder) and bytes between segments.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self.width = self.height = self.components = 0
        self._data = data
        self._progressive = self.lossless = False
        #: For each component, the lowest bit that is known of each of its coefficients; libjpeg does not warn when
        #: a scan is missing as a whole, it shows a coarser or a colourless picture.
        self._known: dict[int, list[int | None]] = {}
        header, scan = self._header()
        self.bytes = b"".join([b"\xff\xd8", *header, data[scan:]])
        self._check_scans(scan)

    def _header(self) -> tuple[list[bytes], int]:
        """The segments to keep, and where the first scan begins."""
        position, kept = 2, list[bytes]()
        while True:
            marker, start, end = self._segment(position)
            payload = bytes(self._data[start + 2 : end])
            if marker == _SOS:
                if not self._known:
                    raise InvalidFrame("corrupt", "The JPEG has a scan before its frame header.")
                return kept, start - 2
            is_frame = marker in (*_SOF_SEQUENTIAL, _SOF_PROGRESSIVE, _SOF_LOSSLESS)
            if is_frame:
                self._frame(marker, payload)
            elif marker in _OTHER_FRAMES:
                raise InvalidFrame("unsupported-coding", "The JPEG is hierarchical or arithmetically coded.")
            if is_frame or marker in _TABLES or (marker == _APP14 and payload.startswith(b"Adobe")):
                kept.append(bytes(self._data[start - 2 : end]))
            elif marker == _APP0 and payload.startswith(b"JFIF\0") and len(payload) >= 14:
                kept.append(_JFIF)  # says YCbCr; libjpeg would warn of a revision it does not know
            position = end

    def _segment(self, position: int) -> tuple[int, int, int]:
        """The next marker, and where its length and its payload's end are."""
        found = _MARKER.search(self._data, position)
        if found is None or found.end() + 2 > len(self._data):
            raise InvalidFrame("truncated", "The JPEG stops before its end marker.")
        start = found.end()
        marker = self._data[start - 1]
        if marker == _EOI:
            raise InvalidFrame("truncated", "A part of the picture is missing from the JPEG.")
        (length,) = struct.unpack_from(">H", self._data, start)
        if length < 2 or start + length > len(self._data):
            raise InvalidFrame("truncated", "A segment of the JPEG runs past the end of the file.")
        return marker, start, start + length

    def _frame(self, marker: int, payload: bytes) -> None:
        if len(payload) < 6 or len(payload) != 6 + 3 * payload[5] or self._known:
            raise InvalidFrame("corrupt", "The frame header of the JPEG contradicts itself.")
        _, self.height, self.width, self.components = struct.unpack_from(">BHHB", payload)
        self._progressive, self.lossless = marker == _SOF_PROGRESSIVE, marker == _SOF_LOSSLESS
        self._known = {component: [None] * _COEFFICIENTS for component in payload[6::3]}

    def _check_scans(self, position: int) -> None:
        while not self._complete():
            marker, start, end = self._segment(position)
            if marker == _SOS:
                self._scan(bytes(self._data[start + 2 : end]))
            position = end

    def _scan(self, payload: bytes) -> None:
        count = payload[0] if payload else 0
        if len(payload) != 4 + 2 * count:
            raise InvalidFrame("corrupt", "A scan header of the JPEG contradicts itself.")
        first, last, bits = payload[-3:]
        for component in payload[1 : 1 + 2 * count : 2]:
            if component not in self._known:
                raise InvalidFrame("corrupt", "A scan of the JPEG has a component that the frame does not have.")
            if not self._progressive:
                first, last, bits = 0, _COEFFICIENTS - 1, 0
            for index in range(first, min(last, _COEFFICIENTS - 1) + 1):
                self._known[component][index] = bits & 15

    def _complete(self) -> bool:
        return all(bit == 0 for bits in self._known.values() for bit in bits)
