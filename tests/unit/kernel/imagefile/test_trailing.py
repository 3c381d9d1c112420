import io
import random
import zipfile

import pytest

from .build import accepted, chunk, frame, jpeg, png, refusal, scan, segment

MPF = segment(0xE2, b"MPF\0II*\0" + bytes(20))


def with_rest(kind: str, rest: bytes) -> bytes:
    return jpeg(after=rest) if kind == "jpeg" else png(after=rest)


def zip_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "hello")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_up_to_64_kib_behind_the_image_are_flagged_and_more_is_refused(kind: str) -> None:
    assert accepted(with_rest(kind, bytes(64 * 1024))).flags == ("trailing-data",)
    assert refusal(with_rest(kind, bytes(64 * 1024 + 1))) == "trailing-data"


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(zip_archive(), id="zip"),
        pytest.param(bytes(300) + zip_archive() + bytes(10), id="zip between padding"),
        pytest.param(b"PK\x05\x06" + bytes(18), id="empty zip"),
        pytest.param(b"Rar!\x1a\x07\x01\0", id="rar"),
        pytest.param(b"7z\xbc\xaf\x27\x1c\0\4", id="7z"),
        pytest.param(b"\x1f\x8b\x08\0", id="gzip"),
        pytest.param(b"junk %PDF-1.4", id="pdf"),
        pytest.param(b"\n<HTML><body>", id="html"),
        pytest.param(b"xx<sCript>alert(1)</script>", id="script"),
        pytest.param(b"<svg onload=alert(1)>", id="svg"),
        pytest.param(b"<?php system($_GET[0]);", id="php"),
        pytest.param(b"\0\0MZ\x90\0", id="windows program"),
        pytest.param(b"\x7fELF\2\1\1", id="linux program"),
        pytest.param(b"#!/bin/sh\n", id="shell script"),
    ],
)
def test_archives_pages_and_programs_behind_the_image_are_refused(kind: str, rest: bytes) -> None:
    assert refusal(with_rest(kind, rest)) == "trailing-data"


def test_two_letters_by_chance_in_the_middle_of_the_rest_are_not_a_program() -> None:
    assert refusal(jpeg(after=b"maker notes MZ and #! and BZh")) == "accepted"


def test_a_zip_that_is_also_a_jpeg_is_refused_by_its_directory() -> None:
    assert refusal(jpeg(before=segment(0xFE, zip_archive()), after=zip_archive()[-22:])) == "trailing-data"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg(before=segment(0xFE, b"\n%PDF-1.3\n")), id="jpeg comment"),
        pytest.param(png(before=[chunk(b"prVt", b"\n%PDF-1.3\n")]), id="png chunk"),
    ],
)
def test_an_image_that_is_also_a_pdf_is_refused(data: bytes) -> None:
    assert refusal(data) == "trailing-data"


def test_a_pdf_header_too_deep_in_the_file_to_count_is_tolerated() -> None:
    assert refusal(jpeg(before=segment(0xFE, bytes(1024) + b"%PDF-1.3"))) == "accepted"


def test_an_image_that_is_also_a_script_is_refused() -> None:
    opening = segment(0xE0, b"JFIF\0".ljust(0x2F2A - 2, b"\0"))
    assert refusal(jpeg(before=opening + segment(0xFE, b"*/=alert(1)/*"))) == "trailing-data"
    assert refusal(jpeg(before=opening)) == "accepted"


def big_jpeg() -> bytes:
    dice = random.Random(3)
    noise = dice.randbytes(300_000).replace(b"\xff", b"\xfe")
    return jpeg(frames=frame(640, 480), scans=scan(data=noise))


def test_announced_further_images_may_be_large() -> None:
    assert accepted(jpeg(before=MPF, after=big_jpeg())).flags == ("trailing-data",)


def test_further_images_nobody_announced_may_not_be_large() -> None:
    assert refusal(jpeg(after=big_jpeg())) == "trailing-data"
    assert refusal(jpeg(after=jpeg())) == "accepted"


def test_an_announcement_does_not_let_other_large_data_in() -> None:
    assert refusal(jpeg(before=MPF, after=b"x" + big_jpeg())) == "trailing-data"


def test_a_zip_behind_announced_images_is_refused() -> None:
    assert refusal(jpeg(before=MPF, after=big_jpeg() + zip_archive())) == "trailing-data"
