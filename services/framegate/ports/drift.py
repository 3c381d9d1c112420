"""What is known of cameras and models that may drift. Every method may raise `DependencyUnavailable`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from framegate.kernel.drift_features import Part
from framegate.kernel.drift_reference import Reference
from framegate.kernel.drift_state import Drift, DriftChange, DriftLimits, Finding, Hour, Subject
from framegate.kernel.ids import FacilityId

#: For `Drifts.findings`: more do not hold at a time but where everything has changed.
MOST_FINDINGS: Final = 10_000


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What one call did."""

    images: int
    changes: Sequence[DriftChange]


class Drifts(Protocol):
    """Pages, commands and the sweeper."""

    def follow(self, limits: DriftLimits, limit: int) -> TakenIn:
        """Takes in up to `limit` ended images that nobody has taken in yet.

        Windows, findings, alerts, audit and the place to go on from are written in one transaction, so that every image
        counts once. Callers take turns: whoever comes while another one is at it has done nothing. Only images that the
        watch of the cameras has judged are taken in: those of faulty cameras are passed over, and so is the bulk lane.
        """
        ...

    def known(
        self, facilities: frozenset[FacilityId] | None = None, *, compared: bool = False
    ) -> Mapping[Subject, Drift]:
        """All that are watched, in their order; None: of all facilities. `compared`: only those that have scores."""
        ...

    def drift(self, subject: Subject) -> Drift | None:
        """What is known of one; None: nothing."""
        ...

    def reference(self, subject: Subject, part: Part) -> Reference | None:
        """What it is compared with; None while that is learnt."""
        ...

    def hours(self, subject: Subject, since: datetime) -> list[Hour]:
        """Those that began then or later, oldest first."""
        ...

    def findings(
        self,
        facilities: frozenset[FacilityId] | None,
        since: datetime | None = None,
        subject: Subject | None = None,
        limit: int = 100,
    ) -> list[Finding]:
        """Newest first. With `since` those that held at that moment or later, else those that hold now."""
        ...

    def freeze(self, subject: Subject, actor: str) -> bool:
        """What it shows from now on is usual: its reference is learnt anew, its findings end; audited.

        False: nothing is known of it.
        """
        ...

    def forget(self, before: datetime, limit: int) -> int:
        """Deletes up to `limit` hours that began before, findings that ended before, and cameras and models of which
        nothing was seen since, with all that was learnt of them; how many.
        """
        ...
