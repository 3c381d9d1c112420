"""Average precision, confusion, AUC: known by hand on tiny boxes."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from framegate.kernel.detections import Detections
from framegate.kernel.geometry import iou
from framegate.models.metrics import Pair, average_precision, claims, reliability, roc_auc, score

NAMES = ("hole", "tear")


class Truth(NamedTuple):
    xyxy: NDArray[np.float32]
    class_id: NDArray[np.int32]


def truth(*rows: tuple[int, float, float, float, float]) -> Truth:
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Truth(table[:, 1:], table[:, 0].astype(np.int32))


def found(*rows: tuple[int, float, float, float, float, float]) -> Detections:
    """Class, confidence, x1, y1, x2, y2."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections.from_rows(table[:, [2, 3, 4, 5, 1, 0]])


boxes = st.tuples(st.integers(0, 1), *[st.integers(0, 60)] * 2, *[st.integers(1, 40)] * 2).map(
    lambda b: (b[0], float(b[1]), float(b[2]), float(b[1] + b[3]), float(b[2] + b[4]))
)


@given(st.lists(st.lists(boxes, max_size=5, unique=True), min_size=1, max_size=4).filter(any))
def test_the_labels_themselves_score_a_hundred_percent(
    images: list[list[tuple[int, float, float, float, float]]],
) -> None:
    pairs = [Pair(found(*[(c, 0.9, *box) for c, *box in rows]), truth(*rows)) for rows in images]
    scores = score(pairs, NAMES)
    assert scores.map50 == pytest.approx(1)
    assert scores.map50_95 == pytest.approx(1)
    assert all(one.precision == one.recall == 1 for one in scores.classes)
    assert np.trace(scores.confusion) == scores.confusion.sum()


def test_overlap_is_intersection_over_union() -> None:
    a = np.array([[0, 0, 10, 10]], np.float32)
    b = np.array([[5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 10, 10]], np.float32)
    assert iou(a, b) == pytest.approx(np.array([[1 / 3, 0, 1]]))


def test_the_more_confident_of_two_detections_claims_the_object() -> None:
    assert claims(np.array([[0.6], [0.9]]), np.array([0.5, 0.7])).tolist() == [[True, False], [False, True]]


def test_a_detection_whose_best_object_is_taken_claims_the_next() -> None:
    assert claims(np.array([[0.9, 0.6], [0.8, 0.7]]), np.array([0.5])).tolist() == [[True], [True]]


def test_average_precision_is_the_area_under_the_envelope() -> None:
    # A hit, a false one, a hit, of two objects: the envelope goes in a line from (0.5, 1) to (1, 2/3).
    area, curve = average_precision(np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3]))
    assert curve[0] == curve[49] == 1
    assert curve[-1] == pytest.approx(2 / 3)
    # At recall 0.5 itself the curve has already fallen: two vertical parts of a hundredth, then a constant 2/3.
    assert area == pytest.approx((0.49 * 1 + 0.01 * (1 + 2 / 3) / 2 + 0.5 * 2 / 3), abs=1e-9)


def test_recall_that_is_never_reached_counts_nothing() -> None:
    area, curve = average_precision(np.array([0.5]), np.array([1.0]))
    assert curve[50] == 1
    assert curve[51] == 0
    assert area == pytest.approx(0.505)


def test_map_rises_with_the_overlap_of_the_boxes() -> None:
    scores = score([Pair(found((0, 0.9, 0, 0, 10, 10)), truth((0, 0, 0, 10, 12.5)))], NAMES)  # overlap 0.8
    assert scores.map50 == pytest.approx(1)
    assert scores.map50_95 == pytest.approx(0.7)  # 0.5 to 0.8 of ten steps


def test_precision_and_recall_are_those_of_the_best_f1() -> None:
    pairs = [
        Pair(found((0, 0.9, 0, 0, 9, 9), (0, 0.2, 50, 50, 60, 60), (0, 0.1, 50, 50, 61, 61)), truth((0, 0, 0, 9, 9))),
    ]
    [hole] = score(pairs, NAMES).classes
    assert (hole.precision, hole.recall, hole.confidence) == (1, 1, pytest.approx(0.9))
    assert (hole.objects, hole.images) == (1, 1)


def test_a_class_that_is_labelled_and_never_found_scores_nothing_and_counts() -> None:
    pairs = [Pair(found((0, 0.9, 0, 0, 9, 9)), truth((0, 0, 0, 9, 9), (1, 20, 20, 30, 30)))]
    assert score(pairs, NAMES).map50 == pytest.approx(0.5)


def test_the_confusion_matrix_has_a_place_for_each_kind_of_error() -> None:
    pairs = [
        Pair(
            found((1, 0.9, 0, 0, 10, 10), (0, 0.8, 40, 40, 50, 50), (0, 0.1, 20, 20, 30, 30)),
            truth((0, 0, 0, 10, 10), (1, 20, 20, 30, 30)),
        )
    ]
    matrix = score(pairs, NAMES).confusion
    assert matrix.tolist() == [
        [0, 1, 0],  # the hole was called a tear
        [0, 0, 1],  # the tear was missed: what lay on it was too weak
        [1, 0, 0],  # a hole was seen where nothing is
    ]


def test_auc_counts_pairs_in_the_right_order_and_halves_ties() -> None:
    positive = np.array([True, True, False, False])
    assert roc_auc(np.array([0.9, 0.8, 0.2, 0.1]), positive) == 1
    assert roc_auc(np.array([0.1, 0.2, 0.8, 0.9]), positive) == 0
    assert roc_auc(np.array([0.5, 0.9, 0.5, 0.7]), positive) == pytest.approx((0.5 + 0 + 1 + 1) / 4)


def test_reliability_puts_each_detection_into_one_bin() -> None:
    bins = reliability(np.array([0.05, 0.95, 1.0, 0.97]), np.array([False, True, True, False]))
    assert [(count, share) for _, share, count in bins] == [(1, 0), (3, pytest.approx(2 / 3))]
