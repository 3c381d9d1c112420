"""Image files made for one test each."""

import io
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.unit.kernel.imagefile.build import chunk, ihdr, png

Pixels = NDArray[np.uint8]


def scene(width: int = 96, height: int = 64) -> Pixels:
    """Smooth enough for JPEG, and different in every corner."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [255 * x / width, 255 * y / height, 127 + 120 * np.sin(x / 9) * np.cos(y / 7)]
    return np.stack(planes, axis=2).astype(np.uint8)


def noise(width: int = 37, height: int = 33, channels: int = 3, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def jpeg(pixels: Pixels, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def insert(data: bytes, segment: bytes) -> bytes:
    """Behind SOI."""
    return data[:2] + segment + data[2:]


def cut_out(data: bytes, share: float, size: int) -> bytes:
    """Without `size` bytes in the middle of the scan; the end marker stays."""
    start = data.index(b"\xff\xda") + 14
    position = start + int((len(data) - start) * share)
    return data[:position] + data[position + size :]


def as_pillow(data: bytes) -> Pixels:
    """RGB, transparency on black."""
    with Image.open(io.BytesIO(data)) as image:
        over = image.convert("RGBA")
        black = Image.new("RGBA", over.size, (0, 0, 0, 255))
        return np.asarray(Image.alpha_composite(black, over).convert("RGB"))


def raw_png(
    depth: int,
    color: int,
    before: Iterable[bytes] = (),
    width: int = 37,
    height: int = 33,
    rows: NDArray[np.uint8] | None = None,
) -> bytes:
    """Every depth and colour type, unfiltered; `rows` (height, bytes of a row), else noise."""
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    size = -(-width * bits // 8)
    body = np.random.default_rng(depth * 7 + color).integers(0, 256, (height, size), np.uint8) if rows is None else rows
    idat = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in body), 1))
    return png(header=ihdr(width, height, depth, color), before=before, idat=idat)


def palette(size: int = 256) -> bytes:
    return chunk(b"PLTE", np.random.default_rng(3).integers(0, 256, size * 3, np.uint8).tobytes())


def idats(data: bytes) -> tuple[bytes, bytes, bytes]:
    """What comes before the only IDAT, its body, and what comes after it."""
    start = data.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", data, start)
    return data[:start], data[start + 8 : start + 8 + length], data[start + 12 + length :]
