"""Making API keys, which are shown once and stored only as a hash."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from framegate.bootstrap import Stores, read_pepper
from framegate.kernel.apikey import hash_secret, new_key
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import FacilityId, is_name
from framegate.kernel.states import DEFAULT_SCOPES, Scope
from framegate.ports.store import ApiKey
from framegate.settings import Settings


def parse_scopes(texts: Iterable[str]) -> frozenset[str]:
    """Comma- or space-separated scopes; the usual ones when there are none."""
    names = {name for text in texts for name in text.replace(",", " ").split()}
    unknown = names - {str(scope) for scope in Scope}
    if unknown:
        known = ", ".join(Scope)
        raise ConfigurationError(f"unknown scope {', '.join(sorted(unknown))}; the scopes are: {known}")
    return frozenset(names) or frozenset(map(str, DEFAULT_SCOPES))


def rotate_key(stores: Stores, settings: Settings, key_id: str, overlap_h: float, days: int) -> str:
    """The text of a key that may do the same; the old one is valid for `overlap_h` hours more."""
    old = stores.keys.find_key(key_id)
    now = datetime.now(UTC)
    if old is None or old.revoked_at is not None or old.expires_at <= now:
        raise ConfigurationError(f"there is no valid key {key_id}: 'framegate keys list' shows them")
    text, new_id, secret = new_key()
    new = replace(
        old,
        key_id=new_id,
        secret_hash=hash_secret(read_pepper(settings), secret),
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    if not stores.keys.replace_key(key_id, new, now + timedelta(hours=overlap_h), "operator"):
        raise ConfigurationError(f"{key_id} was revoked meanwhile: make a new key with 'framegate keys create'")
    return text


def create_key(
    stores: Stores, settings: Settings, name: str, scopes: frozenset[str], facilities: Iterable[str], days: int
) -> str:
    """The key's text; it cannot be shown again."""
    sites = frozenset(map(FacilityId, facilities))
    for site in sites:
        if not is_name(site):
            raise ConfigurationError(f"{site!r} cannot name a facility: use up to 64 letters, digits and . _ : -")
    text, key_id, secret = new_key()
    now = datetime.now(UTC)
    stores.keys.add_key(
        ApiKey(
            key_id=key_id,
            name=name,
            secret_hash=hash_secret(read_pepper(settings), secret),
            scopes=scopes,
            facilities=sites,
            created_at=now,
            expires_at=now + timedelta(days=days),
            revoked_at=None,
        ),
        "operator",
    )
    return text
