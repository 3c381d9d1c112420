"""Endpoints of receivers."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.cameras import ensure_facility
from framegate.adapters.postgres.database import Database
from framegate.kernel.ids import FacilityId
from framegate.ports.deliveries import Subscription
from framegate.ports.hooks import HookKind

_ENDPOINTS, _DELIVERIES = schema.hook_endpoints, schema.hook_deliveries


class PostgresEndpoints:
    """`Endpoints`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_endpoint(self, new: Subscription, actor: str) -> None:
        """See the port."""

        def work(connection: Connection) -> None:
            ensure_facility(connection, new.facility)
            connection.execute(insert(_ENDPOINTS).values(_row(new)))
            _note(connection, new, actor, "hook.added")

        self._database.core(work)

    def endpoint(self, facilities: frozenset[FacilityId], endpoint_id: UUID) -> Subscription | None:
        """See the port."""
        found = self._database.core(lambda connection: _find(connection, endpoint_id))
        return found if found is not None and found.facility in facilities else None

    def endpoints(self, facilities: frozenset[FacilityId] | None = None) -> list[Subscription]:
        """See the port."""
        query = select(_ENDPOINTS).order_by(_ENDPOINTS.c.created_at, _ENDPOINTS.c.endpoint_id)
        if facilities is not None:
            query = query.where(_ENDPOINTS.c.facility_id.in_(facilities))
        return self._database.core(lambda connection: [subscription(row) for row in connection.execute(query)])

    def rotate(self, endpoint_id: UUID, actor: str) -> Subscription | None:
        """See the port."""
        changes = {"generation": _ENDPOINTS.c.generation + 1, "rotated_at": func.clock_timestamp()}
        return self._change(endpoint_id, actor, "hook.rotated", changes)

    def enable(self, endpoint_id: UUID, actor: str) -> Subscription | None:
        """See the port."""
        changes = {"enabled": True, "reason": "", "failing_since": None, "failures": 0}
        return self._change(endpoint_id, actor, "hook.enabled", changes)

    def _change(self, endpoint_id: UUID, actor: str, action: str, changes: dict[str, Any]) -> Subscription | None:
        def work(connection: Connection) -> Subscription | None:
            statement = update(_ENDPOINTS).where(_ENDPOINTS.c.endpoint_id == endpoint_id).values(changes)
            connection.execute(statement)
            found = _find(connection, endpoint_id)
            if found is not None:
                _note(connection, found, actor, action)
            return found

        return self._database.core(work)

    def remove(self, endpoint_id: UUID, actor: str) -> bool:
        """See the port."""

        def work(connection: Connection) -> bool:
            found = _find(connection, endpoint_id)
            if found is None:
                return False
            connection.execute(delete(_ENDPOINTS).where(_ENDPOINTS.c.endpoint_id == endpoint_id))
            _note(connection, found, actor, "hook.removed")
            return True

        return self._database.core(work)


def subscription(row: Row[Any]) -> Subscription:
    """From a row with all columns of the table."""
    return Subscription(
        row.endpoint_id,
        FacilityId(row.facility_id),
        HookKind(row.kind),
        row.target,
        frozenset(row.changes),
        row.min_severity,
        row.enabled,
        row.reason,
        row.generation,
        row.rotated_at,
        row.created_at,
        row.created_by,
        row.failing_since,
        row.failures,
        row.last_success_at,
    )


def _row(new: Subscription) -> dict[str, Any]:
    return {
        "endpoint_id": new.endpoint_id,
        "facility_id": new.facility,
        "kind": new.kind,
        "target": new.target,
        "changes": sorted(new.changes),
        "min_severity": new.min_severity,
        "enabled": new.enabled,
        "reason": new.reason,
        "generation": new.generation,
        "rotated_at": new.rotated_at,
        "created_at": new.created_at,
        "created_by": new.created_by,
        "failures": 0,
    }


def _find(connection: Connection, endpoint_id: UUID) -> Subscription | None:
    row = connection.execute(select(_ENDPOINTS).where(_ENDPOINTS.c.endpoint_id == endpoint_id)).one_or_none()
    return None if row is None else subscription(row)


def _note(connection: Connection, endpoint: Subscription, actor: str, action: str) -> None:
    # Not the target: the path of a Slack URL is a secret.
    body = {"kind": str(endpoint.kind), "generation": endpoint.generation}
    record(connection, endpoint.facility, actor, action, str(endpoint.endpoint_id), body)
