"""`trace`: where one image spent its time."""

import json as jsonlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer
from rich.table import Column, Table
from rich.text import Text

from framegate.box.waterfall import Bar, Waterfall, waterfall
from framegate.cli.common import DataOption, JsonOption, out, parse_image_id
from framegate.cli.stores import stores_of
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import FacilityId
from framegate.kernel.tracecontext import is_sampled
from framegate.settings import Settings

_WIDTH: Final = 32
_MARKS: Final = {"wait": ("░", "bright_black"), "work": ("█", "green"), "event": ("◆", "cyan"), "failed": ("█", "red")}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("trace")(trace_command)


def trace_command(
    image: Annotated[str, typer.Argument(metavar="IMAGE_ID")],
    facility: Annotated[str | None, typer.Option("--facility", help="Whose image it is. Default: any")] = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Shows where an image spent its time: every stage's wait and work, what failed and why, people, alerts and hooks.

    It reads what is stored, so it needs no tracing and no collector. What the bars are drawn to stands above them.
    """
    image_id = parse_image_id(image)
    with stores_of(Settings.read(data=data)) as stores:
        everywhere = stores.incidents.facilities()
        record = stores.results.image(frozenset({FacilityId(facility)}) if facility else everywhere, image_id)
        if record is None:
            where = f"at {facility}: leave out --facility to look everywhere" if facility else "here: check the id"
            raise ConfigurationError(f"there is no image {image_id} {where}, or 'framegate watch' for new ones")
        place = record.facts.facility
        found = waterfall(record, stores.incidents.alerts_of(place, image_id), stores.deliveries.about(place, image_id))
    if json:
        print(jsonlib.dumps(found.to_json(), indent=2))
        return
    _print(found, datetime.now(UTC))


def _print(found: Waterfall, now: datetime) -> None:
    record, facts = found.record, found.record.facts
    end = " ".join(part for part in (str(record.verdict or record.state), record.reason) if part)
    out.print(Text(f"{facts.image_id} of {facts.camera} at {facts.facility}: {end}"))
    if found.trace_id is not None:
        recorded = "recorded" if is_sampled(record.trace) else "not recorded"
        out.print(Text(f"trace {found.trace_id} ({recorded})"))
    decided = record.decided_at
    until = [bar for bar in found.bars if decided is None or bar.start < decided]
    since = [bar for bar in found.bars if bar not in until]
    _section("until the outcome", until, facts.received_at, decided or now, now)
    if decided is not None and since:
        _section("since the outcome", since, decided, max((bar.end or now) for bar in since), now)


def _section(title: str, bars: Sequence[Bar], start: datetime, end: datetime, now: datetime) -> None:
    """One scale for all of its bars."""
    whole = max(end - start, timedelta(milliseconds=1))
    table = Table(
        Column("after", justify="right", no_wrap=True),
        Column("what", overflow="fold"),
        Column(f"{_WIDTH} marks are {_length(whole)}", no_wrap=True, width=_WIDTH),
        Column("took", justify="right", no_wrap=True),
        Column("detail", overflow="fold"),
        title=title,
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for bar in bars:
        took = "" if bar.end == bar.start else _length(bar.end - bar.start) if bar.end else "goes on"
        drawn = _draw(bar, (bar.start - start) / whole, ((bar.end or now) - start) / whole)
        table.add_row(_length(bar.start - start), Text(bar.what), drawn, took, Text(bar.detail))
    out.print()
    out.print(table)


def _draw(bar: Bar, start: float, end: float) -> Text:
    mark, colour = _MARKS[bar.kind]
    first = min(_WIDTH - 1, max(0, int(start * _WIDTH)))
    length = 1 if bar.end == bar.start else max(1, min(_WIDTH, round(end * _WIDTH)) - first)
    return Text(" " * first + mark * length, style=colour)


def _length(length: timedelta) -> str:
    ms = length.total_seconds() * 1000
    if abs(ms) < 1000:
        return f"{ms:.1f} ms"
    return f"{ms / 1000:.2f} s" if abs(ms) < 120_000 else str(timedelta(seconds=round(ms / 1000)))
