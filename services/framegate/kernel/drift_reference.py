"""What is usual for a camera or a model, learnt once, and how far a window is from it. Pure.

A reference is learnt from windows like those that are compared with it later. How far usual windows are from it is measured,
not derived: each day's windows against all other days. Images of one camera are not independent of each other (the same
goods, the same hour's light), and days are not all alike; both are in these distances, whatever their reasons.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from framegate.kernel.drift_features import CATEGORY, feature, label
from framegate.kernel.histograms import Counts, js_distance, psi, student_tail

Histograms = Mapping[str, Mapping[str, int]]
Days = NDArray[np.int64]

#: Hours of the day (UTC) that are compared with a reference of their own.
_BAND_H: Final = 3
ALL: Final = "all"
#: What a group of bins must hold of the reference: PSI makes much of nearly empty ones.
_LEAST_NUMERIC: Final = 0.05
_LEAST_CATEGORY: Final = 0.02
#: Of windows and days, for the distances of usual ones to be known.
_LEAST_BLOCKS: Final = 8
_LEAST_DAYS: Final = 3
#: PSI so small that it need not be told from none, and the least deviation of its logarithm.
_NEAR: Final = 0.01
_LEAST_LOG: Final = 0.2


@dataclass(frozen=True, slots=True)
class Block:
    """The histograms of one window."""

    began_at: datetime
    at: datetime  #: of its last image
    images: int
    counts: Histograms

    @property
    def band(self) -> str:
        """The hours that it is of; `ALL` where it is longer than they are."""
        if self.at - self.began_at > timedelta(hours=_BAND_H):
            return ALL
        return str((self.began_at + (self.at - self.began_at) / 2).hour // _BAND_H)


class Level(NamedTuple):
    """How far the newest window that had enough of a feature was from its reference."""

    psi: float  #: beyond that of usual windows
    js: float
    p: float
    size: int = 0  #: images or boxes; 0: an older release did not keep it


@dataclass(frozen=True, slots=True)
class Score:
    """One feature of a window against its reference."""

    feature: str
    psi: float  #: beyond that of usual windows
    js: float
    p: float
    size: int  #: images or boxes in the window
    limit: float  #: PSI of a usual window, for people

    @property
    def level(self) -> Level:
        """What is kept of it."""
        return Level(self.psi, self.js, self.p, self.size)


@dataclass(frozen=True, slots=True)
class Line:
    """One number of a window: the mean of its numeric bins, or the share of a category. `freedom`: of its variance."""

    mean: float
    spread: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Expected:
    """One feature: groups of its bins with their counts, and how far usual windows are from them."""

    feature: str
    upto: tuple[int, ...]  #: last bin of each numeric group but the last
    numeric: bool  #: whether there are numeric groups
    names: tuple[str, ...]  #: categories; what is none of them is a group at the end
    counts: tuple[int, ...]
    usual: float  #: mean PSI of usual windows
    distance: Line  #: of the logarithm of their PSI
    size: float  #: images or boxes of usual windows
    lines: tuple[Line, ...] = ()  #: of usual windows: the mean of numeric bins, if there are any; then of each category

    @property
    def labels(self) -> list[str]:
        """Of the groups, for people."""
        ends = [*self.upto, None] if self.numeric else []
        starts = [None, *(end + 1 for end in self.upto)]
        numeric = [label(self.feature, start, end) for start, end in zip(starts, ends, strict=False)]
        return [*numeric, *(name.removeprefix(CATEGORY) for name in self.names), "other"][: len(self.counts)]

    def group(self, key: str) -> int:
        """Where a bin belongs."""
        numbers = len(self.upto) + 1 if self.numeric else 0
        if not key.startswith(CATEGORY):
            return int(np.searchsorted(self.upto, int(key))) if self.numeric else len(self.counts) - 1
        return numbers + (self.names.index(key) if key in self.names else len(self.names))

    def grouped(self, histogram: Mapping[str, int]) -> Counts:
        """The counts of its groups."""
        counts = np.zeros(len(self.counts))
        for key, number in histogram.items():
            counts[self.group(key)] += number
        return counts

    def along(self, histogram: Mapping[str, int]) -> Counts:
        """The numbers that `lines` are of."""
        numbers = [(int(key), n) for key, n in histogram.items() if not key.startswith(CATEGORY)]
        total = sum(n for _, n in numbers)
        mean = [sum(key * n for key, n in numbers) / total if total else np.nan] if self.numeric else []
        shares = [histogram.get(name, 0) / max(1, sum(histogram.values())) for name in self.names]
        return np.array([*mean, *shares])

    def score(self, histogram: Mapping[str, int]) -> Score:
        """Smaller windows than usual ones are further away by chance; larger ones are not trusted to be nearer.

        Two tests, and twice the smaller p: the distance sees any change, but goods that come in batches make it large
        every day; the numbers of `lines` see a shift through them. Both know that days differ, and of how many days that is
        known.
        """
        seen, expected = self.grouped(histogram), np.array(self.counts, np.float64)
        size = int(seen.sum())
        scale = max(1.0, self.size / max(size, 1))
        raw = float(psi(seen, expected))
        further = (_logged(raw / scale) - self.distance.mean) / self.distance.spread
        by_distance = student_tail(further, self.distance.freedom) / 2 if further > 0 else 1.0
        moved = [
            student_tail((value - line.mean) / (line.spread * scale**0.5), line.freedom)
            for value, line in zip(self.along(histogram), self.lines, strict=True)
            if not np.isnan(value)
        ]
        p = min(1.0, 2 * min(by_distance, len(moved) * min(moved, default=1.0)))
        limit = scale * float(np.exp(self.distance.mean + 2 * self.distance.spread))
        return Score(self.feature, max(0.0, raw - scale * self.usual), js_distance(seen, expected), p, size, limit)


@dataclass(frozen=True, slots=True)
class Reference:
    """By band and feature; `ALL` is there always."""

    bands: Mapping[str, Mapping[str, Expected]]
    images: int
    began_at: datetime
    frozen_at: datetime

    def expected(self, block: Block) -> Mapping[str, Expected]:
        """What to compare it with: of the hours of the day where enough is known of them."""
        return {**self.bands[ALL], **self.bands.get(block.band, {})}

    def to_json(self) -> dict[str, Any]:
        """Reversible."""
        bands = {band: {name: asdict(one) for name, one in of.items()} for band, of in self.bands.items()}
        moments = {"began_at": self.began_at.isoformat(), "frozen_at": self.frozen_at.isoformat()}
        return {"bands": bands, "images": self.images, **moments}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Reverses `to_json`."""
        bands = {band: {name: _expected(one) for name, one in of.items()} for band, of in raw["bands"].items()}
        began, frozen = (datetime.fromisoformat(raw[name]) for name in ("began_at", "frozen_at"))
        return cls(bands, raw["images"], began, frozen)


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
    return float(distances.mean()) + error, _line(_logged(distances), days[counted], _LEAST_LOG)


def _logged(distance: Any) -> Any:
    return np.log(distance + _NEAR)


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


def _expected(raw: Mapping[str, Any]) -> Expected:
    tuples: dict[str, Any] = {name: tuple(raw[name]) for name in ("upto", "names", "counts")}
    lines = {"distance": Line(**raw["distance"]), "lines": tuple(Line(**line) for line in raw["lines"])}
    return Expected(**{**raw, **tuples, **lines})
