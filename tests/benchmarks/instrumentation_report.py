"""What the rounds of `tests.benchmarks.instrumentation` say.

`ratio` is the median of the rounds' ratios to the mode that is compared with. Neighbours disturb decoding and the engine by
more than is looked for, and neither is instrumented inside: so each round also sends images through the same workers with
what both have answered before, which is told at once. `added_ms` is the mean difference of such an image, and `added_share`
what that is of a whole one. Brackets are 95 % bootstrap intervals; a limit is `shown` when all of the interval keeps it.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

WITHOUT, METRICS, ONE_PERCENT, ALL = "without", "metrics", "one_percent", "all"
#: Mode -> (what it is compared with, the most that it may add).
COMPARED: Final[dict[str, tuple[str, float | None]]] = {
    METRICS: (WITHOUT, 0.02),
    ONE_PERCENT: (METRICS, 0.01),
    ALL: (METRICS, None),
}


@dataclass(frozen=True)
class Taken:
    """CPU-milliseconds of one image."""

    whole: float
    around: float  #: with what the decoder and the engine said before


def interval(of: Callable[[NDArray[np.float64]], NDArray[np.float64]], values: Sequence[float]) -> tuple[float, float]:
    """95 % of what `of` says of 10,000 samples (axis 1) of them, by bootstrap (percentiles)."""
    rng = np.random.default_rng(1)
    low, high = np.percentile(of(rng.choice(np.asarray(values), (10_000, len(values)))), [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def report(taken: dict[str, list[Taken]]) -> dict[str, Any]:
    """What each mode took, and added."""
    told: dict[str, Any] = {}
    for name, values in taken.items():
        told[name] = {
            "cpu_ms_per_image": round(statistics.median(one.whole for one in values), 2),
            "around_ms_per_image": round(statistics.median(one.around for one in values), 3),
        }
    for name, (base, limit) in COMPARED.items():
        pairs = list(zip(taken[name], taken[base], strict=True))
        ratios = [one.whole / other.whole for one, other in pairs]
        added = [one.around - other.around for one, other in pairs]
        whole = statistics.median(other.whole for _, other in pairs)
        ratio_95 = interval(lambda samples: np.median(samples, axis=1), ratios)
        share_95 = interval(lambda samples: samples.mean(axis=1), [ms / whole for ms in added])
        told[name] |= {
            "against": base,
            "ratio": round(statistics.median(ratios), 4),
            "ratio_95": ratio_95,
            "added_ms": round(statistics.fmean(added), 4),
            "added_share": round(statistics.fmean(added) / whole, 4),
            "added_share_95": share_95,
        }
        if limit is not None:
            told[name]["limit"] = limit
            told[name]["shown"] = {"by_ratio": ratio_95[1] <= 1 + limit, "by_added_share": share_95[1] <= limit}
    return told
