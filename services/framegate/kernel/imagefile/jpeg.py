"""JPEG (ITU-T T.81): the walk over the markers, as far as it goes without decoding a coefficient."""

import re
import struct
from dataclasses import dataclass

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

_SOI, _EOI, _SOS, _DNL, _COM = 0xD8, 0xD9, 0xDA, 0xDC, 0xFE
# Baseline, extended sequential, progressive and lossless, all Huffman coded. libjpeg-turbo 3 decodes the last one strictly
# as well, and so do the tools that people check a refused file with.
_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC3))
_TABLES = frozenset((0xC4, 0xCC, 0xDB, 0xDD))  # DHT, DAC, DQT, DRI: the decoder's business
_METADATA = frozenset((*range(0xE0, 0xF0), _COM))
_OTHER_CODINGS = frozenset((*range(0xC0, 0xD0), 0xDE, 0xDF, *range(0xF0, 0xFE))) - _FRAMES - _TABLES

# Anything that is neither a stuffed byte, a fill byte, TEM nor RSTn: right between segments and inside a scan.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_FILL = re.compile(rb"\xff*")
_MAX_SEGMENTS = 2048  # 100 scans, each with its own tables, stay well below

_CODINGS = "Send a baseline or progressive 8-bit JPEG, or PNG."


@dataclass(frozen=True, slots=True)
class _Frame:
    width: int
    height: int
    components: int
    progressive: bool


def inspect_jpeg(data: Buffer, limits: Limits) -> ImageHeader:
    """The header of a JPEG that begins with SOI. One pass; the end is the EOI reached through the markers."""
    walk = _Walk(data, limits)
    end = walk.to_end()
    frame = walk.frame
    if frame is None or walk.scans == 0:
        raise malformed("The JPEG ends before its first scan.")
    if frame.height == 0:
        raise ImageRefused("bad-dimensions", f"The image is {frame.width} x 0. Send an image that has pixels.")
    if check_trailing(data, end, limits, images_follow=walk.announces_images):
        walk.flags.append("trailing-data")
    return ImageHeader(
        media_type=MediaType.JPEG,
        width=frame.width,
        height=frame.height,
        components=frame.components,
        bit_depth=8,
        progressive=frame.progressive,
        orientation=walk.orientation or 1,
        flags=tuple(walk.flags),
    )


class _Walk:
    """Goes from marker to marker the way libjpeg does, so that both see the same image in a file."""

    def __init__(self, data: Buffer, limits: Limits) -> None:
        self.frame: _Frame | None = None
        self.scans = 0
        self.orientation: int | None = None
        self.announces_images = False
        self.flags: list[str] = []
        self._data = data
        self._limits = limits
        self._position = 2
        self._in_scan = False
        self._extraneous = 0
        self._metadata_bytes = 0
        self._metadata_segments = 0

    def to_end(self) -> int:
        """The offset behind the EOI."""
        for _ in range(_MAX_SEGMENTS):
            marker = self._next_marker()
            if marker == _EOI:
                return self._position
            self._refuse_marker(marker)
            start, end = self._segment()
            if marker in _METADATA:
                self._metadata(marker, start, end)
            elif marker in _FRAMES:
                self._start_frame(marker, start, end)
            elif marker == _SOS:
                self._start_scan(start, end)
            elif marker == _DNL and self.frame is not None and self.frame.height == 0:
                raise ImageRefused("unsupported-coding", f"The JPEG states its height after the image. {_CODINGS}")
            self._position = end
        raise ImageRefused("too-complex", f"The JPEG has more than {_MAX_SEGMENTS} segments. {_CODINGS}")

    def _next_marker(self) -> int:
        found = _MARKER.search(self._data, self._position)
        if found is None:
            raise self._cut_off()
        if not self._in_scan:
            self._skip(found.start())
        self._in_scan = False
        self._position = found.end()
        return self._data[found.end() - 1]

    def _skip(self, marker: int) -> None:
        """Counts what libjpeg would jump over with a warning; fill bytes are legal."""
        fill = _FILL.match(self._data, self._position)
        self._extraneous += marker - min(marker, fill.end() if fill else self._position)
        if self._extraneous > self._limits.max_trailing_bytes:
            raise malformed("The JPEG holds data that belongs to none of its segments.")
        if self._extraneous and "extraneous-data" not in self.flags:
            self.flags.append("extraneous-data")

    def _refuse_marker(self, marker: int) -> None:
        if marker == _SOI:
            raise malformed("A second JPEG starts inside the first.")
        if marker in _OTHER_CODINGS and not self.scans:
            raise ImageRefused(
                "unsupported-coding",
                f"Hierarchical and arithmetic JPEG is not supported. {_CODINGS}",
            )
        if marker < 0xC0 or marker in _OTHER_CODINGS:
            raise malformed("The JPEG holds a marker that has no meaning.")

    def _segment(self) -> tuple[int, int]:
        """Start and end of the payload behind the marker."""
        if self._position + 2 > len(self._data):
            raise self._cut_off()
        (length,) = struct.unpack_from(">H", self._data, self._position)
        if length < 2:
            raise malformed("A segment of the JPEG has an impossible length.")
        if self._position + length > len(self._data):
            raise self._cut_off()
        return self._position + 2, self._position + length

    def _cut_off(self) -> ImageRefused:
        if self.scans:
            return truncated("The JPEG stops before its end marker.")
        return malformed("The header of the JPEG is incomplete.")

    def _metadata(self, marker: int, start: int, end: int) -> None:
        self._metadata_bytes += end - start
        self._metadata_segments += 1
        limits = self._limits
        if self._metadata_bytes > limits.max_metadata_bytes or self._metadata_segments > limits.max_chunks:
            raise ImageRefused(
                "too-much-metadata",
                f"The JPEG carries more than {limits.max_metadata_bytes} bytes of metadata or more than "
                f"{limits.max_chunks} metadata segments. Send it without previews and comments.",
            )
        label = bytes(self._data[start : min(end, start + 6)])
        if marker == 0xE1 and label == b"Exif\0\0" and self.orientation is None and not self.scans:
            found = read_orientation(bytes(self._data[start + 6 : end]))
            self.orientation = found or 1
            if found is None:
                self.flags.append("orientation-invalid")
        elif marker == 0xE2 and label[:4] == b"MPF\0":
            self.announces_images = True

    def _start_frame(self, marker: int, start: int, end: int) -> None:
        if self.frame is not None:
            raise malformed("The JPEG has two frame headers.")
        if end - start < 6:
            raise malformed("The frame header of the JPEG is incomplete.")
        precision, height, width, components = struct.unpack_from(">BHHB", self._data, start)
        if components == 0 or end - start != 6 + 3 * components:
            raise malformed("The frame header of the JPEG contradicts itself.")
        if precision != 8:
            raise ImageRefused("unsupported-coding", f"The JPEG has {precision} bits per sample. {_CODINGS}")
        if components not in (1, 3):
            raise ImageRefused(
                "unsupported-color-model",
                f"The JPEG has {components} components (CMYK has 4). Convert it to RGB or grayscale.",
            )
        for sampling in bytes(self._data[start + 7 : end : 3]):
            if not (1 <= sampling >> 4 <= 4 and 1 <= sampling & 15 <= 4):
                raise malformed("The JPEG has an impossible sampling factor.")
        # A height of 0 promises a DNL segment behind the first scan; which of the two is wrong shows there.
        check_dimensions(width, height or self._limits.min_side, self._limits)
        self.frame = _Frame(width, height, components, progressive=marker == 0xC2)

    def _start_scan(self, start: int, end: int) -> None:
        if self.frame is None:
            raise malformed("The JPEG has a scan before its frame header.")
        components = self._data[start] if end > start else 0
        if not 1 <= components <= self.frame.components or end - start != 4 + 2 * components:
            raise malformed("A scan header of the JPEG contradicts itself.")
        self.scans += 1
        if self.scans > self._limits.max_scans:
            raise ImageRefused("too-complex", f"The JPEG has more than {self._limits.max_scans} scans. {_CODINGS}")
        self._in_scan = True
