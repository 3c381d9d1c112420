"""People and their logins in memory."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from framegate.adapters.memory.state import MemoryState
from framegate.kernel.ids import FacilityId
from framegate.kernel.incidents import SYSTEM
from framegate.kernel.people import FAILED_FOR, NOBODY, Role
from framegate.ports.people import Login, Person, places_of


class MemoryPeople:
    """`People` and `Logins`. Safe for use from several threads."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self._people: dict[str, Person] = {}
        self._invitations: dict[str, tuple[bytes, datetime]] = {}
        self._logins: dict[UUID, tuple[Login, bytes]] = {}

    def add_person(self, person: Person, actor: str) -> None:
        """Raises ValueError for a name that is taken."""
        with self._state.lock:
            if person.name in self._people:
                raise ValueError(f"there is a person {person.name} already")
            self._people[person.name] = replace(person, roles=dict(person.roles))
            for facility in places_of(person):
                role = person.roles.get(facility)
                self._state.record(facility, actor, "person.added", person.name, {"role": role and str(role)})

    def find_person(self, name: str) -> Person | None:
        """Also disabled ones."""
        return self._people.get(name)

    def people(self) -> list[Person]:
        """Ordered by name."""
        with self._state.lock:
            return [self._people[name] for name in sorted(self._people)]

    def set_password(self, name: str, password_hash: str, actor: str) -> bool:
        """Ends all logins and the invitation."""
        with self._state.lock:
            person = self._enabled(name)
            if person is None:
                return False
            self._people[name] = replace(person, password_hash=password_hash)
            self._end_all(name)
            self._audit(person, actor, "person.password-set")
            return True

    def rehash(self, name: str, old: str, new: str) -> None:
        """Nothing when it is not `old` any more."""
        with self._state.lock:
            person = self._people.get(name)
            if person is not None and person.password_hash == old:
                self._people[name] = replace(person, password_hash=new)

    def set_role(self, name: str, facility: FacilityId, role: Role | None, actor: str) -> bool:
        """Nothing is audited or ended when it is so already."""
        with self._state.lock:
            person = self._people.get(name)
            if person is None:
                return False
            if person.roles.get(facility) == role:
                return True
            kept = {where: what for where, what in person.roles.items() if where != facility}
            self._people[name] = replace(person, roles=kept | ({facility: role} if role else {}))
            self._end_all(name)
            self._state.record(facility, actor, "person.role-set", name, {"role": role and str(role)})
            return True

    def disable(self, name: str, at: datetime, actor: str) -> bool:
        """The first time stays."""
        with self._state.lock:
            person = self._people.get(name)
            if person is None:
                return False
            if person.disabled_at is None:
                self._people[name] = replace(person, disabled_at=at)
                self._end_all(name)
                self._audit(person, actor, "person.disabled")
            return True

    def enable(self, name: str, actor: str) -> bool:
        """Nothing is audited when they are not disabled."""
        with self._state.lock:
            person = self._people.get(name)
            if person is not None and person.disabled_at is not None:
                self._people[name] = replace(person, disabled_at=None)
                self._audit(person, actor, "person.enabled")
            return person is not None

    def invite(self, name: str, token_hash: bytes, expires_at: datetime, actor: str) -> bool:
        """In the place of an earlier invitation."""
        with self._state.lock:
            person = self._enabled(name)
            if person is None:
                return False
            self._invitations[name] = token_hash, expires_at
            self._audit(person, actor, "person.invited")
            return True

    def invited(self, token_hash: bytes, now: datetime) -> Person | None:
        """While it holds."""
        with self._state.lock:
            found = (name for name, (held, until) in self._invitations.items() if held == token_hash and until > now)
            name = next(found, None)
            return self._people[name] if name is not None else None

    def accept(self, token_hash: bytes, password_hash: str, now: datetime) -> str | None:
        """Once."""
        with self._state.lock:
            person = self.invited(token_hash, now)
            if person is None:
                return None
            self._people[person.name] = replace(person, password_hash=password_hash)
            self._end_all(person.name)
            self._audit(person, person.name, "person.password-set")
            return person.name

    def open_login(self, login: Login, token_hash: bytes) -> bool:
        """False when the person is disabled meanwhile."""
        with self._state.lock:
            person = self._enabled(login.name)
            if person is None:
                return False
            self._logins[login.login_id] = login, token_hash
            self._audit(person, person.name, "login.opened", {"login": str(login.login_id)})
            return True

    def note_failure(self, name: str) -> None:
        """See the port."""
        with self._state.lock:
            person = self._people.get(name)
            what = NOBODY if person is None else name
            for facility in places_of(person):
                self._state.record_once(facility, SYSTEM, "login.failed", what, {}, FAILED_FOR)

    def find_login(self, token_hash: bytes) -> tuple[Login, Person] | None:
        """Also one whose time is over."""
        with self._state.lock:
            login = next((login for login, held in self._logins.values() if held == token_hash), None)
            return (login, self._people[login.name]) if login is not None else None

    def touch(self, login_id: UUID, at: datetime) -> None:
        """It was used."""
        with self._state.lock:
            if login_id in self._logins:
                login, held = self._logins[login_id]
                self._logins[login_id] = replace(login, seen_at=at), held

    def logins(self, name: str) -> list[Login]:
        """Newest first."""
        with self._state.lock:
            found = [login for login, _ in self._logins.values() if login.name == name]
            return sorted(found, key=lambda login: (login.opened_at, login.login_id), reverse=True)

    def end_login(self, name: str, login_id: UUID) -> bool:
        """False when this person has no such login."""
        with self._state.lock:
            if login_id not in self._logins or self._logins[login_id][0].name != name:
                return False
            self._end(name, login_id)
            return True

    def end_logins(self, name: str, but: UUID | None = None) -> int:
        """How many."""
        with self._state.lock:
            ended = [login.login_id for login in self.logins(name) if login.login_id != but]
            for login_id in ended:
                self._end(name, login_id)
            return len(ended)

    def _end(self, name: str, login_id: UUID) -> None:
        del self._logins[login_id]
        self._audit(self._people[name], name, "login.ended", {"login": str(login_id)})

    def forget(self, opened_before: datetime, seen_before: datetime) -> int:
        """How many."""
        with self._state.lock:
            over = [
                login.login_id
                for login, _ in self._logins.values()
                if login.opened_at <= opened_before or login.seen_at <= seen_before
            ]
            for login_id in over:
                del self._logins[login_id]
            return len(over)

    def _enabled(self, name: str) -> Person | None:
        person = self._people.get(name)
        return person if person is not None and person.disabled_at is None else None

    def _end_all(self, name: str) -> None:
        self._invitations.pop(name, None)
        self._logins = {key: one for key, one in self._logins.items() if one[0].name != name}

    def _audit(self, person: Person, actor: str, action: str, body: Mapping[str, Any] | None = None) -> None:
        for facility in places_of(person):
            self._state.record(facility, actor, action, person.name, body or {})
