"""People and their logins; of passwords and tokens only hashes are here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record, record_once
from framegate.adapters.postgres.cameras import ensure_facility
from framegate.adapters.postgres.database import Database
from framegate.adapters.postgres.people_rows import (
    enabled_person,
    find_person,
    invited_person,
    locked_person,
    login_from_row,
    people_where,
)
from framegate.kernel.ids import FacilityId
from framegate.kernel.incidents import SYSTEM
from framegate.kernel.people import FAILED_FOR, NOBODY, Role
from framegate.ports.people import Login, Person, places_of

_PEOPLE, _ROLES, _INVITATIONS, _LOGINS = schema.people, schema.person_roles, schema.invitations, schema.logins


class PostgresPeople:
    """`People` and `Logins`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_person(self, person: Person, actor: str) -> None:
        """Raises ValueError for a name that is taken."""

        def work(connection: Connection) -> None:
            row = {
                "name": person.name,
                "password_hash": person.password_hash,
                "created_at": person.created_at,
                "disabled_at": person.disabled_at,
            }
            added = insert(_PEOPLE).values(row).on_conflict_do_nothing().returning(_PEOPLE.c.name)
            if connection.execute(added).one_or_none() is None:
                raise ValueError(f"there is a person {person.name} already")
            for facility, role in sorted(person.roles.items()):
                ensure_facility(connection, facility)
                _put_role(connection, person.name, facility, role)
            for facility in places_of(person):
                # What the person may elsewhere is not this facility's to read.
                here = person.roles.get(facility)
                record(connection, facility, actor, "person.added", person.name, {"role": here and str(here)})

        self._database.core(work)

    def find_person(self, name: str) -> Person | None:
        """Also disabled ones."""
        return self._database.core(lambda connection: find_person(connection, name))

    def people(self) -> list[Person]:
        """Ordered by name."""
        return self._database.core(lambda connection: people_where(connection, true()))

    def set_password(self, name: str, password_hash: str, actor: str) -> bool:
        """Ends all logins and the invitation."""

        def work(connection: Connection) -> bool:
            person = enabled_person(connection, name)
            if person is not None:
                _set_password(connection, person, password_hash, actor)
            return person is not None

        return self._database.core(work)

    def rehash(self, name: str, old: str, new: str) -> None:
        """Nothing when it is not `old` any more."""
        same = (_PEOPLE.c.name == name) & (_PEOPLE.c.password_hash == old)
        self._database.core(
            lambda connection: connection.execute(update(_PEOPLE).where(same).values(password_hash=new))
        )

    def set_role(self, name: str, facility: FacilityId, role: Role | None, actor: str) -> bool:
        """Nothing is audited or ended when it is so already."""

        def work(connection: Connection) -> bool:
            person = locked_person(connection, name)
            if person is None or person.roles.get(facility) == role:
                return person is not None
            ensure_facility(connection, facility)
            here = (_ROLES.c.person == name) & (_ROLES.c.facility_id == facility)
            connection.execute(delete(_ROLES).where(here))
            if role is not None:
                _put_role(connection, name, facility, role)
            _end_all(connection, name)
            record(connection, facility, actor, "person.role-set", name, {"role": role and str(role)})
            return True

        return self._database.core(work)

    def disable(self, name: str, at: datetime, actor: str) -> bool:
        """The first time stays."""

        def work(connection: Connection) -> bool:
            person = locked_person(connection, name)
            if person is not None and person.disabled_at is None:
                connection.execute(update(_PEOPLE).where(_PEOPLE.c.name == name).values(disabled_at=at))
                _end_all(connection, name)
                _audit(connection, person, actor, "person.disabled")
            return person is not None

        return self._database.core(work)

    def enable(self, name: str, actor: str) -> bool:
        """Nothing is audited when they are not disabled."""

        def work(connection: Connection) -> bool:
            person = locked_person(connection, name)
            if person is not None and person.disabled_at is not None:
                connection.execute(update(_PEOPLE).where(_PEOPLE.c.name == name).values(disabled_at=None))
                _audit(connection, person, actor, "person.enabled")
            return person is not None

        return self._database.core(work)

    def invite(self, name: str, token_hash: bytes, expires_at: datetime, actor: str) -> bool:
        """In the place of an earlier invitation."""

        def work(connection: Connection) -> bool:
            person = enabled_person(connection, name)
            if person is None:
                return False
            connection.execute(delete(_INVITATIONS).where(_INVITATIONS.c.person == name))
            row = {"person": name, "token_hash": token_hash, "expires_at": expires_at}
            connection.execute(insert(_INVITATIONS).values(row))
            _audit(connection, person, actor, "person.invited")
            return True

        return self._database.core(work)

    def invited(self, token_hash: bytes, now: datetime) -> Person | None:
        """While it holds."""
        return self._database.core(lambda connection: invited_person(connection, token_hash, now))

    def accept(self, token_hash: bytes, password_hash: str, now: datetime) -> str | None:
        """Once: of two at the same moment, one finds the invitation gone."""

        def work(connection: Connection) -> str | None:
            person = invited_person(connection, token_hash, now)
            # Looked for again under the lock: the first look only says whose row to lock.
            if person is None or enabled_person(connection, person.name) is None:
                return None
            if invited_person(connection, token_hash, now) is None:
                return None
            _set_password(connection, person, password_hash, person.name)
            return person.name

        return self._database.core(work)

    def open_login(self, login: Login, token_hash: bytes) -> bool:
        """False when the person is disabled meanwhile."""

        def work(connection: Connection) -> bool:
            person = enabled_person(connection, login.name)
            if person is None:
                return False
            row = {
                "login_id": login.login_id,
                "token_hash": token_hash,
                "person": login.name,
                "opened_at": login.opened_at,
                "seen_at": login.seen_at,
                "expires_at": login.expires_at,
                "address": login.address,
                "agent": login.agent,
            }
            connection.execute(insert(_LOGINS).values(row))
            _audit(connection, person, person.name, "login.opened", {"login": str(login.login_id)})
            return True

        return self._database.core(work)

    def note_failure(self, name: str) -> None:
        """See the port."""

        def work(connection: Connection) -> None:
            person = find_person(connection, name)
            what = NOBODY if person is None else name
            for facility in places_of(person):
                record_once(connection, facility, SYSTEM, "login.failed", what, {}, FAILED_FOR)

        self._database.core(work)

    def find_login(self, token_hash: bytes) -> tuple[Login, Person] | None:
        """Also one whose time is over."""

        def work(connection: Connection) -> tuple[Login, Person] | None:
            row = connection.execute(select(_LOGINS).where(_LOGINS.c.token_hash == token_hash)).one_or_none()
            person = find_person(connection, row.person) if row is not None else None
            return (login_from_row(row), person) if row is not None and person is not None else None

        return self._database.core(work)

    def touch(self, login_id: UUID, at: datetime) -> None:
        """It was used."""
        used = update(_LOGINS).where(_LOGINS.c.login_id == login_id).values(seen_at=at)
        self._database.core(lambda connection: connection.execute(used))

    def logins(self, name: str) -> list[Login]:
        """Newest first."""
        query = (
            select(_LOGINS)
            .where(_LOGINS.c.person == name)
            .order_by(_LOGINS.c.opened_at.desc(), _LOGINS.c.login_id.desc())
        )
        return [login_from_row(row) for row in self._database.core(lambda connection: connection.execute(query).all())]

    def end_login(self, name: str, login_id: UUID) -> bool:
        """False when this person has no such login."""
        return self._end(name, _LOGINS.c.login_id == login_id) == 1

    def end_logins(self, name: str, but: UUID | None = None) -> int:
        """How many."""
        return self._end(name, true() if but is None else _LOGINS.c.login_id != but)

    def _end(self, name: str, which: ColumnElement[bool]) -> int:
        ending = delete(_LOGINS).where(_LOGINS.c.person == name, which).returning(_LOGINS.c.login_id)

        def work(connection: Connection) -> int:
            ended = connection.execute(ending).scalars().all()
            person = find_person(connection, name) if ended else None
            if person is not None:
                for login_id in ended:
                    _audit(connection, person, name, "login.ended", {"login": str(login_id)})
            return len(ended)

        return self._database.core(work)

    def forget(self, opened_before: datetime, seen_before: datetime) -> int:
        """How many."""
        over = or_(_LOGINS.c.opened_at <= opened_before, _LOGINS.c.seen_at <= seen_before)
        return self._database.core(lambda connection: connection.execute(delete(_LOGINS).where(over)).rowcount)


def _set_password(connection: Connection, person: Person, password_hash: str, actor: str) -> None:
    changed = update(_PEOPLE).where(_PEOPLE.c.name == person.name).values(password_hash=password_hash)
    connection.execute(changed)
    _end_all(connection, person.name)
    _audit(connection, person, actor, "person.password-set")


def _put_role(connection: Connection, name: str, facility: FacilityId, role: Role) -> None:
    connection.execute(insert(_ROLES).values({"person": name, "facility_id": facility, "role": str(role)}))


def _end_all(connection: Connection, name: str) -> None:
    connection.execute(delete(_INVITATIONS).where(_INVITATIONS.c.person == name))
    connection.execute(delete(_LOGINS).where(_LOGINS.c.person == name))


def _audit(
    connection: Connection, person: Person, actor: str, action: str, body: Mapping[str, Any] | None = None
) -> None:
    for facility in places_of(person):
        record(connection, facility, actor, action, person.name, body)
