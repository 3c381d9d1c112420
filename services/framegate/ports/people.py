"""People who log in, one Protocol for each consumer. Every method of the stores may raise `DependencyUnavailable`.

What is only a hash here is a hash wherever it is stored: passwords by `Passwords`, tokens by `kernel.people.hash_token`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from framegate.kernel.ids import DEFAULT_FACILITY, FacilityId
from framegate.kernel.people import Role


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may log in."""

    name: str
    roles: Mapping[FacilityId, Role]
    created_at: datetime
    password_hash: str | None = None  #: None: was never chosen
    disabled_at: datetime | None = None
    disabled_facilities: frozenset[FacilityId] = frozenset()


@dataclass(frozen=True, slots=True)
class Login:
    """One browser in which a person is logged in. `seen_at` is coarse."""

    login_id: UUID
    name: str  #: of the person
    opened_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    agent: str = ""  #: what the browser calls itself


def places_of(person: Person | None) -> list[FacilityId]:
    """Where what happens to a person is audited; None: under a name that nobody has."""
    return (sorted(person.roles) if person is not None else []) or [DEFAULT_FACILITY]


class People(Protocol):
    """Everything is audited in the facilities of the person."""

    def add_person(self, person: Person, actor: str) -> None:
        """Creates the facilities it names when they do not exist. Raises ValueError for a name that is taken."""
        ...

    def find_person(self, name: str) -> Person | None:
        """Also disabled ones."""
        ...

    def people(self) -> list[Person]:
        """All, ordered by name."""
        ...

    def set_password(self, name: str, password_hash: str, actor: str) -> bool:
        """Ends all logins and the invitation. False when there is nobody enabled of this name."""
        ...

    def rehash(self, name: str, old: str, new: str) -> None:
        """The same password, hashed anew; nothing when it is not `old` any more. Not audited."""
        ...

    def set_role(self, name: str, facility: FacilityId, role: Role | None, actor: str) -> bool:
        """Ends all logins, so that no page shows what held before, and the invitation, whose link somebody in another
        facility may know. None takes the role away.

        False when there is no such person.
        """
        ...

    def disable(self, name: str, at: datetime, actor: str) -> bool:
        """Ends all logins and the invitation; the first time stays. False when there is no such person."""
        ...

    def enable(self, name: str, actor: str) -> bool:
        """Lets somebody log in again who was disabled, with the password that they had. False when there is no such person."""
        ...

    def invite(self, name: str, token_hash: bytes, expires_at: datetime, actor: str) -> bool:
        """In the place of an earlier invitation. False when there is nobody enabled of this name."""
        ...

    def invited(self, token_hash: bytes, now: datetime) -> Person | None:
        """Whom this invitation is for, while it holds."""
        ...

    def accept(self, token_hash: bytes, password_hash: str, now: datetime) -> str | None:
        """Sets the password, once: the name of the person, or None when the invitation holds no more.

        Ends all logins.
        """
        ...


class Logins(Protocol):
    """Open logins. Those that have ended are not kept; that they were opened and ended by the person is audited."""

    def open_login(self, login: Login, token_hash: bytes) -> bool:
        """False when the person is disabled meanwhile."""
        ...

    def note_failure(self, name: str) -> None:
        """Somebody tried to log in under this name and could not. Audited once an hour; as `-` where nobody has the name,
        after the same work.
        """
        ...

    def find_login(self, token_hash: bytes) -> tuple[Login, Person] | None:
        """Also one whose time is over."""
        ...

    def touch(self, login_id: UUID, at: datetime) -> None:
        """It was used."""
        ...

    def logins(self, name: str) -> list[Login]:
        """Newest first; also those whose time is over."""
        ...

    def end_login(self, name: str, login_id: UUID) -> bool:
        """False when this person has no such login."""
        ...

    def end_logins(self, name: str, but: UUID | None = None) -> int:
        """All of this person, except one; how many."""
        ...

    def forget(self, opened_before: datetime, seen_before: datetime) -> int:
        """Removes those whose time is over; how many."""
        ...


class Passwords(Protocol):
    """Hashing that is slow on purpose, and needs memory: never in the event loop, and few at a time."""

    def hash(self, password: str) -> str:
        """With a salt of its own."""
        ...

    def verify(self, password: str, password_hash: str) -> tuple[bool, str | None]:
        """Whether it is right, and if so its new hash where the old one is weaker than what `hash` makes."""
        ...
