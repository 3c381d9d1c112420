"""The audit: who did what to what. Appended to, never changed; a trigger sees to that, and seals prove it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, func, insert, select, text

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.database import Database, clock_time
from framegate.adapters.postgres.settled import AUDIT, Settled
from framegate.kernel.audit import AuditEntry, Seal, seal_entries
from framegate.kernel.canonical import canonical_json
from framegate.kernel.ids import FacilityId
from framegate.ports.audit import AuditFilter

_AUDIT, _SEALS = schema.audit, schema.audit_seals
_LOCK: Final = "hashtext('audit-seals')"


def record(
    connection: Connection, facility: str, actor: str, action: str, what: str, body: Mapping[str, Any] | None = None
) -> None:
    """Appends one entry, in the transaction of what it tells about."""
    entry = {"facility_id": facility, "actor": actor, "action": action, "object": what, "body": dict(body or {})}
    connection.execute(insert(schema.audit), entry)


def record_once(
    connection: Connection,
    facility: str,
    actor: str,
    action: str,
    what: str,
    body: Mapping[str, Any],
    within: timedelta,
) -> bool:
    """See `AuditLog.add_once`. Who adds the same at once waits until this transaction is over."""
    same = canonical_json([facility, actor, action, what, body]).decode()
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(same, 0))))
    column = _AUDIT.c
    fields = ((column.facility_id, facility), (column.actor, actor), (column.action, action), (column.object, what))
    late = column.at > func.clock_timestamp() - within
    query = select(column.sequence).where(*(one == value for one, value in fields), column.body == dict(body), late)
    if connection.execute(query.order_by(column.sequence.desc()).limit(1)).one_or_none() is not None:
        return False
    record(connection, facility, actor, action, what, body)
    return True


class PostgresAuditLog:
    """`AuditLog`. Safe for use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database, self._settled = database, Settled(AUDIT)

    def add(self, facility: FacilityId, actor: str, action: str, what: str, body: Mapping[str, Any]) -> AuditEntry:
        """See the port."""
        values = {"facility_id": facility, "actor": actor, "action": action, "object": what, "body": dict(body)}
        adding = insert(_AUDIT).values(values).returning(*_AUDIT.c)
        return self._database.core(lambda connection: _entry(connection.execute(adding).one()))

    def add_once(
        self, facility: FacilityId, actor: str, action: str, what: str, body: Mapping[str, Any], within: timedelta
    ) -> bool:
        """See the port."""
        return self._database.core(lambda c: record_once(c, facility, actor, action, what, body, within))

    def entries(self, where: AuditFilter, limit: int, *, newest: bool = False) -> list[AuditEntry]:
        """See the port."""
        order = _AUDIT.c.sequence.desc() if newest else _AUDIT.c.sequence
        query = _matching(where).order_by(order).limit(limit)
        return self._database.core(lambda connection: [_entry(row) for row in connection.execute(query)])

    def seals(self, after: int, limit: int) -> list[Seal]:
        """See the port."""
        query = select(_SEALS).where(_SEALS.c.number > after).order_by(_SEALS.c.number).limit(limit)
        return self._database.core(lambda connection: [_seal(row) for row in connection.execute(query)])

    def seal_of(self, sequence: int) -> Seal | None:
        """See the port."""
        query = select(_SEALS).where(_SEALS.c.last_sequence >= sequence).order_by(_SEALS.c.last_sequence).limit(1)
        found = self._database.core(lambda connection: connection.execute(query).one_or_none())
        return _seal(found) if found is not None and found.first_sequence <= sequence else None

    def seal(self, limit: int) -> int:
        """See the port."""
        settled = self._database.run(self._settled.upto)

        def work(connection: Connection) -> int:
            if not connection.execute(text(f"select pg_try_advisory_xact_lock({_LOCK})")).scalar_one():
                return 0
            before = _newest(connection)
            where = AuditFilter(after=before.last if before else 0, until=settled)
            rows = connection.execute(_matching(where).order_by(_AUDIT.c.sequence).limit(limit))
            entries = [_entry(row) for row in rows]
            if entries:
                seal = seal_entries(before, entries, clock_time(connection))
                connection.execute(insert(_SEALS), _row(seal))
            return len(entries)

        return self._database.core(work)

    def unsealed_s(self) -> float:
        """See the port."""
        last = select(func.coalesce(func.max(_SEALS.c.last_sequence), 0)).scalar_subquery()
        oldest = select(_AUDIT.c.at).where(_AUDIT.c.sequence > last).order_by(_AUDIT.c.sequence).limit(1)
        age = select(func.extract("epoch", func.clock_timestamp() - oldest.scalar_subquery()))
        return max(0.0, float(self._database.core(lambda connection: connection.execute(age).scalar_one()) or 0))


def _newest(connection: Connection) -> Seal | None:
    row = connection.execute(select(_SEALS).order_by(_SEALS.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else _seal(row)


def _matching(where: AuditFilter) -> Select[Any]:
    column = _AUDIT.c
    query = select(_AUDIT).where(column.sequence > where.after)
    if where.facilities is not None:
        query = query.where(column.facility_id.in_(sorted(where.facilities)))
    if where.until is not None:
        query = query.where(column.sequence <= where.until)
    if where.since is not None:
        query = query.where(column.at >= where.since)
    equal = ((column.object, where.object), (column.actor, where.actor), (column.id, where.id))
    return query.where(*(one == value for one, value in equal if value is not None))


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        row.sequence, row.id, FacilityId(row.facility_id), row.actor, row.action, row.object, row.body, row.at
    )


def _seal(row: Any) -> Seal:
    leaves = bytes(row.leaves)
    return Seal(
        number=row.number,
        first=row.first_sequence,
        last=row.last_sequence,
        missing=_gaps(row.missing),
        leaves=tuple(leaves[at : at + 32] for at in range(0, len(leaves), 32)),
        root=bytes(row.root),
        previous=bytes(row.previous),
        sealed_at=row.sealed_at,
        hash=bytes(row.hash),
    )


def _gaps(stored: Any) -> tuple[tuple[int, int], ...]:
    """What is no list of ranges was changed past the rules; it is told as a range that no seal has."""
    try:
        return tuple((int(start), int(end)) for start, end in stored)
    except (TypeError, ValueError):
        return ((1, 0),)


def _row(seal: Seal) -> dict[str, Any]:
    return {
        "number": seal.number,
        "first_sequence": seal.first,
        "last_sequence": seal.last,
        "missing": [list(gap) for gap in seal.missing],
        "leaves": b"".join(seal.leaves),
        "root": seal.root,
        "previous": seal.previous,
        "sealed_at": seal.sealed_at,
        "hash": seal.hash,
    }
