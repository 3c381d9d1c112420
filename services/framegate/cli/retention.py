"""How long pictures and metadata are kept."""

import json as jsonlib
from typing import Annotated

import typer

from framegate.cli.common import ByOption, DataOption, JsonOption, add_row, console, login, out, table_of
from framegate.cli.stores import stores_of
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import DEFAULT_FACILITY, FacilityId
from framegate.kernel.retention import MOST_DAYS, ORIGINALS, Days, RetentionClass
from framegate.settings import Settings

retention = typer.Typer(
    help="How long pictures and what came with them are kept: for ever, until you say otherwise.", no_args_is_help=True
)
FacilityOption = Annotated[str, typer.Option("--facility", help="Whose images")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(retention, name="retention")


@retention.command("show")
def retention_show(
    facility: FacilityOption = DEFAULT_FACILITY, json: JsonOption = False, data: DataOption = None
) -> None:
    """Shows how long what is kept, from the moment at which an image ended."""
    with stores_of(Settings.read(data=data)) as stores:
        days = stores.retention.days(FacilityId(facility))
    _print(facility, days, json)


@retention.command("set")
def retention_set(
    kind: Annotated[
        str,
        typer.Argument(metavar="CLASS", help=f"originals (all of them), or {', '.join(RetentionClass)}"),
    ],
    days: Annotated[str, typer.Argument(metavar="DAYS", help="A number of days, or: forever")],
    facility: FacilityOption = DEFAULT_FACILITY,
    by: ByOption = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Says how long a class of data is kept; the sweeper erases what is older, within minutes, and for good.

    Outcomes, detections, reviews and the audit always stay. What is under a hold, or waits for people, is not erased.
    """
    changes = dict.fromkeys(_classes(kind), _days(days))
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        if FacilityId(facility) not in stores.incidents.facilities():
            raise ConfigurationError(f"there is no facility {facility}: 'framegate cameras list' shows those there are")
        now = stores.retention.keep(FacilityId(facility), changes, by or login())
    _print(facility, now, json)


def _classes(text: str) -> tuple[RetentionClass, ...]:
    if text == "originals":
        return ORIGINALS
    try:
        return (RetentionClass(text),)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is no class of data: there are originals (all of them), {', '.join(RetentionClass)}"
        ) from None


def _days(text: str) -> int | None:
    if text == "forever":
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_DAYS):
        raise ConfigurationError(f"{text!r} is no time to keep: give 1 to {MOST_DAYS} days, or 'forever'")
    return int(text)


def _print(facility: str, days: Days, json: bool) -> None:
    if json:
        print(jsonlib.dumps({"facility": facility} | {str(kind): days.get(kind) for kind in RetentionClass}))
        return
    table = table_of("class", "kept")
    for kind in RetentionClass:
        add_row(table, kind, f"{days[kind]} days" if kind in days else "for ever")
    out.print(table)
    console.print(f"At {facility}, from the end of each image on.", highlight=False)
