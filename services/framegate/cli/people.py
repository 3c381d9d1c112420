"""People who log in: add, invite, role, disable and enable."""

import json as jsonlib
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from framegate.bootstrap import public_url
from framegate.box.people import add_person, invite, parse_facility, parse_role
from framegate.cli.common import DataOption, JsonOption, console, login, out
from framegate.cli.stores import stores_of
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.settings import Settings

people = typer.Typer(help="People: who may log in, and what they may in which facility.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(people, name="people")


@people.command("add")
def people_add(
    name: str,
    role: Annotated[str, typer.Option("--role", help="viewer, reviewer, operator or admin")],
    facility: Annotated[list[str] | None, typer.Option("--facility", help="Repeatable. Default: main")] = None,
    by_invitation: Annotated[bool, typer.Option("--invite", help="Print a link that sets the password, once")] = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from a pipe")] = False,
    data: DataOption = None,
) -> None:
    """Adds a person. Asks for the password, unless it is read from a pipe or chosen by invitation."""
    if by_invitation and password_stdin:
        raise ConfigurationError("--invite and --password-stdin exclude each other")
    wanted, facilities = parse_role(role), [parse_facility(text) for text in facility or [DEFAULT_FACILITY]]
    password = None if by_invitation else _password(password_stdin)
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        add_person(stores, name, wanted, facilities, password, login())
        link = invite(stores, settings, public_url(settings), name, login()) if by_invitation else None
    if link is not None:
        _show(link)
    else:
        console.print(f"Added {name}.", highlight=False)


@people.command("list")
def people_list(json: JsonOption = False, data: DataOption = None) -> None:
    """Shows everybody, their roles, and whether they can log in."""
    with stores_of(Settings.read(data=data)) as stores:
        found = stores.people.people()
    rows = [
        {
            "name": person.name,
            "roles": {facility: str(role) for facility, role in sorted(person.roles.items())},
            "state": "disabled" if person.disabled_at else "enabled" if person.password_hash else "no password yet",
        }
        for person in found
    ]
    if json:
        print(jsonlib.dumps(rows))
        return
    table = Table("name", "roles", "state")
    for person, row in zip(found, rows, strict=True):
        roles = " ".join(f"{facility}:{role}" for facility, role in sorted(person.roles.items()))
        table.add_row(person.name, roles, str(row["state"]))
    out.print(table)


@people.command("invite")
def people_invite(name: str, data: DataOption = None) -> None:
    """Prints a link that sets a new password, once, within 24 hours; the old password holds until then."""
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        _show(invite(stores, settings, public_url(settings), name, login()))


@people.command("role")
def people_role(
    name: str,
    role: Annotated[str, typer.Argument(help="viewer, reviewer, operator, admin, or none")],
    facility: Annotated[str, typer.Option("--facility", help="Where")] = DEFAULT_FACILITY,
    data: DataOption = None,
) -> None:
    """Says what a person may in a facility, and ends all their logins."""
    wanted, where = None if role == "none" else parse_role(role), parse_facility(facility)
    with stores_of(Settings.read(data=data)) as stores:
        if not stores.people.set_role(name, where, wanted, login()):
            raise _nobody(name)
    console.print(f"{name} is {role} in {where}." if wanted else f"{name} has no role in {where}.", highlight=False)


@people.command("disable")
def people_disable(name: str, data: DataOption = None) -> None:
    """Ends all logins of a person at once, and lets them in no more."""
    with stores_of(Settings.read(data=data)) as stores:
        if not stores.people.disable(name, datetime.now(UTC), login()):
            raise _nobody(name)
    console.print(f"Disabled {name}.", highlight=False)


@people.command("enable")
def people_enable(name: str, data: DataOption = None) -> None:
    """Lets a disabled person log in again, with the password that they had."""
    with stores_of(Settings.read(data=data)) as stores:
        if not stores.people.enable(name, login()):
            raise _nobody(name)
    console.print(f"Enabled {name}.", highlight=False)


def _password(from_pipe: bool) -> str:
    if from_pipe:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise ConfigurationError("there is no terminal to ask for the password: use --password-stdin or --invite")
    return str(typer.prompt("Password (at least 15 characters)", hide_input=True, confirmation_prompt=True, err=True))


def _show(link: str) -> None:
    print(link)
    console.print("Hand it over by a way that only they read: it sets the password once, within 24 hours.")


def _nobody(name: str) -> ConfigurationError:
    return ConfigurationError(f"there is no person {name}: 'framegate people list' shows all")
