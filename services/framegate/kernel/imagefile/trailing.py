"""Foreign data around an image: what follows its end, and files that are a second thing at the same time."""

import re

from framegate.kernel.imagefile.model import Buffer, ImageRefused, Limits

# A zip is found by its last record, at most a 64 KiB comment before the end of the file.
_ZIP_TAIL = 64 * 1024 + 22
_PDF_HEAD = 1024  # readers look for %PDF- this far into a file

# A JPEG whose first segment is 0x2F2A bytes long begins with a name and "/*" to a script engine.
_SCRIPT_START = re.compile(rb"\xff\xd8\xff[\xe0-\xef\xfe]/\*")
_SCRIPT_GOES_ON = re.compile(rb"\*/\s*[=:]")
_SCRIPT_HEAD = 0x2F2A + 4096

_ANYWHERE = re.compile(
    rb"PK\x03\x04|PK\x05\x06|PK\x07\x08|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|\xfd7zXZ\x00|MSCF\0\0\0\0|%PDF-"
    rb"|(?i:<html|<!doctype|<head|<body|<script|<svg|<iframe|<\?php|<\?xml)"
)
# Too short to be looked for inside other data: compressed bytes contain them by chance.
_AT_START = (b"MZ", b"\x7fELF", b"#!", b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd", b"\xca\xfe\xba\xbe")


def refuse_leading_polyglot(data: Buffer) -> None:
    """Refuses an image that opens as a PDF too, or whose first segment makes it a script."""
    if b"%PDF-" in bytes(data[:_PDF_HEAD]):
        raise _refused("The file is also a PDF.")
    if _SCRIPT_START.match(data) and _SCRIPT_GOES_ON.search(data, 0, _SCRIPT_HEAD):
        raise _refused("The file is also a script.")


def check_trailing(data: Buffer, end: int, limits: Limits, images_follow: bool = False) -> bool:
    """True if tolerable data follows the image's `end`; refuses archives, pages, programs and anything large.

    `images_follow`: the image announces further JPEG images behind itself (CIPA DC-007 multi-picture format),
    which may be of any size. Of a large rest only the first and last 64 KiB are searched, where its header or the
    directory of a zip must lie.
    """
    length = len(data) - end
    if length == 0:
        return False
    begins_as_jpeg = bytes(data[end : end + 3]) == b"\xff\xd8\xff"
    if length > limits.max_trailing_bytes and not (images_follow and begins_as_jpeg):
        raise _refused(f"{length} bytes follow the end of the image.")
    if length <= 2 * _ZIP_TAIL:
        searched = [bytes(data[end:])]
    else:
        searched = [bytes(data[end : end + _ZIP_TAIL]), bytes(data[len(data) - _ZIP_TAIL :])]
    if any(_ANYWHERE.search(part) for part in searched) or searched[0].lstrip(b"\0 \t\r\n").startswith(_AT_START):
        raise _refused("An archive, a page or a program follows the end of the image.")
    return True


def _refused(detail: str) -> ImageRefused:
    return ImageRefused("trailing-data", f"{detail} Export the image again and send only the image.")
