"""Incidents and their notices. Every method may raise `DependencyUnavailable`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.incidents import Change, Incident, IncidentState, RaisedAlert
from framegate.kernel.inspection import Alert
from framegate.ports.hooks import HookMessage

#: What receivers are told of a change at that moment, by that actor. Pure; called inside the transaction.
Announce = Callable[[Incident, Change, datetime, str], HookMessage]


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """A change, as it was announced."""

    message_id: str  #: the `webhook-id`
    change: Change
    at: datetime
    actor: str
    payload: bytes  #: JSON


@dataclass(frozen=True, slots=True)
class Grouped:
    """What one call did."""

    alerts: int
    changes: Sequence[Change]


class Incidents(Protocol):
    """A change, its event and a delivery for every endpoint that wants it are written in one transaction."""

    def group(self, limit: int, announce: Announce) -> Grouped:
        """Takes up to `limit` alerts that no incident has yet, oldest first, into incidents (`kernel.incidents.take`).

        Callers take turns; an alert belongs to exactly one incident.
        """
        ...

    def tend(self, limit: int, announce: Announce) -> Sequence[Change]:
        """Escalates and resolves up to `limit` incidents whose time has come (`kernel.incidents.tend`)."""
        ...

    def acknowledge(
        self, facilities: frozenset[FacilityId], incident_id: UUID, actor: str, announce: Announce
    ) -> Incident | None:
        """An open one; any other is returned as it is. None: there is none, or it is another facility's. Audited."""
        ...

    def resolve(
        self, facilities: frozenset[FacilityId], incident_id: UUID, actor: str, announce: Announce
    ) -> Incident | None:
        """One that is not resolved yet, else like `acknowledge`."""
        ...

    def incident(self, facilities: frozenset[FacilityId], incident_id: UUID) -> Incident | None:
        """None also for another facility's."""
        ...

    def incidents(
        self, facilities: frozenset[FacilityId], states: frozenset[IncidentState], limit: int
    ) -> list[Incident]:
        """Those with the newest alerts first."""
        ...

    def facilities(self) -> frozenset[FacilityId]:
        """All that there are: for whoever may see everything."""
        ...

    def events(self, incident_id: UUID) -> list[IncidentEvent]:
        """Oldest first."""
        ...

    def alerts_of(self, facility: FacilityId, image_id: ImageId) -> list[tuple[RaisedAlert, UUID | None]]:
        """What an image's outcome raised, and the incident that took it (None: not yet)."""
        ...

    def raise_alert(self, facility: FacilityId, alert: Alert) -> None:
        """One that is not about a single image."""
        ...
