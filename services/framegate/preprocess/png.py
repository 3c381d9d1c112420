"""PNG (W3C PNG, third edition), checked here before OpenCV decodes it: OpenCV ignores warnings, and some errors.

To eight bits and three channels: 16-bit samples become `round(sample / 257)`; samples of 1, 2 and 4 bits are stretched
to 0..255; grey is repeated; transparency (alpha or tRNS) is laid on black, `round(colour * alpha / 255)`. Gamma and
colour profiles are not applied.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from framegate.kernel.errors import InvalidFrame

NAME: Final = f"opencv {cv2.__version__}"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_GREY, _PALETTE = 0, 3
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 20  # of inflated data at a time, and of one IDAT: OpenCV refuses chunks of more than 8 MB
_MORSEL = 1 << 14  # of compressed data at a time
_STRIP_ROWS = 256
_NO_MEMORY = -4  # cv::Error::StsNoMem


@dataclass(frozen=True, slots=True)
class _Header:
    width: int
    height: int
    depth: int
    color: int
    interlaced: bool

    def inflated_size(self) -> int:
        """Bytes of all rows, each with its filter type (PNG §7.2, §8)."""
        return sum(rows * (1 + -(-columns * self._pixel_bits() // 8)) for columns, rows in self._passes() if columns)

    def _pixel_bits(self) -> int:
        return self.depth * _CHANNELS[self.color]

    def _passes(self) -> Iterator[tuple[int, int]]:
        if not self.interlaced:
            yield self.width, self.height
            return
        for x, y, dx, dy in _PASSES:
            yield max(0, -(-(self.width - x) // dx)), max(0, -(-(self.height - y) // dy))


def decode_png(data: bytes | memoryview) -> NDArray[np.uint8]:
    """(h, w, 3) RGB as stored, by the rules above; raises `InvalidFrame`."""
    chunks = _checked_chunks(memoryview(data))
    header = _parse_header(chunks)
    pieces = [body for kind, body in chunks if kind == b"IDAT"]
    _check_image_data(pieces, header.inflated_size())
    key = _transparent_grey(chunks, header)
    frame = _decode(_rebuilt(chunks, pieces, header))
    if frame.shape[:2] != (header.height, header.width) or frame.dtype not in (np.uint8, np.uint16):
        raise InvalidFrame("corrupt", f"The PNG should decode to {header.width} x {header.height}.")
    if key is not None:
        frame[frame == key] = 0
    return _rgb(frame)


def _checked_chunks(data: memoryview) -> list[tuple[bytes, memoryview]]:
    position, chunks = len(_SIGNATURE), list[tuple[bytes, memoryview]]()
    if data[:position] != _SIGNATURE:
        raise InvalidFrame("corrupt", "The PNG does not begin like one.")
    while True:
        if position + 12 > len(data):
            raise InvalidFrame("truncated", "The PNG stops before its IEND chunk.")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise InvalidFrame("truncated", "A chunk of the PNG runs past the end of the file.")
        if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise InvalidFrame("corrupt", "A checksum of the PNG is wrong.")
        chunks.append((kind, data[position + 8 : end]))
        if kind == b"IEND":
            return chunks
        position = end + 4


def _parse_header(chunks: list[tuple[bytes, memoryview]]) -> _Header:
    kind, body = chunks[0]
    if kind != b"IHDR" or len(body) != 13:
        raise InvalidFrame("corrupt", "The PNG does not begin with its image header.")
    width, height, depth, color, _, _, interlace = struct.unpack(">IIBBBBB", body)
    if color not in _CHANNELS:
        raise InvalidFrame("corrupt", "The PNG has a colour type that does not exist.")
    return _Header(width, height, depth, color, interlace == 1)


def _check_image_data(pieces: list[memoryview], expected: int) -> None:
    """Inflates everything a MiB at a time and keeps nothing; zlib's own checksum is part of it."""
    inflater, total = zlib.decompressobj(), 0
    try:
        for morsel in _morsels(pieces):
            rest = morsel
            while rest and not inflater.eof:
                total += len(inflater.decompress(rest, _PIECE))
                rest = inflater.unconsumed_tail
                if total > expected:
                    raise InvalidFrame("corrupt", "The PNG holds more image data than its header announces.")
        # A bound of 0 would mean none; what is left in the window is less than a piece.
        total += len(inflater.flush(_PIECE)) if not inflater.eof else 0
    except zlib.error as error:
        raise InvalidFrame("corrupt", "The compressed data of the PNG is damaged.") from error
    if not inflater.eof or total < expected:
        raise InvalidFrame("truncated", "A part of the picture is missing from the PNG.")
    if total > expected:
        raise InvalidFrame("corrupt", "The PNG holds more image data than its header announces.")


def _morsels(pieces: list[memoryview]) -> Iterator[bytes]:
    """Small ones: zlib copies what it could not take yet, once for each piece that comes out."""
    for piece in pieces:
        for start in range(0, len(piece), _MORSEL):
            yield bytes(piece[start : start + _MORSEL])


def _transparent_grey(chunks: list[tuple[bytes, memoryview]], header: _Header) -> int | None:
    """The grey that stands for transparent, as a decoded sample; OpenCV knows tRNS for colours and palettes only."""
    body = next((body for kind, body in chunks if kind == b"tRNS"), None)
    if body is None or header.color != _GREY:
        return None
    if len(body) != 2:
        raise InvalidFrame("corrupt", "The transparency of the PNG has an impossible length.")
    largest = (1 << header.depth) - 1
    sample = int.from_bytes(body, "big") & largest
    return sample if header.depth == 16 else sample * 255 // largest


def _rebuilt(chunks: list[tuple[bytes, memoryview]], pieces: list[memoryview], header: _Header) -> bytes:
    """The same picture without anything else: no text, profile or orientation reaches the decoder."""
    keep = (b"PLTE", b"tRNS") if header.color not in (_GREY, 4, 6) else ()
    parts = [_SIGNATURE, _chunk(b"IHDR", chunks[0][1])]
    parts += [_chunk(kind, body) for kind, body in chunks if kind in keep]
    parts += [_chunk(b"IDAT", piece[i : i + _PIECE]) for piece in pieces for i in range(0, len(piece), _PIECE)]
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _chunk(kind: bytes, body: bytes | memoryview) -> bytes:
    return b"".join([struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))])


def _decode(file: bytes) -> NDArray[Any]:
    try:
        frame: NDArray[Any] | None = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if error.code == _NO_MEMORY:
            raise MemoryError from error
        raise InvalidFrame("corrupt", "The decoder refuses the PNG.") from error
    if frame is None:
        raise InvalidFrame("corrupt", "The decoder refuses the PNG.")
    return frame


def _rgb(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """In strips, so that the largest image needs no second copy of its alpha or of its 16 bits."""
    height, width = frame.shape[:2]
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP_ROWS):
        strip = frame[top : top + _STRIP_ROWS]
        if strip.dtype == np.uint16:
            strip = cv2.convertScaleAbs(strip, alpha=1 / 257)
        out[top : top + _STRIP_ROWS] = _rgb_strip(strip)
    return out


def _rgb_strip(strip: NDArray[np.uint8]) -> NDArray[Any]:
    if strip.ndim == 2:
        return cv2.cvtColor(strip, cv2.COLOR_GRAY2RGB)
    if strip.shape[2] == 3:
        return cv2.cvtColor(strip, cv2.COLOR_BGR2RGB)
    alpha = cv2.cvtColor(cv2.extractChannel(strip, 3), cv2.COLOR_GRAY2RGB)
    return cv2.multiply(cv2.cvtColor(strip, cv2.COLOR_BGRA2RGB), alpha, scale=1 / 255)
