"""PNG (W3C PNG, third edition): the walk over the chunks, without inflating a byte."""

import struct
import zlib

from framegate.kernel.imagefile.exif import read_orientation
from framegate.kernel.imagefile.model import (
    Buffer,
    ImageHeader,
    ImageRefused,
    Limits,
    MediaType,
    check_dimensions,
    malformed,
    truncated,
)
from framegate.kernel.imagefile.trailing import check_trailing

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IHDR_END = len(SIGNATURE) + 8 + 13 + 4
_MAX_IDAT = 65_536  # encoders write 8 KiB and more at a time: 3,200 for the largest file we take

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_COMPONENTS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE, _WITH_ALPHA = 3, (4, 6)


def inspect_png(data: Buffer, limits: Limits) -> ImageHeader:
    """The header of a PNG that begins with the signature. Checksums other than IHDR's are the decoder's business."""
    width, height, depth, color, interlace = _image_header(data)
    check_dimensions(width, height, limits)
    walk = _Walk(data, limits, needs_palette=color == _PALETTE)
    end = walk.to_end()
    if check_trailing(data, end, limits):
        walk.flags.append("trailing-data")
    return ImageHeader(
        media_type=MediaType.PNG,
        width=width,
        height=height,
        components=_COMPONENTS[color],
        bit_depth=depth,
        interlaced=interlace == 1,
        has_alpha=color in _WITH_ALPHA or walk.transparency,
        orientation=walk.orientation or 1,
        flags=tuple(walk.flags),
    )


def _image_header(data: Buffer) -> tuple[int, int, int, int, int]:
    if len(data) < _IHDR_END:
        raise malformed("The header of the PNG is incomplete.")
    length, kind, width, height, depth, color, compression, filtering, interlace, checksum = struct.unpack_from(
        ">I4sIIBBBBBI", data, len(SIGNATURE)
    )
    if kind != b"IHDR" or length != 13:
        raise malformed("The PNG does not begin with its image header.")
    if zlib.crc32(data[len(SIGNATURE) + 4 : _IHDR_END - 4]) != checksum:
        raise malformed("The checksum of the PNG's image header is wrong.")
    if depth not in _DEPTHS.get(color, ()) or compression or filtering or interlace > 1:
        raise malformed("The image header of the PNG states an impossible format.")
    return width, height, depth, color, interlace


class _Walk:
    """Goes from chunk to chunk by the lengths they state."""

    def __init__(self, data: Buffer, limits: Limits, needs_palette: bool) -> None:
        self.orientation: int | None = None
        self.transparency = False
        self.flags: list[str] = []
        self._data = data
        self._limits = limits
        self._needs_palette = needs_palette
        self._has_palette = False
        self._idats = 0
        self._ancillary = 0
        self._ancillary_bytes = 0

    def to_end(self) -> int:
        """The offset behind IEND."""
        data = self._data
        size = len(data)
        position: int = _IHDR_END
        while position + 12 <= size:
            length, kind = struct.unpack_from(">I4s", data, position)
            start = position + 8
            position = start + length + 4
            if not kind.isalpha() or length > 2**31 - 1:
                raise malformed("The PNG holds a chunk that is none.")
            if position > size:
                raise truncated("A chunk of the PNG runs past the end of the file.")
            if kind == b"IDAT":
                self._image_data()
            elif kind == b"IEND":
                self._finish(length)
                return position
            elif kind[0] & 0x20:
                self._optional(kind, start, length)
            else:
                self._palette(kind, length)
        raise truncated("The PNG stops before its IEND chunk.")

    def _image_data(self) -> None:
        if self._needs_palette and not self._has_palette:
            raise malformed("The PNG has palette colours but no palette.")
        self._idats += 1
        if self._idats > _MAX_IDAT:
            raise ImageRefused(
                "too-complex", f"The PNG is cut into more than {_MAX_IDAT} pieces. Export it again with larger ones."
            )

    def _finish(self, length: int) -> None:
        if length:
            raise malformed("The end chunk of the PNG is not empty.")
        if not self._idats:
            raise malformed("The PNG has no image data.")

    def _palette(self, kind: bytes, length: int) -> None:
        """PLTE is the only critical chunk left; one we do not know must not be skipped."""
        if kind != b"PLTE":
            raise malformed("The PNG holds a critical chunk that no reader knows, or two image headers.")
        if self._has_palette:
            raise malformed("The PNG has two palettes.")
        if length % 3 or not 3 <= length <= 768:
            raise malformed("The palette of the PNG has an impossible length.")
        self._has_palette = True

    def _optional(self, kind: bytes, start: int, length: int) -> None:
        if kind == b"acTL":
            raise ImageRefused("animated-image", "The PNG is an animation. Send each frame as its own image.")
        self._ancillary += 1
        self._ancillary_bytes += length
        limits = self._limits
        if self._ancillary > limits.max_chunks or self._ancillary_bytes > limits.max_metadata_bytes:
            raise ImageRefused(
                "too-much-metadata",
                f"The PNG carries more than {limits.max_metadata_bytes} bytes or more than {limits.max_chunks} chunks "
                "of metadata. Send it without texts and profiles.",
            )
        if kind == b"tRNS":
            self.transparency = True
        elif kind == b"eXIf" and self.orientation is None:
            found = read_orientation(bytes(self._data[start : start + length]))
            self.orientation = found or 1
            if found is None:
                self.flags.append("orientation-invalid")
