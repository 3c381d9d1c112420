import struct

import pytest

from framegate.kernel.imagefile import ImageRefused, MediaType, inspect_file

from .build import EOI, SOI, accepted, exif_segment, frame, jpeg, refusal, scan, segment, tiff


def test_the_header_tells_size_components_and_coding() -> None:
    header = accepted(jpeg(frames=frame(640, 480, marker=0xC2)))

    assert (header.media_type, header.width, header.height) == (MediaType.JPEG, 640, 480)
    assert (header.components, header.bit_depth, header.progressive) == (3, 8, True)
    assert (header.has_alpha, header.interlaced, header.orientation, header.flags) == (False, False, 1, ())


def test_baseline_and_extended_sequential_are_not_called_progressive() -> None:
    assert not accepted(jpeg(frames=frame(marker=0xC0))).progressive
    assert not accepted(jpeg(frames=frame(marker=0xC1))).progressive


def test_grayscale_is_accepted() -> None:
    assert accepted(jpeg(frames=frame(components=1), scans=scan(1))).components == 1


def test_fill_bytes_before_a_marker_are_legal() -> None:
    assert accepted(jpeg(before=b"\xff\xff\xff" + segment(0xFE, b"hello") + b"\xff\xff")).flags == ()


def test_a_header_cut_anywhere_before_the_scan_is_malformed() -> None:
    whole = jpeg()
    first_scan = whole.index(b"\xff\xda")

    assert {refusal(whole[:length]) for length in range(2, first_scan + 2)} == {"malformed-image"}


def test_a_file_without_its_end_marker_is_truncated_wherever_the_scan_stops() -> None:
    whole = jpeg()
    behind_scan_header = whole.index(b"\xff\xda") + 14

    assert {refusal(whole[:length]) for length in range(behind_scan_header, len(whole))} == {"truncated-image"}


def test_an_end_marker_reached_by_chance_in_the_last_two_bytes_does_not_complete_a_cut_segment() -> None:
    assert refusal(jpeg(scans=scan() + b"\xff\xc4\x40\x00" + bytes(40))) == "truncated-image"


def test_an_end_marker_inside_a_thumbnail_does_not_end_the_image() -> None:
    thumbnail = segment(0xE1, b"Exif\0\0" + tiff() + jpeg())
    assert accepted(jpeg(before=thumbnail)).flags == ()
    assert refusal(jpeg(before=thumbnail, end=b"")) == "truncated-image"


def test_a_frame_header_inside_a_thumbnail_is_not_a_second_one() -> None:
    header = accepted(jpeg(before=segment(0xE1, jpeg(frames=frame(160, 120)))))
    assert (header.width, header.height) == (64, 48)


@pytest.mark.parametrize(
    ("frames", "scans"),
    [
        pytest.param(b"", None, id="no frame header"),
        pytest.param(frame() + frame(), None, id="two frame headers"),
        pytest.param(frame(), scan() + frame() + scan(), id="a second frame header behind a scan"),
        pytest.param(frame(components=0), None, id="no components"),
        pytest.param(frame(sampling=0x01), None, id="horizontal sampling factor 0"),
        pytest.param(frame(sampling=0x10), None, id="vertical sampling factor 0"),
        pytest.param(frame(sampling=0x15), None, id="sampling factor 5"),
        pytest.param(frame()[:-3] + b"", None, id="frame header shorter than it says"),
        pytest.param(frame(), scan(0), id="scan of no components"),
        pytest.param(frame(), scan(4), id="scan of more components than the frame"),
        pytest.param(frame(), b"", id="no scan"),
        pytest.param(frame(), scan() + SOI, id="a second start"),
        pytest.param(frame(), scan() + segment(0x02), id="a reserved marker in the scan"),
        pytest.param(frame(), scan() + segment(0xF1), id="an extension marker in the scan"),
        pytest.param(frame(), scan() + b"\xff\xc4\x00\x01", id="a segment length below 2"),
    ],
)
def test_a_structure_no_decoder_could_follow_is_malformed(frames: bytes, scans: bytes | None) -> None:
    assert refusal(jpeg(frames=frames, scans=scans)) == "malformed-image"


@pytest.mark.parametrize("marker", [0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF, 0xF7])
def test_hierarchical_and_arithmetic_codings_are_unsupported(marker: int) -> None:
    assert refusal(jpeg(frames=frame(marker=marker))) == "unsupported-coding"


@pytest.mark.parametrize("precision", [2, 12, 16])
def test_only_eight_bits_per_sample_are_supported(precision: int) -> None:
    assert refusal(jpeg(frames=frame(precision=precision, marker=0xC1))) == "unsupported-coding"


@pytest.mark.parametrize("components", [2, 4, 5])
def test_cmyk_and_other_component_counts_are_an_unsupported_colour_model(components: int) -> None:
    assert refusal(jpeg(frames=frame(components=components))) == "unsupported-color-model"


def test_a_hundred_scans_pass_and_one_more_is_too_complex() -> None:
    assert refusal(jpeg(frames=frame(marker=0xC2), scans=scan() * 100)) == "accepted"
    assert refusal(jpeg(frames=frame(marker=0xC2), scans=scan() * 101)) == "too-complex"


def test_an_endless_row_of_tables_is_too_complex() -> None:
    assert refusal(jpeg(before=segment(0xDB) * 3000)) == "too-complex"


def test_a_height_of_zero_is_unsupported_with_a_dnl_segment_and_bad_without() -> None:
    assert refusal(jpeg(frames=frame(height=0), scans=scan() + segment(0xDC, b"\0\x30"))) == "unsupported-coding"
    assert refusal(jpeg(frames=frame(height=0))) == "bad-dimensions"


def test_a_dnl_segment_that_repeats_a_known_height_is_left_to_the_decoder() -> None:
    assert refusal(jpeg(scans=scan() + segment(0xDC, b"\0\x30"))) == "accepted"


@pytest.mark.parametrize("size", [(0, 48), (31, 64), (64, 31), (8, 8), (16_385, 64), (64, 16_385)])
def test_sides_outside_the_limits_are_bad_dimensions(size: tuple[int, int]) -> None:
    assert refusal(jpeg(frames=frame(*size))) == "bad-dimensions"


@pytest.mark.parametrize("size", [(32, 32), (16_384, 3_051), (10_000, 5_000)])
def test_sides_on_the_limits_are_accepted(size: tuple[int, int]) -> None:
    assert refusal(jpeg(frames=frame(*size))) == "accepted"


def test_more_than_fifty_million_pixels_are_too_many() -> None:
    assert refusal(jpeg(frames=frame(10_000, 5_001))) == "too-many-pixels"
    assert refusal(jpeg(frames=frame(60_000, 60_000))) == "too-many-pixels"


@pytest.mark.parametrize("marker", [0xE0, 0xE1, 0xE2, 0xEF, 0xFE])
def test_metadata_segments_of_more_than_a_mebibyte_are_too_much(marker: int) -> None:
    assert refusal(jpeg(before=segment(marker, bytes(65_533)) * 16)) == "accepted"
    assert refusal(jpeg(before=segment(marker, bytes(65_533)) * 17)) == "too-much-metadata"


def test_metadata_behind_the_scan_counts_as_well() -> None:
    assert refusal(jpeg(scans=scan() + segment(0xFE, bytes(65_533)) * 17)) == "too-much-metadata"


def test_more_than_256_metadata_segments_are_too_much() -> None:
    assert refusal(jpeg(before=segment(0xFE) * 256)) == "accepted"
    assert refusal(jpeg(before=segment(0xFE) * 257)) == "too-much-metadata"


def test_a_broken_colour_profile_is_ignored() -> None:
    assert accepted(jpeg(before=segment(0xE2, b"ICC_PROFILE\0\x07\x03" + b"\xff" * 60_000))).flags == ()


def test_a_few_bytes_between_segments_are_flagged_and_many_are_malformed() -> None:
    assert accepted(jpeg(before=segment(0xFE, b"a") + b"\0\0")).flags == ("extraneous-data",)
    assert refusal(jpeg(before=segment(0xFE, b"a") + bytes(64 * 1024 + 1))) == "malformed-image"


def test_bytes_between_a_table_and_the_next_scan_are_flagged() -> None:
    assert accepted(jpeg(scans=scan() + segment(0xC4) + b"\0\0" + scan())).flags == ("extraneous-data",)


def test_data_missing_inside_the_scan_is_left_to_the_decoder() -> None:
    assert refusal(jpeg(scans=scan(data=b""))) == "accepted"


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_read_in_both_byte_orders(value: int, order: str) -> None:
    header = accepted(jpeg(before=exif_segment(tiff(value, order))))
    assert (header.orientation, header.flags) == (value, ())


@pytest.mark.parametrize("block", [tiff(9), tiff(0), b"", b"garbage that is no TIFF", tiff(kind=2)])
def test_an_orientation_that_means_nothing_counts_as_upright_and_is_flagged(block: bytes) -> None:
    header = accepted(jpeg(before=exif_segment(block)))
    assert (header.orientation, header.flags) == (1, ("orientation-invalid",))


def test_the_first_exif_block_decides() -> None:
    both = exif_segment(tiff(3)) + exif_segment(tiff(6))
    assert accepted(jpeg(before=both)).orientation == 3
    assert accepted(jpeg(before=exif_segment(tiff(9)) + exif_segment(tiff(6)))).orientation == 1


def test_an_exif_block_behind_the_first_scan_is_ignored() -> None:
    assert accepted(jpeg(scans=scan() + exif_segment(tiff(6)))).orientation == 1


def test_an_app1_segment_that_is_not_exif_is_ignored() -> None:
    assert accepted(jpeg(before=segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + tiff(6)))).flags == ()


def test_the_refusal_says_what_to_send_and_carries_its_status() -> None:
    with pytest.raises(ImageRefused, match="baseline or progressive 8-bit JPEG, or PNG") as refused:
        inspect_file(jpeg(frames=frame(marker=0xC9)))
    assert (refused.value.slug, refused.value.status) == ("unsupported-coding", 422)


def test_the_end_marker_may_follow_fill_bytes() -> None:
    assert refusal(jpeg(end=b"\xff\xff" + EOI)) == "accepted"


def test_a_segment_may_hold_the_largest_length_and_no_more_than_the_file() -> None:
    assert refusal(SOI + b"\xff\xfe" + struct.pack(">H", 65_535) + b"short") == "malformed-image"
