"""Incidents in memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

from framegate.adapters.memory.deliveries import MemoryDeliveries
from framegate.adapters.memory.state import MemoryState
from framegate.kernel.ids import FacilityId, ImageId, new_uuid7
from framegate.kernel.incidents import (
    CROWD,
    SYSTEM,
    ByHand,
    Change,
    Grouping,
    Incident,
    IncidentState,
    RaisedAlert,
    Step,
    acknowledged,
    resolved,
    tend,
)
from framegate.kernel.inspection import Alert
from framegate.ports.incidents import Announce, Grouped, IncidentEvent


class MemoryIncidents:
    """`Incidents`."""

    def __init__(self, state: MemoryState, deliveries: MemoryDeliveries) -> None:
        self._state, self._deliveries = state, deliveries
        self._incidents: dict[UUID, Incident] = {}
        self._events: dict[UUID, list[IncidentEvent]] = {}
        self._grouped = 0
        self._taken: dict[UUID, UUID | None] = {}

    def group(self, limit: int, announce: Announce) -> Grouped:
        """See the port."""
        with self._state.lock:
            alerts = self._state.alerts[self._grouped : self._grouped + limit]
            changes: list[Change] = []
            single = (incident for incident in self._going_on() if incident.subject != CROWD)
            grouping = Grouping(self._going_on(), Counter(incident.key[:2] for incident in single))
            for raised in alerts:
                steps, incident_id = grouping.take(raised, new_uuid7())
                self._taken[raised.alert_id] = incident_id
                changes += self._note(steps, raised.at, SYSTEM, announce, raised.image_id)
            self._grouped += len(alerts)
            return Grouped(len(alerts), changes)

    def tend(self, limit: int, announce: Announce) -> Sequence[Change]:
        """See the port."""
        with self._state.lock:
            now = self._state.now()
            steps = [step for incident in self._going_on() if (step := tend(incident, now)) is not None]
            return self._note(steps[:limit], now, SYSTEM, announce)

    def acknowledge(
        self, facilities: frozenset[FacilityId], incident_id: UUID, actor: str, announce: Announce
    ) -> Incident | None:
        """See the port."""
        return self._by_hand(facilities, incident_id, actor, announce, acknowledged)

    def resolve(
        self, facilities: frozenset[FacilityId], incident_id: UUID, actor: str, announce: Announce
    ) -> Incident | None:
        """See the port."""
        return self._by_hand(facilities, incident_id, actor, announce, resolved)

    def _by_hand(
        self,
        facilities: frozenset[FacilityId],
        incident_id: UUID,
        actor: str,
        announce: Announce,
        step: ByHand,
    ) -> Incident | None:
        with self._state.lock:
            found = self.incident(facilities, incident_id)
            done = None if found is None else step(found, self._state.now(), actor)
            if found is not None and done is not None:
                for change in self._note([done], self._state.now(), actor, announce):
                    body = {"rule": found.rule}
                    self._state.record(found.facility, actor, str(change), str(incident_id), body)
            return self.incident(facilities, incident_id)

    def incident(self, facilities: frozenset[FacilityId], incident_id: UUID) -> Incident | None:
        """See the port."""
        with self._state.lock:
            found = self._incidents.get(incident_id)
            return found if found is not None and found.facility in facilities else None

    def incidents(
        self, facilities: frozenset[FacilityId], states: frozenset[IncidentState], limit: int
    ) -> list[Incident]:
        """See the port."""
        with self._state.lock:
            found = [i for i in self._incidents.values() if i.facility in facilities and i.state in states]
            return sorted(found, key=lambda i: (i.last_at, i.incident_id), reverse=True)[:limit]

    def facilities(self) -> frozenset[FacilityId]:
        """See the port."""
        with self._state.lock:
            return self._state.facilities | {incident.facility for incident in self._incidents.values()}

    def events(self, incident_id: UUID) -> list[IncidentEvent]:
        """See the port."""
        with self._state.lock:
            return list(self._events.get(incident_id, []))

    def alerts_of(self, facility: FacilityId, image_id: ImageId) -> list[tuple[RaisedAlert, UUID | None]]:
        """See the port."""
        with self._state.lock:
            mine = [one for one in self._state.alerts if (one.facility, one.image_id) == (facility, image_id)]
            return [(one, self._taken.get(one.alert_id)) for one in mine]

    def raise_alert(self, facility: FacilityId, alert: Alert) -> None:
        """See the port."""
        with self._state.lock:
            self._state.alerts.append(RaisedAlert(uuid4(), facility, None, alert, self._state.now()))

    def _going_on(self) -> list[Incident]:
        return [i for i in self._incidents.values() if i.state is not IncidentState.RESOLVED]

    def _note(
        self, steps: Sequence[Step], at: datetime, actor: str, announce: Announce, image: ImageId | None = None
    ) -> list[Change]:
        row = None if image is None else self._state.images.get(image)
        for incident, change in steps:
            self._incidents[incident.incident_id] = incident
            if change is not None:
                message = replace(announce(incident, change, at, actor), trace="" if row is None else row.new.trace)
                event = IncidentEvent(message.message_id, change, at, actor, message.payload)
                self._events.setdefault(incident.incident_id, []).append(event)
                self._deliveries.address(incident.facility, message, at, image)
        return [change for _, change in steps if change is not None]
