"""Which format a file is, by its first bytes."""

import re
import struct

from framegate.kernel.imagefile.model import Buffer, MediaType
from framegate.kernel.imagefile.png import SIGNATURE as PNG_SIGNATURE

_JPEG_SIGNATURE = b"\xff\xd8\xff"
_HEAD = 1024

_MAGICS = (
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"8BPS\0", "Photoshop (PSD)"),
    (b"%!PS", "PostScript (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"\x8bJNG\r\n\x1a\n", "JNG"),
    (b"SIMPLE  =", "FITS"),
    (b"v/1\x01", "OpenEXR"),
    (b"qoif", "QOI"),
    (b"PK\x03\x04", "ZIP"),
    (b"PK\x05\x06", "ZIP"),
    (b"\x1f\x8b\x08", "GZIP"),
    (b"data:image/", "base64 text"),
    (b"/9j/", "base64 text"),
    (b"iVBORw0KGgo", "base64 text"),
)
_BRANDS = (
    (frozenset((b"avif", b"avis")), "AVIF"),
    (frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")), "HEIC"),
    (frozenset((b"jxl ",)), "JPEG XL"),
    (frozenset((b"jp2 ", b"jpx ", b"jph ")), "JPEG 2000"),
)
_DIB_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_MARKUP = re.compile(rb"<(?:\?xml|!--|!doctype|[a-z][a-z0-9:]*[\s/>])")


def sniff(data: Buffer) -> MediaType | str | None:
    """The media type, the name of a format that is not taken in, or None. Looks at the first KiB."""
    head = bytes(data[:_HEAD])
    if _begins(head, _JPEG_SIGNATURE, at_least=2):
        return MediaType.JPEG
    if _begins(head, PNG_SIGNATURE, at_least=4):
        return MediaType.PNG
    for magic, name in _MAGICS:
        if head.startswith(magic):
            return name
    return _container(head) or _windows(head) or ("PDF" if b"%PDF-" in head else _markup(head))


def _begins(head: bytes, signature: bytes, at_least: int) -> bool:
    """Also true of a file cut off within its signature."""
    return head.startswith(signature) or (len(head) >= at_least and signature.startswith(head))


def _container(head: bytes) -> str | None:
    if head[:4] == b"RIFF":
        return "WebP" if head[8:12] == b"WEBP" else "RIFF"
    if head[4:8] != b"ftyp":
        return None
    (size,) = struct.unpack_from(">I", head)
    brands = {head[8:12]} | {head[offset : offset + 4] for offset in range(16, min(size, len(head)), 4)}
    return next((name for known, name in _BRANDS if brands & known), "MP4 or QuickTime")


def _windows(head: bytes) -> str | None:
    """BMP, ICO and CUR, whose magics are too short to be believed alone."""
    if head[:2] == b"BM" and len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _DIB_HEADERS:
        return "BMP"
    if head[:4] in (b"\0\0\1\0", b"\0\0\2\0") and len(head) >= 22 and head[4:6] != b"\0\0" and head[9] == 0:
        return "ICO" if head[2] == 1 else "CUR"
    return None


def _markup(head: bytes) -> str | None:
    for mark in _BYTE_ORDER_MARKS:
        head = head.removeprefix(mark)
    text = head.replace(b"\0", b"").lstrip().lower()  # UTF-16 without its zeros is ASCII enough
    if not _MARKUP.match(text):
        return None
    if b"<svg" in text:
        return "SVG"
    return "HTML" if re.search(rb"<!doctype html|<html|<head|<body|<script", text) else "XML"
