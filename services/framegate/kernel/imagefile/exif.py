"""The orientation out of an EXIF block, and nothing else: one directory, no pointers followed, no loops."""

import struct

_ORIENTATION = 0x0112
_SHORT, _LONG = 3, 4
_MAX_ENTRIES = 512  # directories of cameras hold well under 100


def read_orientation(exif: bytes) -> int | None:
    """The orientation 1..8 of a TIFF block (CIPA DC-008); 1 where it is not stated, None where it cannot be trusted."""
    if exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 10:
        return None
    (directory,) = struct.unpack_from(f"{order}I", exif, 4)
    if directory + 2 > len(exif):
        return None
    (count,) = struct.unpack_from(f"{order}H", exif, directory)
    readable = min(count, _MAX_ENTRIES, (len(exif) - directory - 2) // 12)
    for index in range(readable):
        entry = directory + 2 + 12 * index
        tag, kind, values = struct.unpack_from(f"{order}HHI", exif, entry)
        if tag == _ORIENTATION:
            return _value(exif, entry + 8, order, kind, values)
    return 1 if readable == count else None


def _value(exif: bytes, offset: int, order: str, kind: int, values: int) -> int | None:
    if values != 1 or kind not in (_SHORT, _LONG):
        return None
    (value,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", exif, offset)
    return int(value) if 1 <= value <= 8 else None
