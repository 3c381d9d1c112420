import struct
import zlib

import pytest

from framegate.kernel.imagefile import MediaType

from .build import PNG_SIGNATURE, accepted, chunk, ihdr, png, refusal, tiff

PALETTE = chunk(b"PLTE", bytes(range(48)))


def test_the_header_tells_size_depth_and_channels() -> None:
    header = accepted(png(ihdr(640, 480, depth=16, color=6, interlace=1)))

    assert (header.media_type, header.width, header.height) == (MediaType.PNG, 640, 480)
    assert (header.components, header.bit_depth, header.interlaced, header.has_alpha) == (4, 16, True, True)
    assert (header.progressive, header.orientation, header.flags) == (False, 1, ())


@pytest.mark.parametrize(
    ("depth", "color", "components"),
    [(1, 0, 1), (2, 0, 1), (4, 0, 1), (8, 0, 1), (16, 0, 1), (8, 2, 3), (16, 2, 3), (8, 4, 2), (16, 4, 2), (8, 6, 4)],
)
def test_every_legal_format_is_accepted(depth: int, color: int, components: int) -> None:
    header = accepted(png(ihdr(depth=depth, color=color)))
    assert (header.bit_depth, header.components, header.has_alpha) == (depth, components, color in (4, 6))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_image_is_accepted(depth: int) -> None:
    header = accepted(png(ihdr(depth=depth, color=3), before=[PALETTE]))
    assert (header.components, header.has_alpha) == (1, False)


def test_a_transparent_colour_counts_as_alpha() -> None:
    assert accepted(png(ihdr(color=3), before=[PALETTE, chunk(b"tRNS", b"\0")])).has_alpha


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(ihdr(depth=3), id="depth 3"),
        pytest.param(ihdr(depth=4, color=2), id="4-bit RGB"),
        pytest.param(ihdr(depth=16, color=3), id="16-bit palette"),
        pytest.param(ihdr(color=1), id="colour type 1"),
        pytest.param(ihdr(color=9), id="colour type 9"),
        pytest.param(ihdr(compression=1), id="another compression"),
        pytest.param(ihdr(filtering=64), id="another filter"),
        pytest.param(ihdr(interlace=2), id="another interlace"),
        pytest.param(ihdr()[:-4] + b"\0\0\0\0", id="checksum wrong"),
        pytest.param(ihdr()[:8] + b"\x01" + ihdr()[9:], id="a bit of the width flipped"),
        pytest.param(chunk(b"IHDR", bytes(12)) + bytes(16), id="length 12"),
        pytest.param(chunk(b"tEXt", b"first") + ihdr(), id="not the first chunk"),
        pytest.param(ihdr() + ihdr(), id="two image headers"),
    ],
)
def test_an_impossible_image_header_is_malformed(header: bytes) -> None:
    assert refusal(png(header)) == "malformed-image"


def test_a_header_cut_within_ihdr_is_malformed() -> None:
    assert {refusal(png()[:length]) for length in range(4, 33)} == {"malformed-image"}


def test_a_file_cut_anywhere_behind_ihdr_is_truncated() -> None:
    whole = png()
    assert {refusal(whole[:length]) for length in range(33, len(whole))} == {"truncated-image"}


def test_a_chunk_that_claims_more_than_the_file_holds_is_truncated() -> None:
    assert refusal(png(idat=struct.pack(">I", 2**31 - 1) + b"IDAT" + bytes(4))) == "truncated-image"


@pytest.mark.parametrize(
    "idat",
    [
        pytest.param(chunk(b"IDAT", zlib.compress(bytes(99)), checksum=1), id="wrong checksum"),
        pytest.param(chunk(b"IDAT", zlib.compress(bytes(99))), id="too few rows"),
        pytest.param(chunk(b"IDAT", b"not deflate"), id="no deflate stream"),
        pytest.param(chunk(b"IDAT"), id="empty"),
    ],
)
def test_broken_pixel_data_is_left_to_the_decoder(idat: bytes) -> None:
    assert refusal(png(idat=idat)) == "accepted"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png(idat=b""), id="no image data"),
        pytest.param(png(end=chunk(b"IEND", b"x")), id="end chunk not empty"),
        pytest.param(png(ihdr(color=3)), id="palette missing"),
        pytest.param(png(ihdr(color=3), behind=[PALETTE]), id="palette behind the image data"),
        pytest.param(png(before=[PALETTE, PALETTE]), id="two palettes"),
        pytest.param(png(before=[chunk(b"PLTE", bytes(4))]), id="palette of four bytes"),
        pytest.param(png(before=[chunk(b"PLTE", bytes(771))]), id="palette of 257 colours"),
        pytest.param(png(before=[chunk(b"PLTE")]), id="palette of no colours"),
        pytest.param(png(before=[chunk(b"ABCD", b"xyz")]), id="unknown critical chunk"),
        pytest.param(png(before=[chunk(b"t\xffXt", b"x")]), id="chunk type of no letters"),
        pytest.param(png(before=[struct.pack(">I", 2**31) + b"tEXt" + bytes(4)]), id="chunk length beyond PNG's"),
    ],
)
def test_an_impossible_order_of_chunks_is_malformed(data: bytes) -> None:
    assert refusal(data) == "malformed-image"


def test_an_animation_is_refused() -> None:
    assert refusal(png(before=[chunk(b"acTL", struct.pack(">II", 2, 0))])) == "animated-image"


def test_256_optional_chunks_pass_and_one_more_is_too_much() -> None:
    text = chunk(b"tEXt", b"k\0v")
    assert refusal(png(before=[text] * 200, behind=[text] * 56)) == "accepted"
    assert refusal(png(before=[text] * 200, behind=[text] * 57)) == "too-much-metadata"


def test_a_million_text_chunks_are_refused() -> None:
    assert refusal(png(before=[chunk(b"tEXt", b"k\0v") * 1_000_000])) == "too-much-metadata"


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"prVt"])
def test_a_mebibyte_of_optional_chunks_passes_and_one_byte_more_is_too_much(kind: bytes) -> None:
    assert refusal(png(before=[chunk(kind, bytes(2**20))])) == "accepted"
    assert refusal(png(before=[chunk(kind, bytes(2**20 + 1))])) == "too-much-metadata"


def test_image_data_in_many_chunks_is_not_metadata() -> None:
    assert refusal(png(idat=chunk(b"IDAT", bytes(8192)) * 3000)) == "accepted"


def test_image_data_in_absurdly_many_chunks_is_too_complex() -> None:
    assert refusal(png(idat=chunk(b"IDAT") * 65_537)) == "too-complex"


def test_a_broken_colour_profile_is_ignored() -> None:
    assert accepted(png(before=[chunk(b"iCCP", b"profile\0\0not deflate")])).flags == ()


@pytest.mark.parametrize(
    ("width", "height", "slug"),
    [
        (0, 0, "bad-dimensions"),
        (0, 64, "bad-dimensions"),
        (8, 8, "bad-dimensions"),
        (1, 50_000_000, "bad-dimensions"),
        (31, 64, "bad-dimensions"),
        (2**31, 64, "bad-dimensions"),
        (64, 2**32 - 1, "bad-dimensions"),
        (16_385, 32, "bad-dimensions"),
        (60_000, 60_000, "too-many-pixels"),
        (2**31 - 1, 2**31 - 1, "too-many-pixels"),
        (10_000, 5_001, "too-many-pixels"),
        (10_000, 5_000, "accepted"),
        (16_384, 32, "accepted"),
        (32, 32, "accepted"),
    ],
)
def test_the_size_is_judged_before_anything_is_decoded(width: int, height: int, slug: str) -> None:
    assert refusal(png(ihdr(width, height))) == slug


@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_is_read_from_the_exif_chunk(value: int) -> None:
    assert accepted(png(before=[chunk(b"eXIf", tiff(value, ">"))])).orientation == value


def test_an_exif_chunk_behind_the_image_data_counts_and_the_first_one_decides() -> None:
    assert accepted(png(behind=[chunk(b"eXIf", tiff(3)), chunk(b"eXIf", tiff(6))])).orientation == 3


def test_an_orientation_that_means_nothing_counts_as_upright_and_is_flagged() -> None:
    header = accepted(png(before=[chunk(b"eXIf", tiff(9))]))
    assert (header.orientation, header.flags) == (1, ("orientation-invalid",))


def test_a_signature_mangled_by_a_text_transfer_is_not_recognised() -> None:
    assert refusal(png().replace(b"\r\n", b"\n", 1)) == "unrecognized-image"
    assert refusal(b"\x09" + png()[1:]) == "unrecognized-image"


def test_a_file_cut_within_the_signature_is_a_malformed_png() -> None:
    assert refusal(PNG_SIGNATURE[:6]) == "malformed-image"
