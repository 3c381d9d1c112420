import struct

import pytest

from framegate.kernel.imagefile.exif import read_orientation

from .build import tiff


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_the_orientation_may_be_a_short_or_a_long(order: str, kind: int) -> None:
    assert read_orientation(tiff(8, order, kind)) == 8


def test_a_block_that_says_nothing_about_orientation_is_upright() -> None:
    assert read_orientation(tiff(tag=0x0110)) == 1


def test_the_prefix_of_a_jpeg_segment_is_tolerated() -> None:
    assert read_orientation(b"Exif\0\0" + tiff(5)) == 5


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(tiff(9), id="value 9"),
        pytest.param(tiff(0), id="value 0"),
        pytest.param(tiff(65_535), id="value 65535"),
        pytest.param(tiff(values=2), id="two values"),
        pytest.param(tiff(values=2**32 - 1), id="4 billion values"),
        pytest.param(tiff(kind=2), id="text"),
        pytest.param(tiff(kind=99), id="unknown type"),
        pytest.param(b"XX" + tiff()[2:], id="no byte order"),
        pytest.param(b"II*\0" + struct.pack("<I", 2**32 - 1) + bytes(20), id="directory outside the block"),
        pytest.param(tiff()[:20], id="cut within an entry"),
        pytest.param(b"", id="empty"),
    ],
)
def test_what_cannot_be_trusted_is_none(block: bytes) -> None:
    assert read_orientation(block) is None


def test_an_entry_count_beyond_the_block_does_not_hide_the_entries_that_are_there() -> None:
    assert read_orientation(tiff(6, count=65_535)) == 6
    assert read_orientation(tiff(tag=0x0110, count=65_535)) is None


def test_a_directory_that_points_at_itself_or_nests_others_is_read_once() -> None:
    looping = tiff(tag=0x8769, kind=4, value=8)[:-4] + struct.pack("<I", 8)
    assert read_orientation(looping) == 1


def test_only_the_first_entries_of_a_huge_directory_are_looked_at() -> None:
    entry = struct.pack("<HHII", 0x010F, 4, 1, 0)
    target = struct.pack("<HHII", 0x0112, 3, 1, 6)
    head = b"II*\0" + struct.pack("<I", 8)
    assert read_orientation(head + struct.pack("<H", 512) + entry * 511 + target) == 6
    assert read_orientation(head + struct.pack("<H", 5001) + entry * 5000 + target) is None
