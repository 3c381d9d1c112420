"""Incidents: alerts are taken into them, and what changed is written together with its deliveries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.cameras import ensure_facility
from framegate.adapters.postgres.database import Database, clock_time
from framegate.adapters.postgres.endpoints import subscription
from framegate.adapters.postgres.rows import storable
from framegate.adapters.postgres.wakeups import wake
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
    acknowledged,
    resolved,
    tend,
)
from framegate.kernel.inspection import Alert
from framegate.ports.hooks import HookMessage
from framegate.ports.incidents import Announce, Grouped, IncidentEvent

#: What whoever groups and delivers listens to.
ALERTS: Final = "alerts"
_ALERTS, _INCIDENTS, _EVENTS = schema.alert_outbox, schema.incidents, schema.incident_events
_ENDPOINTS, _DELIVERIES = schema.hook_endpoints, schema.hook_deliveries
# In the words of the partial index: plans are made before values are known.
_GOING_ON = _INCIDENTS.c.state != literal(IncidentState.RESOLVED, literal_execute=True)


class PostgresIncidents:
    """`Incidents`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def group(self, limit: int, announce: Announce) -> Grouped:
        """See the port."""

        def work(connection: Connection) -> Grouped:
            _take_turns(connection)
            waiting = select(_ALERTS).where(_ALERTS.c.incident_id.is_(None))
            rows = connection.execute(waiting.order_by(_ALERTS.c.created_at, _ALERTS.c.id).limit(limit)).all()
            alerts = [_raised(row) for row in rows]
            keys = {key for raised in alerts for key in (raised.key, raised.crowd_key)}
            grouping = Grouping(_going_on(connection, keys), _counts(connection, {key[:2] for key in keys}))
            journal = _Journal(announce)
            taken: dict[UUID, UUID] = {}
            for raised in alerts:
                steps, incident_id = grouping.take(raised, new_uuid7())
                for incident, change in steps:
                    journal.note(incident, change, raised.at, SYSTEM, raised.image_id)
                # What is over without having begun belongs to none, but it was looked at.
                taken[raised.alert_id] = incident_id or new_uuid7()
            journal.write(connection)
            _assign(connection, taken)
            return Grouped(len(alerts), journal.changes)

        return self._database.core(work)

    def tend(self, limit: int, announce: Announce) -> Sequence[Change]:
        """The query only chooses; what becomes of them is said in one place, for every store."""

        def work(connection: Connection) -> list[Change]:
            _take_turns(connection)
            now = clock_time(connection)
            journal = _Journal(announce)
            for row in connection.execute(select(_INCIDENTS).where(_GOING_ON, _due_by(now)).limit(limit)):
                step = tend(_incident(row), now)
                if step is not None:
                    journal.note(*step, now, SYSTEM)
            journal.write(connection)
            return journal.changes

        return self._database.core(work)

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
        def work(connection: Connection) -> Incident | None:
            _take_turns(connection)
            found = _find(connection, facilities, incident_id)
            if found is None:
                return None
            now = clock_time(connection)
            done = step(found, now, actor)
            if done is None:
                return found
            incident, change = done
            journal = _Journal(announce)
            journal.note(incident, change, now, actor)
            journal.write(connection)
            record(connection, incident.facility, actor, str(change), str(incident_id), {"rule": incident.rule})
            return incident

        result = self._database.core(work)
        wake(self._database, [ALERTS])
        return result

    def incident(self, facilities: frozenset[FacilityId], incident_id: UUID) -> Incident | None:
        """See the port."""
        return self._database.core(lambda connection: _find(connection, facilities, incident_id))

    def incidents(
        self, facilities: frozenset[FacilityId], states: frozenset[IncidentState], limit: int
    ) -> list[Incident]:
        """See the port."""
        query = (
            select(_INCIDENTS)
            .where(_INCIDENTS.c.facility_id.in_(facilities), _INCIDENTS.c.state.in_(states))
            .order_by(_INCIDENTS.c.last_at.desc(), _INCIDENTS.c.incident_id.desc())
            .limit(limit)
        )
        return self._database.core(lambda connection: [_incident(row) for row in connection.execute(query)])

    def facilities(self) -> frozenset[FacilityId]:
        """See the port."""
        query = select(schema.facilities.c.id)
        return self._database.core(lambda c: frozenset(map(FacilityId, c.execute(query).scalars())))

    def events(self, incident_id: UUID) -> list[IncidentEvent]:
        """See the port."""
        query = select(_EVENTS).where(_EVENTS.c.incident_id == incident_id).order_by(_EVENTS.c.sequence)
        return self._database.core(lambda connection: [_event(row) for row in connection.execute(query)])

    def alerts_of(self, facility: FacilityId, image_id: ImageId) -> list[tuple[RaisedAlert, UUID | None]]:
        """See the port."""
        mine = select(_ALERTS).where(_ALERTS.c.facility_id == facility, _ALERTS.c.image_id == image_id)
        query = mine.order_by(_ALERTS.c.created_at, _ALERTS.c.id)
        return self._database.core(lambda c: [(_raised(row), row.incident_id) for row in c.execute(query)])

    def raise_alert(self, facility: FacilityId, alert: Alert) -> None:
        """See the port."""
        self._database.core(lambda connection: raise_alert(connection, facility, alert))
        wake(self._database, [ALERTS])


def raise_alert(
    connection: Connection,
    facility: FacilityId,
    alert: Alert,
    image_id: ImageId | None = None,
    payload: Mapping[str, str] | None = None,
) -> None:
    """In the transaction of whatever it is about. An image that has one of that rule keeps it."""
    ensure_facility(connection, facility)
    row = asdict(alert) | {"facility_id": facility, "image_id": image_id, "payload": dict(payload or {})}
    row |= {"subject": storable(alert.subject), "summary": storable(alert.summary)}
    once = upsert(_ALERTS).on_conflict_do_nothing()
    connection.execute(once.values(row | {"created_at": func.clock_timestamp()}))


class _Journal:
    """What one transaction changes, written at its end: a busy incident is one row however many alerts it took."""

    def __init__(self, announce: Announce) -> None:
        self._announce = announce
        self._incidents: dict[UUID, Incident] = {}
        self._said: list[tuple[Incident, Change, datetime, str, HookMessage, ImageId | None]] = []

    @property
    def changes(self) -> list[Change]:
        return [change for _, change, *_ in self._said]

    def note(
        self, incident: Incident, change: Change | None, at: datetime, actor: str, image: ImageId | None = None
    ) -> None:
        """`image`: whose alert made the change."""
        self._incidents[incident.incident_id] = incident
        if change is not None:
            self._said.append((incident, change, at, actor, self._announce(incident, change, at, actor), image))

    def write(self, connection: Connection) -> None:
        if self._incidents:
            # One after the other: what is over must be so before another one with its key begins.
            row = upsert(_INCIDENTS)
            new = {c.name: row.excluded[c.name] for c in _INCIDENTS.c if c.name != "incident_id"}
            statement = row.on_conflict_do_update(index_elements=["incident_id"], set_=new)
            connection.execute(statement, [_row(incident) for incident in self._incidents.values()])
        if self._said:
            connection.execute(insert(_EVENTS), [_event_row(*said) for said in self._said])
            self._address(connection)

    def _address(self, connection: Connection) -> None:
        facilities = {incident.facility for incident, *_ in self._said}
        wanted = select(_ENDPOINTS).where(_ENDPOINTS.c.facility_id.in_(facilities), _ENDPOINTS.c.enabled)
        # None of them can be removed before this commits: a delivery without its endpoint would be an error.
        locked = wanted.with_for_update(read=True, key_share=True)
        subscriptions = [subscription(row) for row in connection.execute(locked)]
        now = clock_time(connection)
        rows = [
            {
                "endpoint_id": one.endpoint_id,
                "message_id": message.message_id,
                "state": "pending",
                "created_at": now,
                "due_at": now,
            }
            for incident, *_, message, _image in self._said
            for one in subscriptions
            if one.facility == incident.facility and one.wants(message)
        ]
        if rows:
            connection.execute(insert(_DELIVERIES), rows)


def _take_turns(connection: Connection) -> None:
    connection.execute(text("select pg_advisory_xact_lock(hashtext('incidents'))"))


def _going_on(connection: Connection, keys: Iterable[tuple[FacilityId, str, str]]) -> list[Incident]:
    key = tuple_(_INCIDENTS.c.facility_id, _INCIDENTS.c.rule, _INCIDENTS.c.subject)
    query = select(_INCIDENTS).where(_GOING_ON, key.in_(sorted(keys)))
    return [_incident(row) for row in connection.execute(query)]


def _counts(connection: Connection, rules: Iterable[tuple[FacilityId, str]]) -> dict[tuple[FacilityId, str], int]:
    of_rule = (_INCIDENTS.c.facility_id, _INCIDENTS.c.rule)
    single = (_GOING_ON, tuple_(*of_rule).in_(sorted(rules)), _INCIDENTS.c.subject != CROWD)
    query = select(*of_rule, func.count()).where(*single).group_by(*of_rule)
    return {(FacilityId(facility), rule): count for facility, rule, count in connection.execute(query)}


def _due_by(now: datetime) -> ColumnElement[bool]:
    """Quiet for long enough, or not acknowledged for too long."""
    quiet = _INCIDENTS.c.last_at + _seconds(_INCIDENTS.c.window_s) <= now
    waits = and_(_INCIDENTS.c.state == IncidentState.OPEN, _INCIDENTS.c.escalated_at.is_(None))
    return or_(quiet, and_(waits, _INCIDENTS.c.opened_at + _seconds(_INCIDENTS.c.escalate_after_s) <= now))


def _seconds(column: ColumnElement[float]) -> ColumnElement[Any]:
    return column * literal(timedelta(seconds=1))


def _assign(connection: Connection, taken: dict[UUID, UUID]) -> None:
    if taken:
        pairs = func.unnest(list(taken), list(taken.values())).table_valued("alert", "incident").render_derived()
        statement = update(_ALERTS).where(_ALERTS.c.id == pairs.c.alert).values(incident_id=pairs.c.incident)
        connection.execute(statement)


def _find(connection: Connection, facilities: frozenset[FacilityId], incident_id: UUID) -> Incident | None:
    query = select(_INCIDENTS).where(_INCIDENTS.c.incident_id == incident_id, _INCIDENTS.c.facility_id.in_(facilities))
    row = connection.execute(query).one_or_none()
    return None if row is None else _incident(row)


def _raised(row: Row[Any]) -> RaisedAlert:
    alert = Alert(row.rule, row.severity, row.subject, row.summary, row.window_s, row.escalate_after_s, row.over)
    image = None if row.image_id is None else ImageId(row.image_id)
    return RaisedAlert(row.id, FacilityId(row.facility_id), image, alert, row.created_at)


def _row(incident: Incident) -> dict[str, Any]:
    row = asdict(incident)
    return row | {"facility_id": row.pop("facility")}


def _incident(row: Row[Any]) -> Incident:
    found = dict(row._mapping)
    return Incident(facility=found.pop("facility_id"), state=IncidentState(found.pop("state")), **found)


def _event_row(
    incident: Incident, change: Change, at: datetime, actor: str, message: HookMessage, image: ImageId | None
) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "incident_id": incident.incident_id,
        "facility_id": incident.facility,
        "image_id": image,
        "change": change,
        "actor": actor,
        "at": at,
        "severity": message.severity,
        "title": message.title,
        "body": message.text,
        "link": message.link,
        "payload": message.payload.decode(),
    }


def _event(row: Row[Any]) -> IncidentEvent:
    return IncidentEvent(row.message_id, Change(row.change), row.at, row.actor, row.payload.encode())
