"""What a classifier sees of a frame; the boxes are small enough to be counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from framegate.inference.crops import MAX_CROPS, crop, pictures
from framegate.kernel.chain import Link
from framegate.kernel.detections import Detections
from framegate.kernel.geometry import Letterbox
from framegate.kernel.inspection import Inspected

CARTON = Link("wear@1", frozenset({"carton"}))
#: 8 x 4 pixels, each with its own value.
FRAME = np.arange(8 * 4 * 3, dtype=np.uint8).reshape(4, 8, 3)


def found(*rows: tuple[str, float, float, float, float, float]) -> Inspected:
    """(class, confidence, x1, y1, x2, y2), the most confident first."""
    names = tuple(row[0] for row in rows)
    table = np.array([[*row[2:], row[1], 0] for row in rows], np.float32).reshape(-1, 6)
    return Inspected(Detections.from_rows(table), names, "carton@1", "0" * 64, "test")


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((2, 1, 5, 3), (1, 3), (2, 5)),
        ((2.4, 1.6, 4.2, 2.1), (1, 3), (2, 5)),  # every pixel it touches
        ((2.00001, 0.99999, 5.00001, 3.00001), (1, 3), (2, 5)),  # but none for the sake of rounding
        ((-3, -2, 2, 1), (0, 1), (0, 2)),
        ((6, 2, 12, 9), (2, 4), (6, 8)),
        ((0, 0, 8, 4), (0, 4), (0, 8)),
        ((3.2, 1.2, 3.3, 1.3), (1, 2), (3, 4)),
        ((3, 1, 3, 1), (1, 2), (3, 4)),
        ((8, 4, 8, 4), (3, 4), (7, 8)),  # at the very corner: the last pixel
    ],
)
def test_a_crop_is_every_pixel_its_box_touches_and_at_least_one(
    box: tuple[float, ...], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    part = crop(FRAME, np.array(box, np.float32))
    assert part.base is not None, "nothing is copied"
    assert np.array_equal(part, FRAME[slice(*rows), slice(*columns)])


def test_boxes_in_pixels_of_the_original_are_cut_from_the_prepared_frame_without_its_padding() -> None:
    letterbox = Letterbox.fit(16, 8, 8, 8)  # half the size, two rows of padding above
    assert (letterbox.top, letterbox.content_height) == (2, 4)
    ((place, part),) = pictures(CARTON, found(("carton", 0.9, 4, 2, 10, 6)), FRAME, letterbox)
    assert place == 0
    assert np.array_equal(part, FRAME[1:3, 2:5])


def test_of_a_region_the_boxes_are_still_those_of_the_original() -> None:
    letterbox = replace(Letterbox.fit(16, 8, 8, 8), x=100, y=50)
    ((_, part),) = pictures(CARTON, found(("carton", 0.9, 104, 52, 110, 56)), FRAME, letterbox)
    assert np.array_equal(part, FRAME[1:3, 2:5])


def test_only_the_named_classes_from_the_confidence_on_are_looked_at() -> None:
    seen = found(
        ("tape", 0.9, 0, 0, 2, 2),
        ("carton", 0.8, 0, 0, 2, 2),
        ("carton", 0.25, 0, 0, 2, 2),
        ("carton", 0.24, 0, 0, 2, 2),
    )
    letterbox = Letterbox.fit(8, 4, 8, 4)
    assert [place for place, _ in pictures(CARTON, seen, FRAME, letterbox)] == [1, 2]
    strict = Link("wear@1", frozenset({"carton", "tape"}), 0.8)
    assert [place for place, _ in pictures(strict, seen, FRAME, letterbox)] == [0, 1]


def test_the_most_confident_are_looked_at_when_there_are_too_many() -> None:
    seen = found(*(("carton", 0.9 - i / 100, 0, 0, 2, 2) for i in range(MAX_CROPS + 4)))
    places = [place for place, _ in pictures(CARTON, seen, FRAME, Letterbox.fit(8, 4, 8, 4))]
    assert places == list(range(16))


def test_a_link_without_classes_looks_at_the_whole_frame_once_whatever_was_found() -> None:
    letterbox = Letterbox.fit(8, 4, 8, 8)
    for seen in (found(), found(("carton", 0.9, 0, 0, 2, 2))):
        ((place, part),) = pictures(Link("scene@1"), seen, FRAME, letterbox)
        assert place is None
        assert np.array_equal(part, FRAME)
