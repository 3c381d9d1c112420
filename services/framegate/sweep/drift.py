"""Watches cameras and models for drift, by the images that ended."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from framegate.kernel.drift_features import family
from framegate.kernel.drift_state import Drift, DriftLimits, Subject
from framegate.observability.catalogue import DRIFT_FINDINGS, DRIFT_IMAGES, DRIFT_SCORE
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.clock import Clock
from framegate.ports.drift import Drifts
from framegate.sweep.housework import housework
from framegate.worker.due import Due

_AT_ONCE: Final = 500
#: Then the others of this process have their turn.
_ROUNDS: Final = 20
#: Series of scores: those of all cameras and features would be thousands.
MOST_SCORES: Final = 100
_FORGET_EVERY: Final = timedelta(hours=1)
_SHOW_EVERY: Final = timedelta(seconds=15)


class DriftWatch:
    """Several take turns; each shows the same gauges."""

    def __init__(
        self, drifts: Drifts, limits: DriftLimits, keep: timedelta, clock: Clock, metrics: Metrics, log: Log
    ) -> None:
        """`keep`: how long what is over is kept."""
        self._drifts, self._limits, self._keep, self._clock = drifts, limits, keep, clock
        self._metrics, self._log, self._due = metrics, log, Due(clock)
        self._scores: set[tuple[str, str, str]] = set()
        self._findings: set[tuple[str, str]] = set()

    def look(self) -> None:
        """Takes in what has ended since the last look. Troubles are counted: nobody waits for this."""
        with housework("drift", self._metrics, self._log):
            for _ in range(_ROUNDS):
                if self._follow() < _AT_ONCE:
                    break
            if self._due.is_due("show", _SHOW_EVERY):
                self._show(self._drifts.known(compared=True))
            if self._due.is_due("forget", _FORGET_EVERY):
                while self._drifts.forget(self._clock.now() - self._keep, _AT_ONCE) == _AT_ONCE:
                    pass

    def _follow(self) -> int:
        taken = self._drifts.follow(self._limits, _AT_ONCE)
        self._metrics.count(DRIFT_IMAGES, taken.images)
        for change in taken.changes:
            log = self._log.bind(facility=change.subject.facility, subject=str(change.subject))
            if change.began:
                told = "; ".join(finding.told() for finding in change.began)
                log.warning("something drifts", action="drift_began", detail=told)
            if change.ended:
                log.info("something is as it was", action="drift_ended", detail=", ".join(change.ended))
        return taken.images

    def _show(self, known: Mapping[Subject, Drift]) -> None:
        """The largest scores, and how much drifts; series that are no longer true go."""
        scores = {
            (
                str(subject.kind),
                subject.name if subject.kind == "model" else f"{subject.facility}/{subject.name}",
                name,
            ): level.psi
            for subject, drift in known.items()
            for name, level in drift.scores.items()
        }
        largest = dict(sorted(scores.items(), key=lambda pair: -pair[1])[:MOST_SCORES])
        for kind, subject, feature in self._scores - largest.keys():
            self._metrics.forget(DRIFT_SCORE, subject_kind=kind, subject=subject, feature=feature)
        for (kind, subject, feature), psi in largest.items():
            self._metrics.set(DRIFT_SCORE, psi, subject_kind=kind, subject=subject, feature=feature)
        self._scores = set(largest)
        holding = Counter((str(subject.kind), family(name)) for subject, drift in known.items() for name in drift.holds)
        for kind, feature in self._findings | holding.keys():
            self._metrics.set(DRIFT_FINDINGS, holding[kind, feature], subject_kind=kind, feature=feature)
        self._findings |= holding.keys()
