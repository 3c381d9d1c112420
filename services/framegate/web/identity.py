"""Who is calling: API keys, checked without a query while they are warm."""

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from framegate.kernel.apikey import hash_secret, parse_key
from framegate.kernel.ids import FacilityId
from framegate.ports.clock import Clock
from framegate.ports.store import ApiKey, Keys
from framegate.web.limits import FailureLimit
from framegate.web.problems import Problem, unauthenticated

#: How long a revocation may go unnoticed.
FRESH_S: Final = 5.0
_MOST_KEYS = 4096
_NOBODY = bytes(32)  # what the secret of an unknown key is compared with


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated key, or a `person`, then with those facilities in which the role has the scope of the route.

    `facilities` are all it may see, `disabled` those of them that are switched off.
    """

    key_id: str
    name: str
    scopes: frozenset[str]
    facilities: frozenset[FacilityId]
    disabled: frozenset[FacilityId] = frozenset()
    person: bool = False

    @property
    def actor(self) -> str:
        """As the audit and incidents call it: names can be given twice, ids say little."""
        return self.name if self.person else f"{self.name} ({self.key_id})"

    def facility(self, wanted: str | None) -> FacilityId:
        """The one facility this request is about. Raises `Problem`; a foreign one looks like an absent one."""
        if wanted is None:
            if len(self.facilities) != 1:
                raise Problem(
                    "invalid-parameter",
                    "facility: you serve several facilities; say which one",
                    errors=({"name": "facility", "detail": "is needed with several facilities"},),
                )
            (found,) = self.facilities
        elif wanted not in self.facilities:
            raise Problem("not-found")
        else:
            found = FacilityId(wanted)
        if found in self.disabled:
            raise Problem("facility-disabled")
        return found

    def visible(self, wanted: str | None) -> frozenset[FacilityId]:
        """The facilities a reading request covers: the one it names, or all that are enabled."""
        if wanted is not None:
            return frozenset({self.facility(wanted)})
        if self.facilities and self.facilities <= self.disabled:
            raise Problem("facility-disabled")
        return self.facilities - self.disabled

    def is_elsewhere(self, facilities: Set[FacilityId]) -> bool:
        """Whether what belongs to these facilities also belongs to some that are not the caller's."""
        return not facilities <= self.facilities


class Authenticator:
    """Keeps what `Keys` says for `FRESH_S`. For one event loop; queries run in worker threads."""

    def __init__(self, keys: Keys, pepper: bytes, clock: Clock, failures: FailureLimit | None = None) -> None:
        """`failures` None: addresses are not watched (a box that listens on loopback only)."""
        self._keys, self._pepper, self._clock, self._failures = keys, pepper, clock, failures
        self._known: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[ApiKey | None]] = {}

    async def principal(self, request: Request) -> Principal:
        """Raises `Problem`: unauthenticated, or rate-limited after too many failures from one address."""
        parsed = _bearer(request)
        if parsed is None:
            raise self._refusal(request, "Send `Authorization: Bearer <key>`; this is no complete key.")
        key_id, secret = parsed
        found = await self._find(key_id)
        # An unknown key costs the same work, so that time does not tell which keys exist.
        matches = hmac.compare_digest(
            hash_secret(self._pepper, secret), found.secret_hash if found is not None else _NOBODY
        )
        if found is None or not matches:
            raise self._refusal(request, "This key is not known.")
        if found.revoked_at is not None or found.expires_at <= self._clock.now():
            raise self._refusal(request, "This key is expired or was revoked.")
        return Principal(found.key_id, found.name, found.scopes, found.facilities, found.disabled_facilities)

    async def _find(self, key_id: str) -> ApiKey | None:
        fresh_since, key = self._known.get(key_id, (0.0, None))
        if key is not None and self._clock.monotonic() - fresh_since < FRESH_S:
            return key
        asking = self._asking.get(key_id)
        if asking is None:
            # Requests that arrive while the query runs wait for it instead of asking again.
            asking = self._asking[key_id] = asyncio.ensure_future(self._ask(key_id))
        return await asyncio.shield(asking)

    async def _ask(self, key_id: str) -> ApiKey | None:
        try:
            asked_at = self._clock.monotonic()
            found = await run_in_threadpool(self._keys.find_key, key_id)
            self._known.pop(key_id, None)
            if found is not None:
                self._known[key_id] = (asked_at, found)
                if len(self._known) > _MOST_KEYS:
                    self._known.popitem(last=False)
            return found
        finally:
            del self._asking[key_id]

    def _refusal(self, request: Request, detail: str) -> Problem:
        """A key that is right always passes: behind one router, one old camera must not lock out the others."""
        address = request.client.host if request.client else "unknown"
        wait_s = self._failures.fail(address) if self._failures else 0
        if wait_s:
            return Problem(
                "rate-limited",
                "Too many failed authentications from this address.",
                headers={"Retry-After": str(wait_s)},
            )
        return unauthenticated(detail)


def _bearer(request: Request) -> tuple[str, str] | None:
    values = request.headers.getlist("authorization")
    scheme, _, text = (values[0] if len(values) == 1 else "").partition(" ")
    return parse_key(text.strip()) if scheme.lower() == "bearer" else None
