"""The distances of histograms and how surprising they are, against values that were worked out by hand or by arithmetic."""

from math import erfc, log, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.kernel.histograms import js_distance, psi, rejected, student_tail

_COUNTS = st.lists(st.integers(0, 500), min_size=2, max_size=12).filter(any)
_PAIRS = st.integers(2, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 500), min_size=n, max_size=n).filter(any)] * 2)
)


def counts(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def test_psi_is_what_its_formula_says() -> None:
    p, q = (0.99 * 0.6 + 0.005, 0.99 * 0.4 + 0.005), (0.99 * 0.5 + 0.005,) * 2
    by_hand = sum((a - b) * log(a / b) for a, b in zip(p, q, strict=True))
    assert float(psi(counts(60, 40), counts(50, 50))) == pytest.approx(by_hand)
    assert by_hand == pytest.approx(0.04, abs=0.001)  # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)


def test_the_distance_of_jensen_and_shannon_is_0_for_the_same_and_1_for_what_has_nothing_in_common() -> None:
    assert js_distance(counts(3, 7), counts(30, 70)) == pytest.approx(0, abs=1e-7)
    assert js_distance(counts(5, 0), counts(0, 9)) == 1
    # Half of (log2 4/3) and half of (1/2 log2 2/3 + 1/2 log2 2): 0.311 bits.
    assert js_distance(counts(1, 0), counts(1, 1)) == pytest.approx(sqrt(0.3112781), abs=1e-6)


@given(_PAIRS)
def test_distances_are_symmetric_and_never_negative(pair: tuple[list[int], list[int]]) -> None:
    a, b = counts(*pair[0]), counts(*pair[1])
    assert float(psi(a, b)) == pytest.approx(float(psi(b, a)))
    assert float(psi(a, b)) >= 0
    assert js_distance(a, b) == pytest.approx(js_distance(b, a))
    assert 0 <= js_distance(a, b) <= 1


@given(_COUNTS, st.integers(2, 9))
def test_the_number_of_images_alone_changes_no_distance(values: list[int], times: int) -> None:
    a = counts(*values)
    assert float(psi(a, a * times)) == pytest.approx(0, abs=1e-12)
    assert js_distance(a, a * times) == pytest.approx(0, abs=1e-7)


def test_the_tail_of_student_is_near_that_of_its_simple_cases() -> None:
    for t in (0.3, 1.0, 3.0):
        # One degree is the Cauchy distribution, the hardest for an approximation; two have a closed form.
        assert student_tail(t, 1) == pytest.approx(1 - 2 / pi * np.arctan(t), rel=0.25)
        assert student_tail(t, 2) == pytest.approx(1 - t / sqrt(2 + t * t), rel=0.08)
        assert student_tail(-t, 1e6) == pytest.approx(erfc(t / sqrt(2)), rel=1e-4)


def test_the_procedure_of_benjamini_and_hochberg_rejects_up_to_the_last_that_is_below_its_line() -> None:
    # Their line at 5 % of five is 0.01, 0.02, 0.03, 0.04, 0.05.
    assert rejected([0.028, 0.001, 0.9, 0.025, 0.2], 0.05) == [True, True, False, True, False]
    assert rejected([0.028, 0.001, 0.9, 0.025, 0.2], 0.05, family=50) == [False, True, False, False, False]
    assert rejected([], 0.05) == []
