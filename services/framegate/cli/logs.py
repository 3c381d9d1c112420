"""`logs`: the story of one image, or what a box writes."""

import json as jsonlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Annotated, Any, Final, Literal

import typer

from framegate.bootstrap import Stores
from framegate.box.logfiles import log_files
from framegate.box.loglines import Event, follow, lines_about, moment_of, newest
from framegate.box.story import StorySources, headline, recorded
from framegate.cli.common import DataOption, JsonOption, colours, console, note, out, parse_image_id
from framegate.cli.stores import stores_of
from framegate.kernel.durations import parse_duration
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.states import Stage
from framegate.observability.rendering import line_of
from framegate.ports.store import ImageRecord
from framegate.settings import Settings

_LEVELS: Final = ("debug", "info", "warning", "error")
LevelName = Literal["debug", "info", "warning", "error"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("logs")(logs)


def logs(
    image: Annotated[str | None, typer.Argument(metavar="[IMAGE_ID]", help="Default: what the box writes")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="FILE", help="Lines that a platform exported; - is standard input. Repeatable"),
    ] = None,
    facility: Annotated[str | None, typer.Option("--facility", help="Whose image it is. Default: any")] = None,
    level: Annotated[LevelName, typer.Option("--level", help="And worse; without an image")] = "debug",
    stage: Annotated[Stage | None, typer.Option("--stage", help="Only of this stage; without an image")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Such as 15m or 7d; without an image")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="The newest ones; without an image")] = 50,
    going_on: Annotated[bool, typer.Option("--follow", "-f", help="And what comes; without an image")] = False,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Tells the story of one image, oldest first: what is recorded of it, and the log lines that name it.

    Without an image: the newest lines of the box.
    """
    settings = Settings.read(data=data)
    if image is not None:
        _tell_story(settings, parse_image_id(image), given or [], facility, json=json)
    elif given:
        raise ConfigurationError("--from is for the story of an image: say which one")
    else:
        _tell_newest(settings, _filter(level, stage, since), limit, going_on=going_on, json=json)


def _tell_story(settings: Settings, image_id: ImageId, given: list[str], facility: str | None, *, json: bool) -> None:
    with _opened(settings, given) as files:
        lines = lines_about(files, str(image_id))
    with stores_of(settings) as stores:
        where = frozenset({FacilityId(facility)}) if facility else stores.incidents.facilities()
        record = stores.results.image(where, image_id)
        told = [] if record is None else recorded(_sources(stores), record)
    if record is None and not lines:
        raise ConfigurationError(
            f"there is no image {image_id}{f' at {facility}' if facility else ''}, and no log line names it: "
            "its id is in the answer to its upload"
        )
    events = sorted([*told, *lines], key=moment_of)
    if json:
        for event in events:
            print(jsonlib.dumps(event))
        return
    out.print(f"image {image_id}: {headline(record)}" if record else f"image {image_id}", markup=False, highlight=False)
    _show(events)
    _remark(record, settings, given, lines)


def _remark(record: ImageRecord | None, settings: Settings, given: list[str], lines: list[Event]) -> None:
    if record is None:
        note("the database knows no such image: only log lines name it")
    if not given and not log_files(settings.data.expanduser()):
        note("there are no log files here: export the platform's lines and name them with --from")
    elif not lines:
        note("no log line names it; at level INFO an image is named only when something is wrong with it")


def _sources(stores: Stores) -> StorySources:
    return StorySources(stores.audit, stores.incidents, stores.endpoints, stores.deliveries)


@contextmanager
def _opened(settings: Settings, given: list[str]) -> Iterator[list[IO[bytes]]]:
    paths = given or [str(file) for file in log_files(settings.data.expanduser())]
    with ExitStack() as stack:
        files: list[IO[bytes]] = []
        for path in paths:
            try:
                if path == "-":
                    files.append(stack.enter_context(tempfile.TemporaryFile()))
                    shutil.copyfileobj(sys.stdin.buffer, files[-1])  # it is read twice
                else:
                    files.append(stack.enter_context(Path(path).open("rb")))
            except OSError as error:
                raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from None
        yield files


def _filter(level: str, stage: Stage | None, since: str | None) -> Callable[[Event], bool]:
    try:
        after = datetime.now(UTC) - timedelta(seconds=parse_duration(since)) if since else None
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    levels = _LEVELS[_LEVELS.index(level) :]

    def wanted(event: Event) -> bool:
        return (
            (level == "debug" or event.get("level") in levels)
            and (stage is None or event.get("stage") == stage)
            and (after is None or moment_of(event) >= after)
        )

    return wanted


def _tell_newest(
    settings: Settings, wanted: Callable[[Event], bool], limit: int, *, going_on: bool, json: bool
) -> None:
    files = log_files(settings.data.expanduser())
    if not files:
        raise ConfigurationError(
            f"there are no logs in {settings.data}: 'framegate up' keeps them there, elsewhere the platform collects them"
        )
    found: Iterator[dict[str, Any]] = iter(newest(files, limit, wanted))
    for event in found:
        _print(event, json=json)
    if going_on:
        console.print("(Ctrl-C ends)", style="dim")
        for event in follow(files[-1], wanted):
            _print(event, json=json)


def _print(event: Event, *, json: bool) -> None:
    if json:
        print(jsonlib.dumps(event), flush=True)
    else:
        _show([event])


def _show(events: list[Event]) -> None:
    coloured = colours(out)
    for event in events:
        print(line_of(event, colours=coloured, dated=True), flush=True)
