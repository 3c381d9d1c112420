"""Versions of each facility's policy."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, tuple_

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.cameras import ensure_facility
from framegate.adapters.postgres.database import Database
from framegate.kernel.ids import FacilityId
from framegate.ports.store import PolicyVersion, superseded

_POLICIES = schema.policies


class PostgresPolicies:
    """`Policies`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current_policy(self, facility: FacilityId) -> PolicyVersion | None:
        """The newest version."""
        return self._database.core(lambda connection: _current(connection, facility))

    def current_policies(self) -> list[PolicyVersion]:
        """Found by the primary key."""
        facility, version = _POLICIES.c.facility_id, _POLICIES.c.version
        numbers = select(facility, func.max(version)).group_by(facility)
        newest = select(_POLICIES).where(tuple_(facility, version).in_(numbers)).order_by(facility)
        return self._database.core(lambda connection: [_version(row) for row in connection.execute(newest)])

    def policy(self, facility: FacilityId, version: int) -> PolicyVersion | None:
        """By the primary key."""
        query = select(_POLICIES).where(_POLICIES.c.facility_id == facility, _POLICIES.c.version == version)
        row = self._database.core(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _version(row)

    def policy_history(self, facility: FacilityId, limit: int, before: int | None = None) -> list[PolicyVersion]:
        """Newest first."""
        query = select(_POLICIES).where(_POLICIES.c.facility_id == facility)
        if before is not None:
            query = query.where(_POLICIES.c.version < before)
        query = query.order_by(_POLICIES.c.version.desc()).limit(limit)
        return self._database.core(lambda connection: [_version(row) for row in connection.execute(query)])

    def add_policy(
        self, facility: FacilityId, document: Mapping[str, Any], actor: str, expected: int | None = None
    ) -> PolicyVersion:
        """Two who add at once get two versions, or one when they add the same; of two who expect, one is refused."""

        def work(connection: Connection) -> PolicyVersion:
            ensure_facility(connection, facility)
            current = _current(connection, facility)
            if current is not None and current.document == document:
                return current
            if expected is not None and expected != (current.version if current else 0):
                raise superseded(facility, expected, current)
            values = {
                "facility_id": facility,
                "version": current.version + 1 if current else 1,
                "document": dict(document),
                "created_at": func.clock_timestamp(),
                "created_by": actor,
            }
            # Whoever takes the same number at the same time loses in the primary key, and starts over.
            connection.execute(insert(_POLICIES).values(values))
            record(connection, facility, actor, "policy.added", str(values["version"]), document)
            added = _current(connection, facility)
            assert added is not None  # noqa: S101 (just inserted)
            return added

        return self._database.core(work)


def _current(connection: Connection, facility: FacilityId) -> PolicyVersion | None:
    query = select(_POLICIES).where(_POLICIES.c.facility_id == facility).order_by(_POLICIES.c.version.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _version(row)


def _version(row: Row[Any]) -> PolicyVersion:
    facility = FacilityId(row.facility_id)
    return PolicyVersion(facility, row.version, row.document, row.created_at, row.created_by)
