"""What the commands share: options with their help, and where they write."""

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from framegate.environment import secrets_of_environment
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import ImageId, is_name
from framegate.observability.logs import Write, configure_logs, read_line, to_standard_error, wants_json
from framegate.observability.redaction import keep_secret
from framegate.observability.rendering import line_of
from framegate.settings import Settings

#: For people; results that programs read go to standard output.
console = Console(stderr=True)
out = Console(file=sys.stdout, soft_wrap=True)

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Directory of the box. Default: $FRAMEGATE_DATA, else .framegate"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people")]

ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who answers for it. Default: your login")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="The newest ones, so many")]


def colours(of: Console = console) -> bool:
    """A terminal, and nobody wants none (NO_COLOR)."""
    return of.is_terminal and not of.no_color


def log_as(settings: Settings, worker: str, write: Write | None = None) -> None:
    """For a process of the pipeline: JSON, or for people on a terminal. `write` takes lines of JSON instead."""
    keep_secret(*secrets_of_environment())
    if write is None:
        configure_logs(level=settings.log_level, json=settings.log_json, colours=colours(), worker=worker)
    else:
        configure_logs(level=settings.log_level, json=True, worker=worker, write=write)


def show_as(settings: Settings) -> Write:
    """To standard error, lines of JSON as `log_as` would write them."""
    if wants_json() if settings.log_json is None else settings.log_json:
        return to_standard_error
    coloured = colours()
    return lambda line: to_standard_error(line_of(read_line(line) or {"event": line}, colours=coloured))


def note(text: str, what: str = "note") -> None:
    """A line for people beside the results."""
    console.print(f"[yellow]{what}[/] {escape(text)}", soft_wrap=True, highlight=False)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """For long work: the function takes how much is done, and of how much."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def check_name(name: str) -> None:
    """Raises `ConfigurationError` for what nothing can be called."""
    if not is_name(name):
        raise ConfigurationError(f"{name!r} is not a name: use up to 64 letters, digits and . _ : -")


def parse_image_id(text: str) -> ImageId:
    """Raises `ConfigurationError`."""
    try:
        return ImageId(UUID(text))
    except ValueError:
        raise ConfigurationError(f"{text!r} is no image id") from None


def parse_moment(text: str) -> datetime:
    """A day or a moment of ISO 8601; without a zone it is UTC. Raises ValueError."""
    at = datetime.fromisoformat(text)
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError as error:  # a zone can lead out of the years that there are
        raise ValueError(str(error)) from None


def login() -> str:
    """Who sits here, for the audit; raises `ConfigurationError`."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigurationError("your login has no name here: say who it is with --by NAME") from None


def table_of(*columns: str) -> Table:
    """What is typed into the next command is never cut."""
    first, *others = columns
    table = Table(Column(first, no_wrap=True), *others)
    for column in table.columns:
        column.overflow = "fold"
    return table


def add_row(table: Table, *cells: str) -> None:
    """Subjects, causes and answers come from outside: what looks like markup in them is none."""
    table.add_row(*map(Text, cells))


def short_id(identifier: UUID) -> str:
    """Its end: the beginning is the time."""
    return str(identifier)[-8:]
