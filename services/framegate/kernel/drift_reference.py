"""What is usual for a camera or a model, and how far a window is from it. Pure. `drift_learning` makes it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Self

import numpy as np

from framegate.kernel.drift_features import CATEGORY, label
from framegate.kernel.histograms import Counts, js_distance, psi, student_tail

Histograms = Mapping[str, Mapping[str, int]]

#: Hours of the day (UTC) that are compared with a reference of their own.
_BAND_H: Final = 3
ALL: Final = "all"
#: PSI so small that it need not be told from none.
_NEAR: Final = 0.01


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
        further = (logged(raw / scale) - self.distance.mean) / self.distance.spread
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


def logged(distance: Any) -> Any:
    """The logarithm of PSI, in which its spread is much the same for small and large ones."""
    return np.log(distance + _NEAR)


def _expected(raw: Mapping[str, Any]) -> Expected:
    tuples: dict[str, Any] = {name: tuple(raw[name]) for name in ("upto", "names", "counts")}
    lines = {"distance": Line(**raw["distance"]), "lines": tuple(Line(**line) for line in raw["lines"])}
    return Expected(**{**raw, **tuples, **lines})
