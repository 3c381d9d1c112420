"""Reading people and their logins, in the transaction of whoever asks."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from framegate.adapters.postgres import schema
from framegate.kernel.ids import FacilityId
from framegate.kernel.people import Role
from framegate.ports.people import Login, Person

_PEOPLE, _ROLES, _FACILITIES, _INVITATIONS = schema.people, schema.person_roles, schema.facilities, schema.invitations


def people_where(connection: Connection, which: ColumnElement[bool]) -> list[Person]:
    """Ordered by name."""
    roles = (
        select(func.jsonb_object_agg(_ROLES.c.facility_id, _ROLES.c.role))
        .where(_ROLES.c.person == _PEOPLE.c.name)
        .scalar_subquery()
    )
    disabled = (
        select(func.array_agg(_FACILITIES.c.id))
        .join(_ROLES, _ROLES.c.facility_id == _FACILITIES.c.id)
        .where(~_FACILITIES.c.enabled, _ROLES.c.person == _PEOPLE.c.name)
        .scalar_subquery()
    )
    query = select(_PEOPLE, roles.label("roles"), disabled.label("disabled")).where(which).order_by(_PEOPLE.c.name)
    return [_person(row) for row in connection.execute(query)]


def find_person(connection: Connection, name: str) -> Person | None:
    """Also one who is disabled."""
    return next(iter(people_where(connection, _PEOPLE.c.name == name)), None)


def locked_person(connection: Connection, name: str) -> Person | None:
    """Whoever changes a person or opens a login for one waits for the others here."""
    lock = select(_PEOPLE.c.name).where(_PEOPLE.c.name == name).with_for_update()
    return find_person(connection, name) if connection.execute(lock).one_or_none() else None


def enabled_person(connection: Connection, name: str) -> Person | None:
    """Locked, as by `locked_person`."""
    person = locked_person(connection, name)
    return person if person is not None and person.disabled_at is None else None


def invited_person(connection: Connection, token_hash: bytes, now: datetime) -> Person | None:
    """Whom an invitation is for that holds."""
    holds = (_INVITATIONS.c.token_hash == token_hash) & (_INVITATIONS.c.expires_at > now)
    row = connection.execute(select(_INVITATIONS.c.person).where(holds)).one_or_none()
    return find_person(connection, row.person) if row is not None else None


def _person(row: Row[Any]) -> Person:
    return Person(
        name=row.name,
        roles={FacilityId(facility): Role(role) for facility, role in (row.roles or {}).items()},
        created_at=row.created_at,
        password_hash=row.password_hash,
        disabled_at=row.disabled_at,
        disabled_facilities=frozenset(map(FacilityId, row.disabled or ())),
    )


def login_from_row(row: Row[Any]) -> Login:
    """Of `logins`."""
    return Login(row.login_id, row.person, row.opened_at, row.seen_at, row.expires_at, row.address, row.agent)
