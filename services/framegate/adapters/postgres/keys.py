"""API keys; of their secrets only a keyed hash is here."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, true, update
from sqlalchemy.dialects.postgresql import array, insert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.cameras import ensure_facility
from framegate.adapters.postgres.database import Database
from framegate.kernel.ids import DEFAULT_FACILITY, FacilityId
from framegate.ports.store import ApiKey

_KEYS, _FACILITIES = schema.api_keys, schema.facilities


class PostgresKeys:
    """`Keys`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_key(self, key: ApiKey, actor: str) -> None:
        """Raises ValueError for an id that is taken."""
        self._database.core(lambda connection: _add(connection, key, actor))

    def find_key(self, key_id: str) -> ApiKey | None:
        """Also expired and revoked ones."""
        found = self._select(_KEYS.c.key_id == key_id)
        return found[0] if found else None

    def keys(self) -> list[ApiKey]:
        """Oldest first."""
        return self._select(true())

    def revoke_key(self, key_id: str, actor: str) -> bool:
        """True as well when it was revoked before; the first time stays."""

        def work(connection: Connection) -> bool:
            found = connection.execute(_query(_KEYS.c.key_id == key_id)).one_or_none()
            if found is None:
                return False
            valid = (_KEYS.c.key_id == key_id) & _KEYS.c.revoked_at.is_(None)
            if connection.execute(update(_KEYS).where(valid).values(revoked_at=func.clock_timestamp())).rowcount:
                _audit(connection, _key(found), actor, "key.revoked")
            return True

        return self._database.core(work)

    def replace_key(self, key_id: str, new: ApiKey, until: datetime, actor: str) -> bool:
        """The old one never holds longer than it would have."""

        def work(connection: Connection) -> bool:
            valid = (_KEYS.c.key_id == key_id) & _KEYS.c.revoked_at.is_(None)
            shortened = update(_KEYS).where(valid).values(expires_at=func.least(_KEYS.c.expires_at, until))
            if not connection.execute(shortened).rowcount:
                return False
            _add(connection, new, actor)
            old = connection.execute(_query(_KEYS.c.key_id == key_id)).one()
            _audit(connection, _key(old), actor, "key.replaced")
            return True

        return self._database.core(work)

    def _select(self, which: ColumnElement[bool]) -> list[ApiKey]:
        rows = self._database.core(lambda connection: connection.execute(_query(which)).all())
        return [_key(row) for row in rows]


def _add(connection: Connection, key: ApiKey, actor: str) -> None:
    for facility in sorted(key.facilities):
        ensure_facility(connection, facility)
    row = {
        "key_id": key.key_id,
        "name": key.name,
        "secret_hash": key.secret_hash,
        "scopes": sorted(key.scopes),
        "facilities": sorted(key.facilities),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
    if not connection.execute(insert(_KEYS).values(row).on_conflict_do_nothing()).rowcount:
        raise ValueError(f"there is a key {key.key_id} already")
    _audit(connection, key, actor, "key.added")


def _query(which: ColumnElement[bool]) -> Any:
    disabled = (
        select(func.coalesce(func.array_agg(_FACILITIES.c.id), array([], type_=_FACILITIES.c.id.type)))
        .where(~_FACILITIES.c.enabled, _FACILITIES.c.id == func.any(_KEYS.c.facilities))
        .scalar_subquery()
    )
    return select(_KEYS, disabled.label("disabled")).where(which).order_by(_KEYS.c.created_at, _KEYS.c.key_id)


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.key_id,
        row.name,
        bytes(row.secret_hash),
        frozenset(row.scopes),
        frozenset(map(FacilityId, row.facilities)),
        row.created_at,
        row.expires_at,
        row.revoked_at,
        frozenset(map(FacilityId, row.disabled)),
    )


def _audit(connection: Connection, key: ApiKey, actor: str, action: str) -> None:
    for facility in sorted(key.facilities) or [DEFAULT_FACILITY]:
        record(connection, facility, actor, action, key.key_id, {"name": key.name, "scopes": sorted(key.scopes)})
