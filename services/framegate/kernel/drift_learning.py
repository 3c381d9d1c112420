"""How a reference is learnt, once, from the first windows of a camera or a model. Pure.

They are like those that are compared with it later. How far usual windows are from it is measured, not derived: each day's
windows against all other days. Images of one camera are not independent of each other (the same goods, the same hour's
light), and days are not all alike; both are in these distances, whatever their reasons.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from framegate.kernel.drift_features import CATEGORY, feature
from framegate.kernel.drift_reference import ALL, Block, Expected, Line, Reference, logged
from framegate.kernel.histograms import Counts, psi

Days = NDArray[np.int64]

#: What a group of bins must hold of the reference: PSI makes much of nearly empty ones.
_LEAST_NUMERIC: Final = 0.05
_LEAST_CATEGORY: Final = 0.02
#: Of windows and days, for the distances of usual ones to be known.
_LEAST_BLOCKS: Final = 8
_LEAST_DAYS: Final = 3
#: The least deviation of the logarithm of PSI.
_LEAST_LOG: Final = 0.2


def learn(blocks: Sequence[Block], least: int, now: datetime) -> Reference:
    """From the windows of the time in which nothing was compared yet; `least`: images or boxes for one to count."""
    bands: dict[str, dict[str, Expected]] = {ALL: _all_features(blocks, least)}
    of_band: dict[str, list[Block]] = defaultdict(list)
    for block in blocks:
        of_band[block.band].append(block)
    for band, those in of_band.items():
        if band != ALL and len({block.began_at.date() for block in those}) >= _LEAST_DAYS:
            bands[band] = _all_features(those, least)
    return Reference(bands, sum(block.images for block in blocks), min(block.began_at for block in blocks), now)


def _all_features(blocks: Sequence[Block], least: int) -> dict[str, Expected]:
    names = sorted({name for block in blocks for name in block.counts})
    found = {name: _one_feature(name, blocks, least) for name in names}
    return {name: expected for name, expected in found.items() if expected is not None}


def _one_feature(name: str, blocks: Sequence[Block], least: int) -> Expected | None:
    """None: too few windows have enough of it."""
    pooled: dict[str, int] = defaultdict(int)
    for block in blocks:
        for key, number in block.counts.get(name, {}).items():
            pooled[key] += number
    blank = _groups(name, pooled)
    if blank is None:
        return None
    rows = np.array([blank.grouped(block.counts.get(name, {})) for block in blocks])
    days = np.array([block.began_at.date().toordinal() for block in blocks])
    counted = rows.sum(axis=1) >= least
    if counted.sum() < _LEAST_BLOCKS:
        return None
    usual, distance = _usual(rows, days, counted)
    size = float(np.median(rows.sum(axis=1)[counted]))
    whole = tuple(map(int, rows.sum(axis=0)))
    along = np.array([blank.along(block.counts.get(name, {})) for block in blocks])[counted]
    lows = [_by_chance(pooled, size)] * blank.numeric + [
        _share_by_chance(pooled[one] / max(1, sum(pooled.values())), size) for one in blank.names
    ]
    lines = tuple(_line(values, days[counted], low) for values, low in zip(along.T, lows, strict=True))
    return replace(blank, counts=whole, usual=usual, distance=distance, size=size, lines=lines)


def _line(values: Counts, days: Days, least: float) -> Line:
    """Variance within days and between them, with the degrees of freedom of the sum (Satterthwaite 1946)."""
    there = ~np.isnan(values)
    values, days = values[there], days[there]
    if len(values) < 2:
        return Line(float(values.mean()) if len(values) else 0.0, max(least, 1.0), 1.0)
    groups = [values[days == day] for day in np.unique(days)]
    inside = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    n, m = len(values), len(groups)
    within = inside / (n - m) if n > m else 0.0
    between = float(np.var([group.mean() for group in groups], ddof=1)) if m > 1 else 0.0
    parts = [(within, max(1, n - m)), (between, max(1, m - 1))]
    whole = max(within + between, least**2)
    return Line(
        float(values.mean()), float(np.sqrt(whole)), min(whole**2 / max(sum(v**2 / f for v, f in parts), 1e-300), 1e6)
    )


def _by_chance(pooled: Mapping[str, int], size: float) -> float:
    """Standard error of the mean bin of so many independent ones; never nothing, where all are alike."""
    bins = {int(key): n for key, n in pooled.items() if not key.startswith(CATEGORY)}
    keys, weights = np.array([*bins], np.float64), np.array([*bins.values()], np.float64)
    if not len(keys):
        return 1.0
    mean = np.average(keys, weights=weights)
    return float(np.sqrt((np.average((keys - mean) ** 2, weights=weights) + 1 / max(size, 1)) / max(size, 1)))


def _share_by_chance(share: float, size: float) -> float:
    size = max(size, 1.0)
    share = min(max(share, 1 / size), 1 - 1 / size) if size > 2 else 0.5
    return float(np.sqrt(share * (1 - share) / size))


def _usual(rows: Counts, days: Days, counted: NDArray[np.bool_]) -> tuple[float, Line]:
    """How far windows are from all other days (with one day: from all other windows).

    The mean gets its own standard error on top: it is of few days.
    """
    apart = days if len(np.unique(days)) > 1 else np.arange(len(rows))
    whole = rows.sum(axis=0)
    others = np.array([whole - rows[apart == one].sum(axis=0) for one in apart[counted]])
    distances, of = psi(rows[counted], others), apart[counted]
    means = np.array([distances[of == one].mean() for one in np.unique(of)])
    error = float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else 0.0
    return float(distances.mean()) + error, _line(logged(distances), days[counted], _LEAST_LOG)


def _groups(name: str, pooled: Mapping[str, int]) -> Expected | None:
    """Neighbouring bins together until each group holds enough; categories that hold too little are one group."""
    total = sum(pooled.values())
    numbers = sorted(int(key) for key in pooled if not key.startswith(CATEGORY))
    names = tuple(sorted(key for key, n in pooled.items() if key.startswith(CATEGORY) and n >= _LEAST_CATEGORY * total))
    upto: list[int] = []
    held = 0
    for number in numbers:
        held += pooled[str(number)]
        if held >= _LEAST_NUMERIC * total:
            upto.append(number)
            held = 0
    if numbers:
        # What is left over belongs to the last group; what was never seen is a group beyond each end.
        upto = [*(upto if held == 0 else upto[:-1]), numbers[-1]]
        upto = sorted({numbers[0] - 1, *upto} - {-1, len(feature(name).edges)})
    if not total:
        return None
    groups = (len(upto) + 1 if numbers else 0) + len(names) + 1
    return Expected(name, tuple(upto), bool(numbers), names, (0,) * groups, 0.0, Line(0.0, 1.0, 1.0), 0.0)
