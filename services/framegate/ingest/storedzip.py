"""Zip files whose members are stored as they are: the same members give the same bytes, and the size is known before."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

Member = tuple[str, bytes]

# APPNOTE 6.3.10: made by Unix, version 2.0; names in UTF-8; 1980-01-01; regular file, readable by all.
_VERSION, _UTF8, _STORED, _TIME, _DATE = 20, 1 << 11, 0, 0, 1 << 5 | 1
_MADE_BY, _MODE = 3 << 8 | _VERSION, 0o100644 << 16
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_CHUNK: Final = 1 << 20


def stored_zip(members: Sequence[Member]) -> Iterator[bytes | memoryview]:
    """In pieces of up to a MiB. Below 4 GiB and 65,536 members, as there is no Zip64."""
    offset, directory = 0, []
    for name, data in members:
        encoded = name.encode()
        sizes = (zlib.crc32(data), len(data), len(data))
        fields = (_VERSION, _UTF8, _STORED, _TIME, _DATE, *sizes, len(encoded), 0)
        directory.append(_CENTRAL.pack(b"PK\1\2", _MADE_BY, *fields, 0, 0, 0, _MODE, offset) + encoded)
        yield _LOCAL.pack(b"PK\3\4", *fields) + encoded
        view = memoryview(data)
        yield from (view[at : at + _CHUNK] for at in range(0, len(data), _CHUNK))
        offset += _LOCAL.size + len(encoded) + len(data)
    central = b"".join(directory)
    yield central + _END.pack(b"PK\5\6", 0, 0, len(directory), len(directory), len(central), offset, 0)


def stored_size(members: Sequence[Member]) -> int:
    """How many bytes `stored_zip` gives."""
    per_member = _LOCAL.size + _CENTRAL.size
    return _END.size + sum(per_member + 2 * len(name.encode()) + len(data) for name, data in members)
