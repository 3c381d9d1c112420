"""The audit: who did what to what. Appended to, never changed; a trigger sees to that."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert

from framegate.adapters.postgres import schema


def record(
    connection: Connection, facility: str, actor: str, action: str, what: str, body: Mapping[str, Any] | None = None
) -> None:
    """Appends one entry, in the transaction of what it tells about."""
    entry = {"facility_id": facility, "actor": actor, "action": action, "object": what, "body": dict(body or {})}
    connection.execute(insert(schema.audit), entry)
