"""How far one histogram is from another, and how surprising that is. Counts are arrays with the bins in the last axis."""

from collections.abc import Sequence
from math import erfc, inf, log1p, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]

#: Share of each histogram that is spread over all bins, so that an empty one can be compared.
_SPREAD: Final = 0.01


def psi(seen: Counts, expected: Counts) -> Counts:
    """Population stability index, which is Jeffreys' divergence (1946) of the two: 0 for the same shares.

    Below 0.1 is usually called stable and from 0.2 on a shift (Siddiqi, Credit Risk Scorecards, 2006). Of two samples of the
    same thing it is not 0 but near (bins - 1) (1/n + 1/m) (Yurdakul, Statistical Properties of Population Stability
    Index, 2018).
    """
    p, q = _shares(seen), _shares(expected)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1), np.float64)


def js_distance(seen: Counts, expected: Counts) -> float:
    """Square root of the Jensen-Shannon divergence in bits: a metric from 0 to 1 (Endres and Schindelin 2003)."""
    p, q = seen / max(seen.sum(), 1), expected / max(expected.sum(), 1)
    middle = (p + q) / 2
    halves = (float((one[one > 0] * np.log2(one[one > 0] / middle[one > 0])).sum()) for one in (p, q))
    return float(np.sqrt(min(1.0, max(0.0, sum(halves) / 2))))


def student_tail(deviations: float, freedom: float) -> float:
    """Probability that a variable of Student's t is further from 0: by its normal equivalent (Wallace 1959)."""
    z = (8 * freedom + 1) / (8 * freedom + 3) * sqrt(freedom * log1p(deviations**2 / freedom))
    return erfc(z / sqrt(2))


def rejected(values: Sequence[float], rate: float, family: int = 0) -> list[bool]:
    """Which of these p-values stand out at a false discovery rate (Benjamini and Hochberg 1995).

    `family`: how many hypotheses there are in all, where the other ones are not at hand and taken as true.
    """
    size = max(family, len(values))
    order = sorted(range(len(values)), key=values.__getitem__)
    passing = [rank for rank, n in enumerate(order, 1) if values[n] <= rate * rank / size]
    limit = values[order[passing[-1] - 1]] if passing else -inf
    return [value <= limit for value in values]


def _shares(counts: Counts) -> Counts:
    total = np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return np.asarray((1 - _SPREAD) * counts / total + _SPREAD / counts.shape[-1], np.float64)
