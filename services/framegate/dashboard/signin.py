"""Logging in, and choosing a password by invitation."""

import ipaddress
from typing import Final
from uuid import uuid4

from starlette.concurrency import run_in_threadpool

from framegate.dashboard.deps import PageDependencies
from framegate.dashboard.hashing import Hashing
from framegate.kernel.people import IDLE, LASTS, LONGEST_PASSWORD, hash_token, is_person_name, new_token
from framegate.ports.people import Login, Person
from framegate.web.limits import FailureLimit
from framegate.web.problems import Problem

#: Failures within five minutes of one name from one address, and of one address.
FAILURES_OF_NAME: Final = 10
FAILURES_OF_ADDRESS: Final = 30
_MOST_AGENT: Final = 200


class SignIn:
    """For one event loop."""

    def __init__(self, deps: PageDependencies, hashing: Hashing) -> None:
        self._deps, self._hashing = deps, hashing
        # Nobody is locked out: whoever guesses at a name slows down nobody but those behind the same address.
        self._of_name = FailureLimit(deps.clock, FAILURES_OF_NAME)
        self._of_address = FailureLimit(deps.clock, FAILURES_OF_ADDRESS)

    async def log_in(self, name: str, password: str, address: str, agent: str) -> str | None:
        """The token of a new login; None: name or password is wrong, or the person is disabled, which is never told.

        Raises `Problem` after too many failures.
        """
        name = name.strip().lower()
        network = _network(address)
        self._count(f"{name[:64]} {network}", network)
        # What cannot be a name or a password is looked for all the same, as somebody who is not there.
        wanted = name if is_person_name(name) else "-"
        person = await run_in_threadpool(self._deps.people.find_person, wanted)
        password_hash = person.password_hash if person is not None and person.disabled_at is None else None
        right, better = await self._hashing.verify(password[: LONGEST_PASSWORD + 1], password_hash)
        if person is None or password_hash is None or not right:
            await run_in_threadpool(self._deps.logins.note_failure, wanted)
            return None
        if better is not None:
            await run_in_threadpool(self._deps.people.rehash, person.name, password_hash, better)
        token = await self._open(person, address, agent)
        if token is not None:
            self._of_name.take_back(f"{name[:64]} {network}")
            self._of_address.take_back(network)
        return token

    async def invited(self, token: str) -> Person:
        """Raises `Problem` not-found when the invitation does not hold."""
        hashed = hash_token(self._deps.pepper, token)
        now = self._deps.clock.now()
        person = await run_in_threadpool(self._deps.people.invited, hashed, now) if hashed is not None else None
        if person is None:
            raise _gone()
        return person

    async def accept(self, token: str, password: str) -> None:
        """Sets the password. Raises `Problem` not-found when somebody was faster."""
        hashed = hash_token(self._deps.pepper, token)
        password_hash = await self._hashing.hash(password)
        now = self._deps.clock.now()
        if hashed is None or await run_in_threadpool(self._deps.people.accept, hashed, password_hash, now) is None:
            raise _gone()

    def _count(self, of_name: str, network: str) -> None:
        # Counted before the password is looked at: many at once are as many as one after the other.
        wait_s = max(self._of_name.fail(of_name), self._of_address.fail(network))
        if wait_s:
            raise Problem(
                "rate-limited", "Too many failed logins. Wait a few minutes.", headers={"Retry-After": str(wait_s)}
            )

    async def _open(self, person: Person, address: str, agent: str) -> str | None:
        now, token = self._deps.clock.now(), new_token()
        hashed = hash_token(self._deps.pepper, token)
        assert hashed is not None  # noqa: S101 (it is one of ours)
        login = Login(uuid4(), person.name, now, now, now + LASTS, address, agent[:_MOST_AGENT])
        await run_in_threadpool(self._deps.logins.forget, now - LASTS, now - IDLE)
        return token if await run_in_threadpool(self._deps.logins.open_login, login, hashed) else None


def _gone() -> Problem:
    return Problem("not-found", "This invitation was used or has expired: ask for a new one.")


def _network(address: str) -> str:
    """Of IPv6 the /64, which is what one household or server has for itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
