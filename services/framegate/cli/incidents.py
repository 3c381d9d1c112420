"""Incidents: what is going on, and people's part in it."""

import json as jsonlib
from typing import Annotated, Final
from uuid import UUID

import typer
from rich.text import Text

from framegate.bootstrap import Stores, make_announcer
from framegate.cli.common import (
    ByOption,
    DataOption,
    JsonOption,
    LimitOption,
    add_row,
    console,
    login,
    out,
    short_id,
    table_of,
)
from framegate.cli.stores import stores_of
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import FacilityId
from framegate.kernel.incidents import Incident, IncidentState
from framegate.ports.notices import describe, moment
from framegate.settings import Settings

incidents = typer.Typer(help="What is wrong, or was: alerts about the same thing, together.", no_args_is_help=True)

_GOING_ON: Final = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED})
IncidentArgument = Annotated[
    str, typer.Argument(metavar="INCIDENT", help="Its id, or the end of it: framegate incidents list")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(incidents, name="incidents")


@incidents.command("list")
def incidents_list(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over")] = False,
    limit: LimitOption = 50,
    facility: Annotated[list[str] | None, typer.Option("--facility", help="Repeatable. Default: all")] = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Shows what is going on, those with the newest alerts first."""
    with stores_of(Settings.read(data=data)) as stores:
        states = frozenset(IncidentState) if every else _GOING_ON
        found = stores.incidents.incidents(_facilities(stores, facility), states, limit)
    if json:
        print(jsonlib.dumps([describe(incident) for incident in found], indent=2))
        return
    table = table_of("incident", "severity", "state", "facility", "about", "images", "since (UTC)", "what")
    for incident in found:
        add_row(
            table,
            short_id(incident.incident_id),
            incident.severity,
            incident.state,
            incident.facility,
            incident.subject,
            str(incident.images),
            f"{incident.opened_at:%m-%d %H:%M}",
            incident.summary,
        )
    out.print(table if found else "Nothing is wrong.")


@incidents.command("show")
def incidents_show(incident: IncidentArgument, json: JsonOption = False, data: DataOption = None) -> None:
    """Shows one with everything that receivers were told of it."""
    with stores_of(Settings.read(data=data)) as stores:
        found = _incident(stores, incident)
        events = stores.incidents.events(found.incident_id)
    if json:
        said = [{"id": e.message_id, "change": e.change, "at": moment(e.at), "actor": e.actor} for e in events]
        print(jsonlib.dumps(describe(found) | {"events": said}, indent=2))
        return
    out.print_json(data={name: value for name, value in describe(found).items() if value is not None})
    table = table_of("when (UTC)", "what", "who", "message")
    for event in events:
        add_row(table, f"{event.at:%m-%d %H:%M:%S}", event.change, event.actor, event.message_id)
    out.print(table)


@incidents.command("ack")
def incidents_ack(incident: IncidentArgument, by: ByOption = None, data: DataOption = None) -> None:
    """Says that somebody takes care: it does not escalate any more. Receivers are told."""
    _by_hand(incident, by, data, IncidentState.ACKNOWLEDGED)


@incidents.command("resolve")
def incidents_resolve(incident: IncidentArgument, by: ByOption = None, data: DataOption = None) -> None:
    """Ends it: the next alert about the same opens another one. Receivers are told."""
    _by_hand(incident, by, data, IncidentState.RESOLVED)


def _by_hand(incident: str, by: str | None, data: DataOption, to: IncidentState) -> None:
    settings = Settings.read(data=data)
    announce, actor = make_announcer(settings), by or login()
    with stores_of(settings) as stores:
        found = _incident(stores, incident)
        change = stores.incidents.acknowledge if to is IncidentState.ACKNOWLEDGED else stores.incidents.resolve
        done = change(frozenset({found.facility}), found.incident_id, actor, announce)
    console.print(Text(f"{found.subject} is {done.state if done else 'gone'}."), soft_wrap=True)


def _incident(stores: Stores, text: str) -> Incident:
    everywhere = _facilities(stores, None)
    try:
        found = stores.incidents.incident(everywhere, UUID(text))
        matching = [found] if found is not None else []
    except ValueError:
        known = stores.incidents.incidents(everywhere, frozenset(IncidentState), 10_000)
        matching = [i for i in known if len(text) >= 4 and str(i.incident_id).endswith(text.lower())]
    if len(matching) != 1:
        many = (
            f"{len(matching)} incidents' ids end with {text}: give more of it"
            if matching
            else f"there is no incident {text}"
        )
        raise ConfigurationError(f"{many}; 'framegate incidents list --all' shows them")
    return matching[0]


def _facilities(stores: Stores, named: list[str] | None) -> frozenset[FacilityId]:
    return frozenset(map(FacilityId, named)) if named else stores.incidents.facilities()
