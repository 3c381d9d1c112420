import random
import struct

import pytest

from framegate.kernel.imagefile import ImageRefused, Limits, inspect_file

from .build import jpeg, png, refusal


def ftyp(*brands: bytes) -> bytes:
    return struct.pack(">I", 12 + 4 * len(brands)) + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:]) + bytes(64)


FOREIGN = [
    (b"GIF89a" + bytes(20), "GIF"),
    (b"GIF87a" + bytes(20), "GIF"),
    (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(20), "WebP"),
    (ftyp(b"avif", b"mif1"), "AVIF"),
    (ftyp(b"mif1", b"avif"), "AVIF"),
    (ftyp(b"heic", b"mif1"), "HEIC"),
    (ftyp(b"mif1"), "HEIC"),
    (ftyp(b"isom"), "MP4"),
    (b"II*\0\x08\0\0\0", "TIFF"),
    (b"MM\0*\0\0\0\x08", "TIFF"),
    (b"II+\0\x08\0\0\0", "TIFF"),
    (b"BM" + bytes(12) + struct.pack("<I", 40) + bytes(36), "BMP"),
    (b"8BPS\0\1" + bytes(20), "PSD"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS"),
    (b"\xc5\xd0\xd3\xc6" + bytes(28), "EPS"),
    (b"%PDF-1.7\n", "PDF"),
    (b"\xef\xbb\xbf\n%PDF-1.7\n", "PDF"),
    (b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0" + bytes(16), "ICO"),
    (b"\0\0\2\0\1\0\x10\x10\0\0\1\0\x20\0" + bytes(16), "CUR"),
    (b"\0\0\0\x0cjP  \r\n\x87\n" + ftyp(b"jp2 "), "JPEG 2000"),
    (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
    (b"\xff\x0a\x10\x20", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n" + ftyp(b"jxl "), "JPEG XL"),
    (b"SIMPLE  =                    T", "FITS"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<SVG:svg/>  <svg>", "SVG"),
    ("\ufeff<?xml version='1.0'?><svg/>".encode("utf-16-le"), "SVG"),
    (b"<?xml version='1.0'?><note/>", "XML"),
    (b"  <!DOCTYPE html><html>", "HTML"),
    (b"<html><body>502 Bad Gateway", "HTML"),
    (b"/9j/4AAQSkZJRgABAQ", "base64"),
    (b"data:image/png;base64,iVBORw0KGgo", "base64"),
]


@pytest.mark.parametrize(("data", "name"), FOREIGN, ids=[f"{name}-{index}" for index, (_, name) in enumerate(FOREIGN)])
@pytest.mark.parametrize("declared", [None, "image/jpeg"])
def test_another_format_is_named_and_refused_whatever_was_declared(
    data: bytes, name: str, declared: str | None
) -> None:
    with pytest.raises(ImageRefused, match=name) as refused:
        inspect_file(data, declared)
    assert (refused.value.slug, refused.value.status) == ("unsupported-media-type", 415)
    assert "8-bit JPEG, or PNG" in refused.value.detail


def test_random_bytes_are_not_recognised() -> None:
    dice = random.Random(1)
    assert {refusal(dice.randbytes(size)) for size in (1, 2, 3, 7, 100, 5000, 100_000)} == {"unrecognized-image"}


@pytest.mark.parametrize(
    "data", [b"BM says nothing alone", b"\0\0\1\0", b"\0\0\1\0" + b"\1" * 30, b"RIF", b"<3 hearts", b"\xff", b"\x89PN"]
)
def test_a_short_magic_alone_is_not_believed(data: bytes) -> None:
    assert refusal(data) == "unrecognized-image"


def test_bytes_of_the_other_format_are_a_mismatch() -> None:
    assert refusal(jpeg(), "image/png") == "media-type-mismatch"
    assert refusal(png(), "image/jpeg") == "media-type-mismatch"


def test_the_declared_type_is_compared_without_regard_to_case() -> None:
    assert refusal(jpeg(), "Image/JPEG") == "accepted"
    assert refusal(png(), "image/png") == "accepted"


@pytest.mark.parametrize(
    "declared", ["image/gif", "image/jpg", "application/octet-stream", "", "\0", "image/jpeg\r\nx"]
)
def test_a_declared_type_we_do_not_take_is_refused_even_if_the_bytes_are_fine(declared: str) -> None:
    assert refusal(jpeg(), declared) == "unsupported-media-type"


def test_an_empty_body_is_its_own_refusal() -> None:
    with pytest.raises(ImageRefused) as refused:
        inspect_file(b"", "image/gif")
    assert (refused.value.slug, refused.value.status) == ("empty-body", 400)


def test_the_size_limit_is_inclusive() -> None:
    data = jpeg()
    inspect_file(data, limits=Limits(max_bytes=len(data)))
    with pytest.raises(ImageRefused) as refused:
        inspect_file(data, limits=Limits(max_bytes=len(data) - 1))
    assert (refused.value.slug, refused.value.status) == ("payload-too-large", 413)
