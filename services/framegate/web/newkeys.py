"""Making API keys, which are shown once and stored only as a hash."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from framegate.kernel.apikey import hash_secret, new_key
from framegate.kernel.ids import FacilityId
from framegate.ports.store import ApiKey


def make_key(
    pepper: bytes, name: str, scopes: frozenset[str], facilities: Iterable[FacilityId], now: datetime, days: int
) -> tuple[str, ApiKey]:
    """The text, which cannot be shown again, and what is to be stored."""
    text, key_id, secret = new_key()
    expires = now + timedelta(days=days)
    return text, ApiKey(
        key_id, name, hash_secret(pepper, secret), scopes, frozenset(facilities), now, expires, revoked_at=None
    )


def successor(pepper: bytes, old: ApiKey, now: datetime, days: int) -> tuple[str, ApiKey]:
    """Likewise, of a key that may do the same."""
    text, key_id, secret = new_key()
    return text, replace(
        old,
        key_id=key_id,
        secret_hash=hash_secret(pepper, secret),
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
