from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.inference.nms import suppress


def kept(boxes: Sequence[Sequence[float]], *, iou: float = 0.5, limit: int = 300) -> list[int]:
    """Boxes of x1, y1, x2, y2, confidence, class."""
    rows = np.array(boxes, np.float32).reshape(-1, 6)
    return [int(i) for i in suppress(rows[:, :4], rows[:, 4], rows[:, 5], iou, limit)]


def test_the_weaker_of_two_overlapping_boxes_goes() -> None:
    assert kept([[0, 0, 10, 10, 0.6, 0], [0, 0, 10, 9, 0.9, 0]]) == [1]


def test_boxes_of_different_classes_do_not_touch_each_other() -> None:
    assert kept([[0, 0, 10, 10, 0.6, 0], [0, 0, 10, 10, 0.9, 1]]) == [1, 0]


@pytest.mark.parametrize(("iou", "left"), [(0.49, [0]), (0.5, [0, 1])])
def test_an_overlap_equal_to_the_limit_is_allowed(iou: float, left: list[int]) -> None:
    assert kept([[0, 0, 10, 10, 0.9, 0], [0, 0, 10, 5, 0.8, 0]], iou=iou) == left


def test_a_suppressed_box_suppresses_nothing() -> None:
    chain = [[0, 0, 10, 1, 0.9, 0], [3, 0, 13, 1, 0.8, 0], [6, 0, 16, 1, 0.7, 0]]
    assert kept(chain) == [0, 2]


def test_of_equal_confidences_the_first_stays() -> None:
    assert kept([[0, 0, 10, 10, 0.9, 0], [0, 0, 10, 10, 0.9, 0]]) == [0]


def test_never_more_than_the_limit() -> None:
    apart = [[20 * i, 0, 20 * i + 10, 10, 0.5 + i / 100, 0] for i in range(5)]
    assert kept(apart, limit=2) == [4, 3]


def test_boxes_without_area_stay_and_suppress_nothing() -> None:
    assert kept([[5, 5, 5, 5, 0.9, 0], [0, 0, 10, 10, 0.8, 0]]) == [0, 1]


def test_a_box_turned_inside_out_suppresses_nothing() -> None:
    assert kept([[90, 0, 10, 10, 0.9, 0], [0, 0, 10, 10, 0.8, 0]]) == [0, 1]


def test_boxes_are_compared_across_blocks_of_candidates() -> None:
    apart = [[20 * i, 0, 20 * i + 10, 10, 0.9, 0] for i in range(200)]
    again = [[20 * i, 0, 20 * i + 10, 9, 0.5, 0] for i in range(200)]
    assert kept(apart + again) == list(range(200))


def test_nothing_in_nothing_out() -> None:
    assert kept([]) == []


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30), st.integers(0, 30), st.integers(1, 20), st.integers(1, 20),
            st.integers(0, 100), st.integers(0, 2),
        ),
        max_size=25,
    )
)  # fmt: skip
def test_it_keeps_exactly_what_the_definition_keeps(drawn: list[tuple[int, int, int, int, int, int]]) -> None:
    boxes = [(x, y, x + w, y + h, confidence / 100, c) for x, y, w, h, confidence, c in drawn]
    expected: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -boxes[i][4]):
        if all(boxes[k][5] != boxes[i][5] or overlap(boxes[k], boxes[i]) <= 0.45 for k in expected):
            expected.append(i)
    assert kept(boxes, iou=0.45) == expected
