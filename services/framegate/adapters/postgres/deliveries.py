"""Deliveries to endpoints: claimed under a lease, settled with their log in one transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, Row, Update, case, func, insert, literal, select, update

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.database import Database, Raw
from framegate.adapters.postgres.endpoints import subscription
from framegate.adapters.postgres.incidents import ALERTS, raise_alert
from framegate.adapters.postgres.rows import storable
from framegate.adapters.postgres.statements import statement
from framegate.adapters.postgres.wakeups import wake
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.incidents import SYSTEM
from framegate.ports.deliveries import (
    Delivery,
    DeliveryRecord,
    DeliveryState,
    LoggedAttempt,
    Settlement,
    Subscription,
    Told,
    shown_target,
)
from framegate.ports.hooks import Attempt, Ending, HookKind, HookMessage

_ENDPOINTS, _DELIVERIES, _ATTEMPTS = schema.hook_endpoints, schema.hook_deliveries, schema.hook_attempts
_EVENTS = schema.incident_events
# In the words of the partial indexes: plans are made before values are known.
_PENDING = _DELIVERIES.c.state == literal(DeliveryState.PENDING, literal_execute=True)
_DEAD = _DELIVERIES.c.state == literal(DeliveryState.DEAD, literal_execute=True)
_NOW = func.clock_timestamp()
_DISABLED: Final = "the endpoint was disabled"


class PostgresDeliveries:
    """`Deliveries`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, owner: str, lease: timedelta, slots: int, busy: Mapping[UUID, int], most: int) -> list[Delivery]:
        """One statement."""
        parameters = {
            "owner": owner,
            "lease": lease.total_seconds(),
            "slots": slots,
            "busy": list(busy),
            "counts": list(busy.values()),
            "most": most,
        }

        def work(connection: Raw) -> list[Any]:
            with connection.cursor(row_factory=namedtuple_row) as cursor:
                return cursor.execute(statement("delivery_claim"), parameters).fetchall()

        return [_delivery(row, owner) for row in self._database.run(work)]

    def settle(self, delivery: Delivery, attempt: Attempt, settlement: Settlement) -> bool:
        """See the port."""

        def work(connection: Connection) -> bool:
            this = _DELIVERIES.c.delivery_id == delivery.delivery_id
            # Before its deliveries, as when it is disabled or removed: the other way round they would wait in a circle.
            endpoint = _ENDPOINTS.c.endpoint_id == delivery.subscription.endpoint_id
            connection.execute(select(_ENDPOINTS.c.endpoint_id).where(endpoint).with_for_update(key_share=True))
            # Its endpoint may be removed at this moment, and the log with it.
            row = connection.execute(select(_DELIVERIES.c.token).where(this).with_for_update()).one_or_none()
            if row is None:
                return False
            connection.execute(insert(_ATTEMPTS).values(_log_row(delivery, attempt)))
            if row.token != delivery.token:
                return False
            connection.execute(update(_DELIVERIES).where(this).values(_settled(settlement)))
            _endpoint(connection, delivery, attempt, settlement)
            return True

        settled = self._database.core(work)
        if settlement.alert is not None:
            wake(self._database, [ALERTS])
        return settled

    def recover(self, owner: str) -> int:
        """See the port."""
        mine = update(_DELIVERIES).where(_PENDING, _DELIVERIES.c.owner == owner, _DELIVERIES.c.leased_until > _NOW)
        return self._database.core(lambda c: c.execute(mine.values(token=None, leased_until=None)).rowcount)

    def dead(self, facilities: frozenset[FacilityId] | None, limit: int) -> list[DeliveryRecord]:
        """See the port."""
        query = _records().where(_DEAD)
        if facilities is not None:
            query = query.where(_ENDPOINTS.c.facility_id.in_(facilities))
        return self._records(query, limit)

    def deliveries(self, endpoint_id: UUID, limit: int) -> list[DeliveryRecord]:
        """See the port."""
        return self._records(_records().where(_DELIVERIES.c.endpoint_id == endpoint_id), limit)

    def _records(self, query: Any, limit: int) -> list[DeliveryRecord]:
        newest = query.order_by(_DELIVERIES.c.created_at.desc(), _DELIVERIES.c.delivery_id.desc()).limit(limit)
        return self._database.core(lambda connection: [_record(row) for row in connection.execute(newest)])

    def replay(
        self,
        facilities: frozenset[FacilityId] | None,
        *,
        delivery_id: int | None = None,
        endpoint_id: UUID | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """See the port."""
        endpoints = select(_ENDPOINTS.c.endpoint_id).where(_ENDPOINTS.c.enabled)
        if facilities is not None:
            endpoints = endpoints.where(_ENDPOINTS.c.facility_id.in_(facilities))
        dead = [_DEAD, _DELIVERIES.c.endpoint_id.in_(endpoints)]
        if delivery_id is not None:
            dead.append(_DELIVERIES.c.delivery_id == delivery_id)
        if endpoint_id is not None:
            dead.append(_DELIVERIES.c.endpoint_id == endpoint_id)
        if since is not None:
            dead.append(_DELIVERIES.c.created_at >= since)
        if until is not None:
            dead.append(_DELIVERIES.c.created_at < until)
        fresh = {"state": DeliveryState.PENDING, "attempts": 0, "due_at": _NOW, "ended_at": None, "reason": ""}
        again = self._database.core(lambda c: c.execute(update(_DELIVERIES).where(*dead).values(fresh)).rowcount)
        wake(self._database, [ALERTS])
        return again

    def about(self, facility: FacilityId, image_id: ImageId) -> list[Told]:
        """See the port."""
        query = _records().add_columns(_ENDPOINTS.c.kind, _ENDPOINTS.c.target)
        query = query.where(_EVENTS.c.image_id == image_id, _EVENTS.c.facility_id == facility)

        def work(connection: Connection) -> list[Told]:
            rows = connection.execute(query.order_by(_DELIVERIES.c.created_at, _DELIVERIES.c.delivery_id)).all()
            these = _ATTEMPTS.c.delivery_id.in_([row.delivery_id for row in rows])
            tries = connection.execute(select(_ATTEMPTS).where(these).order_by(_ATTEMPTS.c.sequence)) if rows else ()
            logged: defaultdict[int, list[LoggedAttempt]] = defaultdict(list)
            for one in map(_logged, tries):
                logged[one.delivery_id].append(one)
            return [_told(row, logged[row.delivery_id]) for row in rows]

        return self._database.core(work)

    def log(self, endpoint_id: UUID, limit: int) -> Sequence[LoggedAttempt]:
        """See the port."""
        query = select(_ATTEMPTS).where(_ATTEMPTS.c.endpoint_id == endpoint_id).order_by(_ATTEMPTS.c.sequence.desc())
        return self._database.core(lambda c: [_logged(row) for row in c.execute(query.limit(limit))])

    def waiting(self) -> tuple[int, float]:
        """See the port."""
        oldest = func.extract("epoch", _NOW - func.min(_DELIVERIES.c.due_at))
        enabled = select(_ENDPOINTS.c.endpoint_id).where(_ENDPOINTS.c.enabled)
        due = (_PENDING, _DELIVERIES.c.due_at <= _NOW, _DELIVERIES.c.endpoint_id.in_(enabled))
        query = select(func.count(), func.coalesce(oldest, 0)).where(*due)
        count, age_s = self._database.core(lambda connection: connection.execute(query).one())
        return count, float(age_s)

    def forget(self, ended_before: timedelta, limit: int) -> int:
        """See the port."""
        old = _DELIVERIES.c.ended_at < _NOW - ended_before
        chosen = select(_DELIVERIES.c.delivery_id).where(old).order_by(_DELIVERIES.c.ended_at).limit(limit)
        gone = _DELIVERIES.delete().where(_DELIVERIES.c.delivery_id.in_(chosen))
        return self._database.core(lambda connection: connection.execute(gone).rowcount)


def _settled(settlement: Settlement) -> dict[str, Any]:
    values: dict[str, Any] = {
        "state": settlement.state,
        "attempts": _DELIVERIES.c.attempts + 1,
        "token": None,
        "leased_until": None,
        "reason": storable(settlement.reason),
    }
    if settlement.state is DeliveryState.PENDING:
        return values | {"due_at": _NOW + timedelta(seconds=settlement.delay_s or 0)}
    return values | {"ended_at": _NOW}


def _endpoint(connection: Connection, delivery: Delivery, attempt: Attempt, settlement: Settlement) -> None:
    """What the attempt says about the endpoint."""
    endpoint = delivery.subscription
    this = update(_ENDPOINTS).where(_ENDPOINTS.c.endpoint_id == endpoint.endpoint_id)
    if attempt.ending is Ending.DELIVERED:
        connection.execute(this.values(failing_since=None, failures=0, last_success_at=_NOW))
        return
    if settlement.disable:
        _disable(connection, endpoint, this, attempt, settlement)
    failing_since = case((_ENDPOINTS.c.failing_since.is_(None), _NOW), else_=_ENDPOINTS.c.failing_since)
    connection.execute(this.values(failing_since=failing_since, failures=_ENDPOINTS.c.failures + 1))


def _disable(
    connection: Connection, endpoint: Subscription, this: Update, attempt: Attempt, settlement: Settlement
) -> None:
    reason = storable(settlement.disable)
    disabled = this.where(_ENDPOINTS.c.enabled).values(enabled=False, reason=reason)
    if attempt.ending is not Ending.GONE:
        # Not where another delivery has arrived since this one was claimed: then it does not fail since so long.
        disabled = disabled.where(_ENDPOINTS.c.failing_since.is_not_distinct_from(endpoint.failing_since))
    if connection.execute(disabled).rowcount:
        others = update(_DELIVERIES).where(_PENDING, _DELIVERIES.c.endpoint_id == endpoint.endpoint_id)
        dead = {"state": DeliveryState.DEAD, "token": None, "leased_until": None, "ended_at": _NOW, "reason": _DISABLED}
        connection.execute(others.values(dead))
        body = {"reason": reason}
        record(connection, endpoint.facility, SYSTEM, "hook.disabled", str(endpoint.endpoint_id), body)
        if settlement.alert is not None:
            raise_alert(connection, endpoint.facility, settlement.alert)


def _delivery(row: Any, owner: str) -> Delivery:
    message = HookMessage(
        message_id=row.message_id,
        type=row.change,
        payload=row.payload.encode(),
        title=row.title,
        text=row.body,
        link=row.link,
        severity=row.severity,
        trace=row.trace or "",
    )
    return Delivery(
        row.delivery_id, subscription(row), message, row.attempts, owner, row.token, row.due_at, row.said_at
    )


def _log_row(delivery: Delivery, attempt: Attempt) -> dict[str, Any]:
    return {
        "delivery_id": delivery.delivery_id,
        "endpoint_id": delivery.subscription.endpoint_id,
        "attempt": delivery.attempts + 1,
        "at": _NOW,
        "worker": delivery.owner,
        "ending": attempt.ending,
        "status": attempt.status,
        "reason": attempt.reason,
        "detail": storable(attempt.detail),
        "request_head": storable(attempt.request_head),
        "response_head": storable(attempt.response_head),
        "elapsed_ms": attempt.elapsed_ms,
    }


def _logged(row: Row[Any]) -> LoggedAttempt:
    result = Attempt(
        ending=Ending(row.ending),
        status=row.status,
        reason=row.reason,
        detail=row.detail,
        retry_after_s=None,
        request_head=row.request_head,
        response_head=row.response_head,
        elapsed_ms=row.elapsed_ms,
    )
    return LoggedAttempt(row.delivery_id, row.attempt, row.at, row.worker, result)


def _told(row: Row[Any], attempts: Sequence[LoggedAttempt]) -> Told:
    kind = HookKind(row.kind)
    return Told(_record(row), kind, shown_target(kind, row.target), tuple(attempts))


def _records() -> Any:
    joined = _DELIVERIES.join(_EVENTS, _EVENTS.c.message_id == _DELIVERIES.c.message_id)
    joined = joined.join(_ENDPOINTS, _ENDPOINTS.c.endpoint_id == _DELIVERIES.c.endpoint_id)
    return select(_DELIVERIES, _EVENTS.c.change).select_from(joined)


def _record(row: Row[Any]) -> DeliveryRecord:
    state = DeliveryState(row.state)
    return DeliveryRecord(
        row.delivery_id,
        row.endpoint_id,
        row.message_id,
        row.change,
        state,
        row.attempts,
        row.created_at,
        row.due_at if state is DeliveryState.PENDING else None,
        row.ended_at,
        row.reason,
    )
