"""Making people, and the first of them."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from framegate.bootstrap import Stores, hash_password, read_pepper
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import DEFAULT_FACILITY, FacilityId, is_name
from framegate.kernel.people import Role, is_person_name, password_fault
from framegate.ports.people import Person
from framegate.settings import Settings
from framegate.web import invitations

FIRST_NAME: Final = "admin"
FIRST_FILE: Final = "secrets/first-login"


def parse_role(text: str) -> Role:
    """Raises `ConfigurationError`."""
    try:
        return Role(text)
    except ValueError:
        raise ConfigurationError(f"there is no role {text!r}; the roles are: {', '.join(Role)}") from None


def parse_facility(text: str) -> FacilityId:
    """Raises `ConfigurationError`."""
    if not is_name(text):
        raise ConfigurationError(f"{text!r} cannot name a facility: use up to 64 letters, digits and . _ : -")
    return FacilityId(text)


def add_person(
    stores: Stores, name: str, role: Role, facilities: Iterable[FacilityId], password: str | None, actor: str
) -> None:
    """Raises `ConfigurationError`. `password` None: it is to be chosen by invitation."""
    if not is_person_name(name):
        raise ConfigurationError(f"{name!r} cannot name a person: use 2 to 64 small letters, digits and . _ @ -")
    fault = password_fault(password, name) if password is not None else None
    if fault is not None:
        raise ConfigurationError(f"this password cannot be used: {fault}")
    hashed = hash_password(password) if password is not None else None
    try:
        stores.people.add_person(Person(name, dict.fromkeys(facilities, role), datetime.now(UTC), hashed), actor)
    except ValueError as error:
        raise ConfigurationError(f"{error}: 'framegate people role' changes what they may") from None


def invite(stores: Stores, settings: Settings, base_url: str, name: str, actor: str) -> str:
    """A link that sets a password, once, within 24 hours. Raises `ConfigurationError`."""
    link = invitations.invite(stores.people, read_pepper(settings), base_url, name, datetime.now(UTC), actor)
    if link is None:
        raise ConfigurationError(f"there is nobody {name} who may log in: 'framegate people list' shows all")
    return link


def first_login(stores: Stores, settings: Settings, base_url: str) -> Path | None:
    """Where nobody could ever log in: writes a link for the first administrator to a file (0600), and says which.

    A start after that replaces the link until a password was chosen; None, and no file, from then on.
    """
    file = settings.data / FIRST_FILE
    people = stores.people.people()
    if any(person.name != FIRST_NAME or person.password_hash or person.disabled_at for person in people):
        file.unlink(missing_ok=True)
        return None
    if not people:
        add_person(stores, FIRST_NAME, Role.ADMIN, [DEFAULT_FACILITY], None, "framegate")
    link = invite(stores, settings, base_url, FIRST_NAME, "framegate")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
        new.write(f"{link}\n")
    return file
