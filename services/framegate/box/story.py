"""What is recorded of one image, in the order in which it happened, each thing as an event like a log line's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from framegate.dashboard.demands import Demands
from framegate.dashboard.steps import events_of
from framegate.dashboard.telling import story_of
from framegate.kernel.incidents import Incident
from framegate.ports.audit import AuditFilter, AuditLog
from framegate.ports.deliveries import Deliveries, Endpoints
from framegate.ports.hooks import Ending
from framegate.ports.incidents import Incidents
from framegate.ports.store import ImageRecord

_MOST_ENTRIES: Final = 1_000
#: Newest deliveries of an endpoint that are looked through.
_MOST_DELIVERIES: Final = 1_000
_LEVELS: Final = {"review": "warning", "failed": "error", "rejected": "warning"}
#: What the record tells already.
_TOLD: Final = ("review.decided", "review.undone")


@dataclass(frozen=True, slots=True)
class StorySources:
    """Where it is collected."""

    audit: AuditLog
    incidents: Incidents
    endpoints: Endpoints
    deliveries: Deliveries


def headline(record: ImageRecord) -> str:
    """What became of it, in one sentence."""
    return story_of(record, Demands()).headline


def recorded(sources: StorySources, record: ImageRecord) -> list[dict[str, Any]]:
    """Oldest first. `component` says which record: image, audit, incident or hook."""
    facility, image_id = record.facts.facility, record.facts.image_id
    taken_by = {incident_id for _, incident_id in sources.incidents.alerts_of(facility, image_id) if incident_id}
    incidents = (sources.incidents.incident(frozenset({facility}), incident_id) for incident_id in taken_by)
    found = [
        *_image(record),
        *_audit(sources.audit, record),
        *(event for incident in incidents if incident for event in _incident(sources, incident)),
    ]
    return sorted(found, key=lambda event: event["timestamp"])


def _event(at: datetime, component: str, text: str, level: str = "info", **fields: Any) -> dict[str, Any]:
    stamp = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    return {"timestamp": stamp, "level": level, "event": text, "component": component, **given}


def _image(record: ImageRecord) -> Iterator[dict[str, Any]]:
    for step in events_of(record, story_of(record, Demands()).people):
        fields: dict[str, Any] = {"detail": step.more}
        if step.what == "received":
            fields |= {"facility": record.facts.facility, "duplicate_of": _text(record.duplicate_of)}
        if step.at == record.decided_at and step.kind:
            fields |= {"reason": record.reason, "detail": record.detail, "model": record.model}
            fields |= {"policy": record.policy_version, "reused_from": _text(record.reused_from)}
        yield _event(step.at, "image", step.what, _LEVELS.get(step.kind, "info"), **fields)


def _audit(log: AuditLog, record: ImageRecord) -> Iterator[dict[str, Any]]:
    where = AuditFilter(frozenset({record.facts.facility}), object=str(record.facts.image_id))
    for entry in log.entries(where, _MOST_ENTRIES, newest=True):
        if entry.action not in _TOLD:
            yield _event(entry.at, "audit", entry.action, actor=entry.actor, body=_plain(entry.body))


def _incident(sources: StorySources, incident: Incident) -> Iterator[dict[str, Any]]:
    about = {"incident": str(incident.incident_id), "rule": incident.rule, "subject": incident.subject}
    messages = set()
    for event in sources.incidents.events(incident.incident_id):
        messages.add(event.message_id)
        yield _event(event.at, "incident", str(event.change), actor=event.actor, **about)
    for endpoint in sources.endpoints.endpoints(frozenset({incident.facility})):
        recorded = sources.deliveries.deliveries(endpoint.endpoint_id, _MOST_DELIVERIES)
        wanted = {one.delivery_id: one for one in recorded if one.message_id in messages}
        if wanted:
            yield from _attempts(sources.deliveries, endpoint.endpoint_id, endpoint.shown_target, wanted)


def _attempts(
    deliveries: Deliveries, endpoint: UUID, target: str, wanted: Mapping[int, Any]
) -> Iterator[dict[str, Any]]:
    for tried in deliveries.log(endpoint, _MOST_DELIVERIES):
        if tried.delivery_id not in wanted:
            continue
        of, result = wanted[tried.delivery_id], tried.result
        told = result.ending is Ending.DELIVERED
        text = "a receiver was told" if told else "a receiver was not told"
        fields = {"attempt": tried.attempt, "reason": None if told else str(result.reason), "status": result.status}
        fields |= {"detail": "" if told else result.detail, "hook": str(endpoint), "target": target}
        yield _event(
            tried.at, "hook", text, "info" if told else "warning", told=of.type, message_id=of.message_id, **fields
        )


def _plain(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Numbers, words and short lists; a document is looked up in the audit."""
    kept = {name: value for name, value in body.items() if isinstance(value, str | int | float | bool)}
    return kept or None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
