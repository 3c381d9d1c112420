"""Image files put together by hand, one field at a time, right unless told otherwise."""

import struct
import zlib
from collections.abc import Iterable

from framegate.kernel.imagefile import Buffer, ImageHeader, ImageRefused, inspect_file

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# A stuffed byte, the first and the last restart, a fill byte.
ENTROPY = b"\x12\x34\xff\x00\x56\xff\xd0\x78\xff\xd7\x00\x01\xff\xff\x00\x9a"


def segment(marker: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def frame(
    width: int = 64, height: int = 48, components: int = 3, precision: int = 8, marker: int = 0xC0, sampling: int = 0x11
) -> bytes:
    table = b"".join(bytes((index + 1, sampling, 0)) for index in range(components))
    return segment(marker, struct.pack(">BHHB", precision, height, width, components) + table)


def scan(components: int = 3, data: bytes = ENTROPY) -> bytes:
    selectors = b"".join(bytes((index + 1, 0)) for index in range(components))
    return segment(0xDA, bytes((components,)) + selectors + b"\x00\x3f\x00") + data


def jpeg(
    before: bytes = b"", frames: bytes | None = None, scans: bytes | None = None, end: bytes = EOI, after: bytes = b""
) -> bytes:
    body = frame() if frames is None else frames
    return SOI + before + segment(0xDB, bytes(65)) + body + (scan() if scans is None else scans) + end + after


def tiff(
    value: int = 6, order: str = "<", kind: int = 3, values: int = 1, tag: int = 0x0112, count: int | None = None
) -> bytes:
    """A TIFF block with an unrelated entry before the one of interest."""
    slot = struct.pack(f"{order}HH" if kind == 3 else f"{order}I", *((value, 0) if kind == 3 else (value,)))
    entries = struct.pack(f"{order}HHI", 0x010F, 2, 4) + b"Cam\0" + struct.pack(f"{order}HHI", tag, kind, values) + slot
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return head + struct.pack(f"{order}H", 2 if count is None else count) + entries + bytes(4)


def exif_segment(block: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + block)


def chunk(kind: bytes, data: bytes = b"", checksum: int | None = None) -> bytes:
    crc = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def ihdr(
    width: int = 64,
    height: int = 48,
    depth: int = 8,
    color: int = 2,
    compression: int = 0,
    filtering: int = 0,
    interlace: int = 0,
) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, compression, filtering, interlace))


def png(
    header: bytes | None = None,
    before: Iterable[bytes] = (),
    idat: bytes | None = None,
    behind: Iterable[bytes] = (),
    end: bytes | None = None,
    after: bytes = b"",
) -> bytes:
    parts = [
        PNG_SIGNATURE,
        ihdr() if header is None else header,
        *before,
        chunk(b"IDAT", zlib.compress(bytes(48 * (1 + 64 * 3)))) if idat is None else idat,
        *behind,
        chunk(b"IEND") if end is None else end,
        after,
    ]
    return b"".join(parts)


def refusal(data: Buffer, declared: str | None = None) -> str:
    """The slug, or `accepted`: what a test compares."""
    try:
        inspect_file(data, declared)
    except ImageRefused as refused:
        return refused.slug
    return "accepted"


def accepted(data: Buffer, declared: str | None = None) -> ImageHeader:
    return inspect_file(data, declared)
