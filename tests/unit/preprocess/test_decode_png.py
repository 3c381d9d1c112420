"""PNG: every kind of pixel by the stated rules, and nothing that is not all there."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from framegate.kernel.errors import InvalidFrame
from framegate.preprocess.decode import decode
from tests.unit.kernel.imagefile.build import chunk, ihdr, png

from .files import Pixels, as_pillow, idats, noise, palette, raw_png

PNG = "image/png"
KINDS = [(d, 0) for d in (1, 2, 4, 8)] + [(8, 2), (8, 4), (8, 6)]


def reason(data: bytes) -> str:
    with pytest.raises(InvalidFrame) as caught:
        decode(data, PNG, 1)
    return caught.value.reason


def saved(pixels: Pixels, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("depth", "color"), KINDS)
def test_pixels_of_up_to_eight_bits_are_those_of_pillow(depth: int, color: int) -> None:
    data = raw_png(depth, color)
    assert np.abs(decode(data, PNG, 1).astype(int) - as_pillow(data)).max() <= (1 if color >= 4 else 0)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("transparency", [b"", b"\x00\x80\xff"])
def test_a_palette_with_and_without_transparency_is_looked_up(depth: int, transparency: bytes) -> None:
    extra = [palette(2**depth)] + ([chunk(b"tRNS", transparency[: 2**depth])] if transparency else [])
    data = raw_png(depth, 3, extra)
    assert np.abs(decode(data, PNG, 1).astype(int) - as_pillow(data)).max() <= (1 if transparency else 0)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_transparent_grey_becomes_black(depth: int) -> None:
    plain, sample = raw_png(depth, 0), 2**depth - 1
    data = raw_png(depth, 0, [chunk(b"tRNS", struct.pack(">H", sample))])
    expected = decode(plain, PNG, 1).copy()
    assert (expected == 255).any()
    expected[expected == 255] = 0
    assert (decode(data, PNG, 1) == expected).all()


def test_transparent_color_becomes_black() -> None:
    pixels = np.full((40, 40, 3), (10, 20, 30), np.uint8)
    pixels[:20] = (10, 20, 31)
    key = struct.pack(">HHH", 10, 20, 31)
    frame = decode(raw_png(8, 2, [chunk(b"tRNS", key)], 40, 40, pixels.reshape(40, -1)), PNG, 1)
    assert (frame[:20] == 0).all()
    assert (frame[20:] == (10, 20, 30)).all()


def test_all_samples_of_sixteen_bits_are_divided_by_257_and_rounded() -> None:
    samples = np.arange(65536, dtype=np.uint32)
    rows = samples.astype(">u2").view(np.uint8).reshape(256, 512)
    frame = decode(raw_png(16, 0, (), 256, 256, rows), PNG, 1)
    assert (frame[..., 0].ravel() == (samples * 255 + 32767) // 65535).all()
    assert (frame[..., 0].ravel() == np.round(samples / 257)).all()


@pytest.mark.parametrize("color", [2, 4, 6])
def test_sixteen_bits_of_color_and_alpha_follow_the_rule(color: int) -> None:
    channels = {2: 3, 4: 2, 6: 4}[color]
    samples = np.random.default_rng(1).integers(0, 65536, (33, 37, channels)).astype(">u2")
    eight = np.round(samples / 257)
    values = eight[..., :1].repeat(3, 2) if color == 4 else eight[..., :3]
    expected = values if color == 2 else np.round(values * eight[..., -1:] / 255)
    frame = decode(raw_png(16, color, rows=samples.view(np.uint8).reshape(33, -1)), PNG, 1)
    assert (frame == expected).all()


def test_a_transparent_grey_of_sixteen_bits_is_compared_before_it_is_rounded() -> None:
    samples = np.full((33, 37), 1000, ">u2")
    samples[:10] = 1001
    data = raw_png(16, 0, [chunk(b"tRNS", struct.pack(">H", 1001))], rows=samples.view(np.uint8).reshape(33, -1))
    frame = decode(data, PNG, 1)
    assert (frame[:10] == 0).all()
    assert (frame[10:] == 4).all()


@pytest.mark.parametrize("width", [1, 3, 4, 5, 8, 33, 40])
@pytest.mark.parametrize("depth", [1, 8, 16])
def test_an_interlaced_png_is_the_same_picture(width: int, depth: int) -> None:
    """Adam7 by hand: no encoder at hand writes it."""
    samples = np.random.default_rng(width).integers(0, 2**depth, (35, width))
    rows = b""
    for x, y, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        for row in samples[y::dy, x::dx]:
            if len(row):
                packed = np.packbits(row.astype(np.uint8)) if depth == 1 else row.astype({8: "u1", 16: ">u2"}[depth])
                rows += b"\0" + packed.tobytes()
    data = png(header=ihdr(width, 35, depth, 0, interlace=1), idat=chunk(b"IDAT", zlib.compress(rows)))
    assert (decode(data, PNG, 1)[..., 0] == np.round(samples * (255 / (2**depth - 1)))).all()
    short = png(header=ihdr(width, 35, depth, 0, interlace=1), idat=chunk(b"IDAT", zlib.compress(rows[:-1])))
    assert reason(short) == "truncated"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_undone_once_as_pillow_does(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(noise(), exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert (decode(data, PNG, orientation) == expected).all()


def test_gamma_and_broken_profiles_are_ignored() -> None:
    extra = [chunk(b"gAMA", struct.pack(">I", 1)), chunk(b"iCCP", b"broken"), chunk(b"tEXt", b"no separator")]
    assert (decode(raw_png(8, 2, extra), PNG, 1) == decode(raw_png(8, 2), PNG, 1)).all()


def test_image_data_may_be_one_chunk_of_any_size_or_many() -> None:
    pixels = noise(2000, 1500)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    packed = zlib.compress(rows, 0)
    assert len(packed) > 8_500_000
    header = ihdr(2000, 1500)
    many = b"".join(chunk(b"IDAT", packed[i : i + 8192]) for i in range(0, len(packed), 8192))
    for idat in (chunk(b"IDAT", packed), many, chunk(b"IDAT") + chunk(b"IDAT", packed)):
        assert (decode(png(header=header, idat=idat), PNG, 1) == pixels).all()


@pytest.mark.parametrize("kind", [b"IHDR", b"tEXt", b"IDAT", b"IEND"])
def test_a_wrong_checksum_in_any_chunk_is_corrupt(kind: bytes) -> None:
    data = bytearray(raw_png(8, 2, [chunk(b"tEXt", b"a\0b")]))
    position = data.index(kind)
    (length,) = struct.unpack_from(">I", data, position - 4)
    data[position + 4 + length] ^= 1
    assert reason(bytes(data)) == "corrupt"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_image_data_that_stops_early_is_truncated_though_every_checksum_is_right(share: float) -> None:
    before, body, after = idats(raw_png(8, 2))
    assert reason(before + chunk(b"IDAT", body[: int(len(body) * share)]) + after) == "truncated"


def test_missing_rows_are_truncated_though_the_stream_is_whole() -> None:
    short = png(header=ihdr(37, 33), idat=chunk(b"IDAT", zlib.compress(bytes(32 * (1 + 37 * 3)))))
    assert reason(short) == "truncated"
    one_byte = png(header=ihdr(37, 33), idat=chunk(b"IDAT", zlib.compress(bytes(33 * (1 + 37 * 3) - 1))))
    assert reason(one_byte) == "truncated"


def test_a_missing_stream_checksum_is_truncated_and_a_wrong_one_corrupt() -> None:
    before, body, after = idats(raw_png(8, 2))
    assert reason(before + chunk(b"IDAT", body[:-4]) + after) == "truncated"
    assert reason(before + chunk(b"IDAT", body[:-1] + bytes([body[-1] ^ 1])) + after) == "corrupt"


def test_more_image_data_than_announced_is_corrupt_and_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(64_000_000), 9)
    assert reason(png(header=ihdr(37, 33), idat=chunk(b"IDAT", bomb))) == "corrupt"


def test_an_impossible_filter_is_corrupt() -> None:
    assert reason(png(header=ihdr(37, 33), idat=chunk(b"IDAT", zlib.compress(b"\x07" * (33 * 112))))) == "corrupt"


@pytest.mark.parametrize("cut", [0, 5, 8, 20, 33, 50, -1, -12, -20])
def test_a_png_cut_off_anywhere_is_refused(cut: int) -> None:
    assert reason(raw_png(8, 2)[:cut]) in {"truncated", "corrupt"}


def test_a_thousand_damaged_bytes_never_raise_anything_but_a_refusal() -> None:
    random = np.random.default_rng(11)
    before, body, after = idats(raw_png(8, 2))
    for _ in range(500):
        mutant = bytearray(body)
        mutant[int(random.integers(len(body)))] ^= 1 << int(random.integers(8))
        assert reason(before + chunk(b"IDAT", bytes(mutant)) + after) in {"truncated", "corrupt"}
        anywhere = bytearray(before + chunk(b"IDAT", body) + after)
        anywhere[int(random.integers(8, len(anywhere)))] ^= 0x55
        assert reason(bytes(anywhere)) in {"truncated", "corrupt"}
