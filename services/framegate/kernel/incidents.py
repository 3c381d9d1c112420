"""Incidents: alerts about the same thing, taken together, so that people hear of a change and not of every image. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final, Self
from uuid import UUID

from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.inspection import Alert

#: Who acts where no person does.
SYSTEM: Final = "framegate"
#: Bytes in UTF-8. An index of Postgres takes 2,704 for facility, rule and subject together.
LONGEST_SUBJECT: Final = 1_024
_DIGEST: Final = 16


#: Incidents of one rule that may go on at a time in a facility. What comes on top is one incident more, or a rule that groups
#: by what every image has for itself would tell of every image, and nobody would hear of anything else.
MOST_SUBJECTS: Final = 500
#: The subject of that one.
CROWD: Final = f"more than {MOST_SUBJECTS} subjects at once"


class IncidentState(StrEnum):
    """How far people have come with it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"  #: somebody takes care; it does not escalate any more
    RESOLVED = "resolved"  #: over; the next alert about the same opens another one


class Change(StrEnum):
    """What receivers hear of, and nothing else: the `type` of a message."""

    OPENED = "incident.opened"
    RAISED = "incident.raised"  #: from a warning to critical
    ESCALATED = "incident.escalated"  #: nobody acknowledged it in time
    ACKNOWLEDGED = "incident.acknowledged"
    RESOLVED = "incident.resolved"


@dataclass(frozen=True, slots=True)
class RaisedAlert:
    """An alert as it was written with its outcome."""

    alert_id: UUID
    facility: FacilityId
    image_id: ImageId | None  #: None: not about a single image
    alert: Alert
    at: datetime

    @property
    def subject(self) -> str:
        """The alert's; of one that is too long to be a key, its beginning and a digest that tells it from others."""
        whole = self.alert.subject.encode("utf-8", "replace")
        if len(whole) <= LONGEST_SUBJECT:
            return self.alert.subject
        digest = sha256(whole).hexdigest()[:_DIGEST]
        return f"{whole[: LONGEST_SUBJECT - _DIGEST - 1].decode('utf-8', 'ignore')}~{digest}"

    @property
    def key(self) -> tuple[FacilityId, str, str]:
        """What makes two alerts the same incident, while it lasts."""
        return self.facility, self.alert.rule, self.subject

    @property
    def crowd_key(self) -> tuple[FacilityId, str, str]:
        """Of the incident that takes it when there are too many others."""
        return self.facility, self.alert.rule, CROWD


@dataclass(frozen=True, slots=True)
class Incident:
    """Its state after its latest change; `images` counts the alerts that it took."""

    incident_id: UUID
    facility: FacilityId
    rule: str
    subject: str
    severity: str
    state: IncidentState
    summary: str
    images: int
    first_image: ImageId | None
    last_image: ImageId | None
    opened_at: datetime
    last_at: datetime
    window_s: float
    escalate_after_s: float | None
    escalated_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None

    @classmethod
    def open(cls, raised: RaisedAlert, incident_id: UUID) -> Self:
        """By its first alert."""
        alert = raised.alert
        return cls(
            incident_id,
            raised.facility,
            alert.rule,
            raised.subject,
            alert.severity,
            IncidentState.OPEN,
            alert.summary,
            1,
            raised.image_id,
            raised.image_id,
            raised.at,
            raised.at,
            alert.window_s,
            alert.escalate_after_s,
        )

    @property
    def key(self) -> tuple[FacilityId, str, str]:
        """See `RaisedAlert.key`."""
        return self.facility, self.rule, self.subject

    @property
    def quiet_at(self) -> datetime:
        """When it is over unless something comes."""
        return self.last_at + timedelta(seconds=self.window_s)

    @property
    def escalates_at(self) -> datetime | None:
        """None: not any more, or never."""
        waits = self.state is IncidentState.OPEN and self.escalated_at is None and self.escalate_after_s is not None
        return self.opened_at + timedelta(seconds=self.escalate_after_s or 0) if waits else None

    def resolve(self, at: datetime, by: str) -> "Incident":
        """Over."""
        return replace(self, state=IncidentState.RESOLVED, resolved_at=at, resolved_by=by)

    def acknowledge(self, at: datetime, by: str) -> "Incident":
        """Somebody takes care."""
        return replace(self, state=IncidentState.ACKNOWLEDGED, acknowledged_at=at, acknowledged_by=by)


#: An incident as it is now, and what of that people must hear; None: nothing, it only counted.
Step = tuple[Incident, Change | None]
#: What a person does to an incident at a moment, by their name; None: nothing is left to do.
ByHand = Callable[[Incident, datetime, str], tuple[Incident, Change] | None]


def acknowledged(incident: Incident, now: datetime, by: str) -> tuple[Incident, Change] | None:
    """Of an open one."""
    if incident.state is not IncidentState.OPEN:
        return None
    return incident.acknowledge(now, by), Change.ACKNOWLEDGED


def resolved(incident: Incident, now: datetime, by: str) -> tuple[Incident, Change] | None:
    """Of one that is not over."""
    if incident.state is IncidentState.RESOLVED:
        return None
    return incident.resolve(now, by), Change.RESOLVED


def take(current: Incident | None, raised: RaisedAlert, new_id: UUID) -> list[Step]:
    """What an alert does to the unresolved incident of its key, if there is one.

    One that says that all is over ends it, or does nothing. An incident whose time had passed before the alert came is
    over, however late that is noticed: what counts is when things happened and not when they were looked at.
    """
    if raised.alert.over:
        return [] if current is None else [(current.resolve(raised.at, SYSTEM), Change.RESOLVED)]
    if current is None:
        return [(Incident.open(raised, new_id), Change.OPENED)]
    if raised.at > current.quiet_at:
        return [(current.resolve(raised.at, SYSTEM), Change.RESOLVED), *take(None, raised, new_id)]
    alert = raised.alert
    worse = (current.severity, alert.severity) == ("warning", "critical")
    grown = replace(
        current,
        images=current.images + 1,
        last_image=raised.image_id or current.last_image,
        last_at=max(current.last_at, raised.at),
        summary=alert.summary if worse else current.summary,
        severity=alert.severity if worse else current.severity,
        # The rule of now, also where the policy has changed meanwhile.
        window_s=alert.window_s,
        escalate_after_s=alert.escalate_after_s,
    )
    return [(grown, Change.RAISED if worse else None)]


class Grouping:
    """Alerts taken one after the other into the incidents that go on."""

    def __init__(self, going_on: Iterable[Incident], counts: Mapping[tuple[FacilityId, str], int]) -> None:
        """`going_on`: of the alerts' `key`s and `crowd_key`s; `counts`: of all but crowds, by facility and rule."""
        self._going_on = {incident.key: incident for incident in going_on}
        self._counts = Counter(counts)

    def take(self, raised: RaisedAlert, new_id: UUID) -> tuple[list[Step], UUID | None]:
        """What it changes, and the incident that it belongs to; None: it says that something is over that never began."""
        of_rule = raised.key[:2]
        crowded = self._counts[of_rule] >= MOST_SUBJECTS and not raised.alert.over
        if crowded and raised.key not in self._going_on:
            raised = replace(raised, alert=replace(raised.alert, subject=CROWD))
        key = raised.key
        steps = take(self._going_on.get(key), raised, new_id)
        for incident, change in steps:
            self._going_on[key] = incident
            if incident.subject != CROWD:
                self._counts[of_rule] += (change is Change.OPENED) - (change is Change.RESOLVED)
        mine = self._going_on.get(key)
        if mine is not None and mine.state is IncidentState.RESOLVED:
            del self._going_on[key]
        return steps, None if mine is None else mine.incident_id


def tend(incident: Incident, now: datetime) -> Step | None:
    """What time alone does to an unresolved incident."""
    if now >= incident.quiet_at:
        return incident.resolve(now, SYSTEM), Change.RESOLVED
    due = incident.escalates_at
    if due is not None and now >= due:
        return replace(incident, escalated_at=now, severity="critical"), Change.ESCALATED
    return None
