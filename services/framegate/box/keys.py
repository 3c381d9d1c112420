"""Making API keys, which are shown once and stored only as a hash."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from framegate.bootstrap import Stores, read_pepper
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import FacilityId, is_name
from framegate.kernel.states import DEFAULT_SCOPES, Scope
from framegate.settings import Settings
from framegate.web.newkeys import make_key, successor


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
    text, new = successor(read_pepper(settings), old, now, days)
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
    text, key = make_key(read_pepper(settings), name, scopes, sites, datetime.now(UTC), days)
    stores.keys.add_key(key, "operator")
    return text
