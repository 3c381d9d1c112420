import numpy as np
import pytest

from framegate.kernel.agreement import Agreement, Tolerances, compare, compare_all
from framegate.kernel.detections import Detections

Row = tuple[float, float, float, float, float, int]
A: Row = (0, 0, 100, 100, 0.9, 0)
B: Row = (300, 300, 400, 400, 0.5, 1)


def found(*rows: Row) -> Detections:
    return Detections.from_rows(np.array(rows, np.float32).reshape(-1, 6))


def moved(row: Row, right: float = 0, confidence: float = 0, class_id: int | None = None) -> Row:
    x1, y1, x2, y2, had, was = row
    return (x1 + right, y1, x2 + right, y2, had + confidence, was if class_id is None else class_id)


def test_equal_detections_agree_to_the_last_digit() -> None:
    assert compare(found(A, B), found(A, B)) == Agreement(1, 2, 0, 0, 0, 0.0, 1.0)


def test_without_any_box_they_agree_and_nothing_was_compared() -> None:
    agreement = compare(found(), found())
    assert agreement.holds
    assert agreement.boxes == 0


def test_a_clear_box_that_only_the_reference_has_is_lost() -> None:
    agreement = compare(found(A, B), found(A))
    assert (agreement.boxes, agreement.lost, agreement.new) == (2, 1, 0)
    assert not agreement.holds


def test_a_clear_box_that_the_reference_does_not_have_is_new() -> None:
    agreement = compare(found(A), found(A, B))
    assert (agreement.boxes, agreement.lost, agreement.new) == (2, 0, 1)
    assert not agreement.holds


def test_a_box_of_another_class_is_no_partner() -> None:
    agreement = compare(found(A), found(moved(A, class_id=1)))
    assert (agreement.lost, agreement.new) == (1, 1)


@pytest.mark.parametrize(("difference", "holds"), [(0.029, True), (-0.029, True), (0.031, False), (-0.031, False)])
def test_confidences_may_differ_by_the_tolerance_and_no_more(difference: float, holds: bool) -> None:
    agreement = compare(found(B), found(moved(B, confidence=difference)))
    assert agreement.holds is holds
    assert agreement.confidence == pytest.approx(abs(difference), abs=1e-6)


# Moved by d, squares of 100 overlap by (100 - d) / (100 + d).
@pytest.mark.parametrize(("right", "holds"), [(5, True), (6, False)])
def test_boxes_must_overlap_by_the_tolerance(right: float, holds: bool) -> None:
    agreement = compare(found(A), found(moved(A, right)))
    assert agreement.holds is holds
    assert agreement.iou == pytest.approx((100 - right) / (100 + right), abs=1e-6)


def test_a_box_near_the_line_finds_its_partner_below_it() -> None:
    above, below = moved(B, confidence=-0.19), moved(B, confidence=-0.21)
    assert compare(found(above), found(below)).holds
    assert compare(found(below), found(above)).boxes == 1


def test_boxes_below_the_line_on_both_sides_do_not_count() -> None:
    faint = moved(B, confidence=-0.3)
    assert compare(found(A, faint), found(A)) == compare(found(A), found(A))


def test_a_box_has_one_partner_only() -> None:
    agreement = compare(found(A, A), found(A))
    assert (agreement.boxes, agreement.lost) == (2, 1)


def test_of_two_possible_partners_the_one_that_is_more_alike_is_taken() -> None:
    beside = moved(A, right=4, confidence=-0.5)
    assert compare(found(A, beside), found(beside, A)) == Agreement(1, 2, 0, 0, 0, 0.0, 1.0)


def test_frames_are_summed_and_the_worst_values_are_kept() -> None:
    agreement = compare_all([found(A), found(B)], [found(moved(A, right=2)), found(moved(B, confidence=0.02))])
    assert (agreement.frames, agreement.boxes, agreement.holds) == (2, 2, True)
    assert agreement.iou == pytest.approx(98 / 102, abs=1e-6)
    assert agreement.confidence == pytest.approx(0.02, abs=1e-6)


def test_the_tolerances_are_the_callers() -> None:
    assert not compare(found(A), found(moved(A, right=10))).holds
    assert compare(found(A), found(moved(A, right=10)), Tolerances(iou=0.8)).holds
