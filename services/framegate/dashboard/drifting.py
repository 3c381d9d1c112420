"""What pages show of drift: whether it is what it was, by how much not, and the images that show it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from framegate.dashboard.state import PageState
from framegate.kernel.drift_features import Kind, Part, counted, feature
from framegate.kernel.drift_state import JOINED, Drift, DriftLimits, Finding, Hour, Learning, Standing, Subject
from framegate.kernel.ids import FacilityId, ImageId, created_s
from framegate.ports.drift import MOST_FINDINGS
from framegate.ports.store import ImageRecord

_DAYS: Final = timedelta(days=7)
_LEAST_SPAN: Final = timedelta(hours=12)
_HOUR: Final = timedelta(hours=1)
#: What is over is told of for so long.
_BEFORE: Final = timedelta(days=30)
#: Findings with pictures and a plot; others are lines of the table.
_MOST_SHOWN: Final = 5
_PICTURES: Final = 6
_MEASURES: Final = 8
WIDE: Final = 1000
HIGH: Final = 80
#: What was changed where a measure of the part drifts, and what helps.
_HELPS: Final = {
    Part.PICTURE: "A lamp, the sun, a dirty or turned lens, or new goods. What can be corrected ends by itself afterwards.",
    Part.MODEL: "With the picture as before: new goods, more damage, or the model does not know what it sees. Compare with "
    "what people decide at the review desk; then calibrate or train.",
}
PARTS: Final = {Part.PICTURE: "The picture", Part.MODEL: "What is found in it"}


@dataclass(frozen=True, slots=True)
class PartRow:
    """How far the reference of a part is."""

    name: str
    of: str | None
    learning: Learning
    days: float  #: since its first window
    share: float  #: of what it needs, 0 to 1


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One measure of the newest window. `size` 0: it is not known."""

    title: str
    psi: float
    size: int
    counted: str
    drifts: bool
    verdict: str  #: in a few words; empty: as usual


@dataclass(frozen=True, slots=True)
class Plot:
    """The distance by hour, in a space of `WIDE` x `HIGH`; `lines` are broken where hours are missing."""

    title: str
    lines: Sequence[str]
    bound: float  #: height of the line from which on it matters
    peak: float
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class FoundView:
    """A measure that drifts. `more`: images beside those with pictures."""

    finding: Finding
    groups: Sequence[tuple[str, float, float]]  #: label, share usually and now
    counted: str
    helps: str
    plot: Plot | None
    pictures: Sequence[ImageRecord]
    more: Sequence[tuple[ImageId, datetime]]  #: with when they came

    @property
    def highest(self) -> float:
        """The largest share of all groups: the longest bar."""
        return max(max(usual, now) for _, usual, now in self.groups) or 1.0


@dataclass(frozen=True, slots=True)
class DriftView:
    """A camera, or a model at one facility. `plot`: of what is furthest, where nothing drifts."""

    subject: Subject
    limits: DriftLimits
    standing: Standing
    parts: Sequence[PartRow]
    measures: Sequence[MeasureRow]
    found: Sequence[FoundView]
    others: Sequence[Finding]  #: that hold too, and are not shown in `found`
    over: Sequence[Finding]
    plot: Plot | None

    @property
    def titles(self) -> str:
        """All that drifts."""
        return ", ".join(one.title for one in (*(one.finding for one in self.found), *self.others))

    @property
    def since(self) -> datetime | None:
        """When the first of them began."""
        return min((one.began_at for one in (*(one.finding for one in self.found), *self.others)), default=None)

    @property
    def learnt(self) -> float:
        """Of the part that is furthest behind."""
        return min((part.share for part in self.parts), default=0.0)

    @property
    def place(self) -> str:
        """Of its route in the API."""
        return f"{self.subject.kind}/{self.subject.name}/freeze?facility={self.subject.facility}"

    @property
    def first(self) -> Sequence[MeasureRow]:
        """Those that are shown at once."""
        return self.measures[:_MEASURES]

    @property
    def rest(self) -> Sequence[MeasureRow]:
        """The others."""
        return self.measures[_MEASURES:]


def drifting(pages: PageState, facilities: frozenset[FacilityId], kind: Kind) -> Mapping[tuple[str, str], list[str]]:
    """Facility and name of those that drift, with the measures."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in pages.deps.drifts.findings(facilities, limit=MOST_FINDINGS):
        if one.subject.kind is kind:
            found.setdefault((one.subject.facility, one.subject.name), []).append(one.title)
    return found


def drift_view(pages: PageState, subject: Subject) -> DriftView | None:
    """None: no image of it has ended yet."""
    deps, limits = pages.deps, pages.deps.drift_limits
    known = deps.drifts.drift(subject)
    if known is None:
        return None
    now = deps.clock.now()
    findings = deps.drifts.findings(frozenset({subject.facility}), now - _BEFORE, subject)
    hold = sorted((one for one in findings if one.ended_at is None), key=lambda one: -one.psi)
    hours = deps.drifts.hours(subject, now - _DAYS)
    measures = _measures(known, limits)
    shown = [_found(pages, one, hours, limits, now) for one in hold[:_MOST_SHOWN]]
    furthest = max(known.scores, key=lambda name: known.scores[name].psi, default=None)
    return DriftView(
        subject,
        limits,
        known.standing,
        [_part(Part(name), part, limits, now) for name, part in sorted(known.parts.items(), reverse=True)],
        measures,
        shown,
        hold[_MOST_SHOWN:],
        [one for one in findings if one.ended_at is not None],
        None if shown or furthest is None else _plot(furthest, hours, limits.effect, now),
    )


def _part(part: Part, learning: Learning, limits: DriftLimits, now: datetime) -> PartRow:
    lasted = (now - learning.since).total_seconds() / 86_400 if learning.since else 0.0
    return PartRow(PARTS[part], learning.of, learning, max(lasted, 0.0), learning.share(limits, now))


def _measures(known: Drift, limits: DriftLimits) -> list[MeasureRow]:
    rows = [
        MeasureRow(
            feature(name).title,
            level.psi,
            level.size,
            counted(name),
            name in known.holds,
            _verdict(known, name, limits),
        )
        for name, level in known.scores.items()
    ]
    return sorted(rows, key=lambda row: (not row.drifts, -row.psi, row.title))


def _verdict(known: Drift, name: str, limits: DriftLimits) -> str:
    if name in known.holds or known.scores[name].psi < limits.effect:
        return ""
    stands_out = any(known.recent.get(name, ())[-1:])
    return "stands out: drift if it lasts" if stands_out else "far, but days differ much: may be chance"


def _found(pages: PageState, one: Finding, hours: Sequence[Hour], limits: DriftLimits, now: datetime) -> FoundView:
    here = frozenset({one.subject.facility})
    records = (pages.deps.results.image(here, image) for image in one.moved[:_PICTURES])
    groups = [row for row in zip(one.labels, one.expected, one.seen, strict=True) if row[1] or row[2]]
    return FoundView(
        one,
        groups,
        counted(one.feature),
        _HELPS[feature(one.feature).part],
        _plot(one.feature, hours, limits.effect, now),
        [record for record in records if record is not None],
        [(image, datetime.fromtimestamp(created_s(image), UTC)) for image in one.moved[_PICTURES:]],
    )


def _plot(name: str, hours: Iterable[Hour], effect: float, now: datetime) -> Plot | None:
    """From the first hour that has it on, as a line of steps; None: no hour of late has."""
    scored = [(hour.at, hour.scores[name].psi) for hour in hours if name in hour.scores]
    if not scored:
        return None
    since = min(scored[0][0], now - _LEAST_SPAN)
    span, peak = (now - since).total_seconds(), max(psi for _, psi in scored)
    top = 1.1 * max(2 * effect, peak)
    lines: list[list[str]] = []
    last: datetime | None = None
    for at, psi in scored:
        if last is None or at - last > JOINED:
            lines.append([])
        x, width = (at - since).total_seconds() / span * WIDE, _HOUR.total_seconds() / span * WIDE
        y = HIGH * (1 - psi / top)
        lines[-1] += [f"{x:.1f},{y:.1f}", f"{min(x + width, WIDE):.1f},{y:.1f}"]
        last = at
    return Plot(
        feature(name).title, [" ".join(points) for points in lines], HIGH * (1 - effect / top), peak, since, now
    )
