"""JPEG: whole pictures only, upright, at the scale that was asked for."""

import io
import struct
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from framegate.kernel.errors import InvalidFrame
from framegate.preprocess.decode import decode, scale_denominator
from tests.support.pictures import shared_data

from .files import as_pillow, cut_out, insert, jpeg, noise, scene

JPEG = "image/jpeg"


def reason(data: bytes, target: tuple[int, int] | None = None) -> str:
    with pytest.raises(InvalidFrame) as caught:
        decode(data, JPEG, 1, target)
    return caught.value.reason


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}])
def test_pixels_are_those_of_opencv(options: dict[str, Any]) -> None:
    data = jpeg(scene(), quality=90, **options)
    theirs: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    theirs = cv2.cvtColor(theirs, cv2.COLOR_BGR2RGB)
    assert np.abs(decode(data, JPEG, 1).astype(int) - theirs).max() <= 1


def test_a_grey_jpeg_becomes_three_equal_channels() -> None:
    frame = decode(jpeg(scene(), "L"), JPEG, 1)
    assert frame.shape == (64, 96, 3)
    assert (frame[..., 0] == frame[..., 1]).all()
    assert (frame[..., 0] == frame[..., 2]).all()


def test_a_jpeg_in_rgb_without_color_transform_keeps_its_colors() -> None:
    data = jpeg(scene(), quality=95, keep_rgb=True)
    assert np.abs(decode(data, JPEG, 1).astype(int) - as_pillow(data)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("scaled", [False, True])
def test_every_orientation_is_undone_as_pillow_does(orientation: int, scaled: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(scene(160, 96), quality=95, exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    height, width = expected.shape[:2]
    frame = decode(data, JPEG, orientation, (width // 2, height // 2) if scaled else None)
    assert frame.shape == ((height // 2, width // 2, 3) if scaled else expected.shape)
    full = cv2.resize(frame, (width, height)) if scaled else frame
    assert np.abs(full.astype(int) - expected).mean() < (4 if scaled else 0.5)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_changes_nothing(orientation: int) -> None:
    data = jpeg(scene())
    assert (decode(data, JPEG, orientation) == decode(data, JPEG, 1)).all()


@pytest.mark.parametrize(
    ("target", "expected", "denominator"),
    [
        ((101, 67), (101, 67), 1),
        ((52, 10), (101, 67), 1),
        ((51, 34), (51, 34), 2),
        ((26, 17), (26, 17), 4),
        ((13, 9), (13, 9), 8),
        ((13, 10), (26, 17), 4),
        ((1, 1), (13, 9), 8),
        ((400, 400), (101, 67), 1),
    ],
)
def test_scaled_decoding_never_goes_below_the_target(
    target: tuple[int, int], expected: tuple[int, int], denominator: int
) -> None:
    frame = decode(jpeg(scene(101, 67)), JPEG, 1, target)
    assert frame.shape == (expected[1], expected[0], 3)
    assert scale_denominator(JPEG, 101, 67, 1, target) == denominator


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("target", [None, (10, 10)])
def test_a_hole_in_the_scan_is_refused_at_every_scale(
    share: float, options: dict[str, Any], target: tuple[int, int] | None
) -> None:
    data = jpeg(noise(256, 192), quality=90, **options)
    assert reason(cut_out(data, share, 3000), target) in {"truncated", "corrupt"}


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("ending", [b"", b"\xff\xd9"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_cut_off_is_truncated_even_with_an_end_marker(
    share: float, ending: bytes, options: dict[str, Any]
) -> None:
    data = jpeg(noise(256, 192), quality=90, **options)
    assert reason(data[: int(len(data) * share)] + ending) in {"truncated", "corrupt"}


def test_a_progressive_jpeg_without_its_last_scans_is_truncated_though_libjpeg_says_nothing() -> None:
    data = jpeg(noise(96, 64), progressive=True)
    scans = [i for i in range(len(data)) if data[i : i + 2] == b"\xff\xda"]
    assert len(scans) > 4
    tables = data.rindex(b"\xff\xc4", 0, scans[-1])
    coarser = data[: min(tables, scans[-1]) if tables > scans[-2] else scans[-1]] + b"\xff\xd9"
    assert simplejpeg.decode_jpeg(coarser, strict=True).shape == (64, 96, 3)
    assert reason(coarser) == "truncated"


def test_a_jpeg_whose_colors_are_missing_is_truncated_though_libjpeg_says_nothing() -> None:
    """Of three components, only the first has a scan: a grey picture, as far as libjpeg is concerned."""
    data = jpeg(scene(64, 48), subsampling=0)
    luma = jpeg(scene(64, 48), "L")
    header = luma[: luma.index(b"\xff\xc0")]
    frame = (
        data[data.index(b"\xff\xc0") :][:19]
        .replace(b"\x03\x11\x01", b"\x03\x11\x00")
        .replace(b"\x02\x11\x01", b"\x02\x11\x00")
    )
    colorless = header + frame + luma[luma.index(b"\xff\xc0") + 13 :]
    assert simplejpeg.decode_jpeg(colorless, strict=True).shape == (48, 64, 3)
    assert reason(colorless) == "truncated"


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_four_components_are_refused_and_three_are_not(mode: str) -> None:
    data = jpeg(scene(), mode)
    if mode == "CMYK":
        assert reason(data) == "unsupported-color-model"
    else:
        assert decode(data, JPEG, 1).shape == (64, 96, 3)


@pytest.mark.parametrize(
    "extra",
    [
        segment(0xE2, b"ICC_PROFILE\0\x01\x03broken"),
        segment(0xE2, b"ICC_PROFILE\0\x00\x01broken") * 2,
        segment(0xE1, b"Exif\0\0garbage"),
        segment(0xFE, bytes(60_000)),
        segment(0xEE, b"Adobe"),
        b"between segments",
    ],
    ids=["icc-part-missing", "icc-twice", "exif", "comment", "adobe-short", "extraneous"],
)
def test_what_pixels_do_not_need_cannot_cost_the_image(extra: bytes) -> None:
    data = jpeg(scene())
    assert (decode(insert(data, extra), JPEG, 1) == decode(data, JPEG, 1)).all()


def test_an_unknown_jfif_revision_cannot_cost_the_image() -> None:
    data = jpeg(scene())
    position = data.index(b"JFIF\0") + 5
    newer = data[:position] + b"\x02\x01" + data[position + 2 :]
    assert (decode(newer, JPEG, 1) == decode(data, JPEG, 1)).all()


def test_hierarchical_and_arithmetic_jpegs_are_refused() -> None:
    data = jpeg(scene())
    for marker in (b"\xff\xc5", b"\xff\xc9"):
        assert reason(data.replace(b"\xff\xc0", marker, 1)) == "unsupported-coding"


def test_a_lossless_jpeg_is_decoded_at_full_scale_and_reduced_afterwards() -> None:
    data = shared_data("nasty", "ljt_bugs", "ljt_bugs_0003.jpg").read_bytes()
    assert decode(data, JPEG, 1).shape == (95, 96, 3)
    for _ in range(20):  # a write behind the end shows only now and then
        assert decode(data, JPEG, 1, (40, 40)).shape == (48, 48, 3)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xda\x00\x02\xff\xd9"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    assert reason(data) in {"truncated", "corrupt"}


def test_only_jpeg_and_png_are_decoded() -> None:
    with pytest.raises(InvalidFrame) as caught:
        decode(b"GIF89a", "image/gif", 1)
    assert caught.value.reason == "unsupported-media-type"


def test_ten_thousand_flipped_bits_never_raise_anything_but_a_refusal() -> None:
    random = np.random.default_rng(7)
    data = jpeg(scene(64, 48), progressive=True)
    refused = 0
    for _ in range(1000):
        mutant = bytearray(data)
        for position in random.integers(2, len(data), 10):
            mutant[position] ^= 1 << int(random.integers(8))
        try:
            frame = decode(bytes(mutant), JPEG, 1)
        except InvalidFrame:
            refused += 1
        else:
            assert frame.ndim == 3
    assert refused > 500
