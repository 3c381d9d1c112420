"""`ingest-event`: a bucket's event by hand."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from framegate.bootstrap import object_intake, open_tracing
from framegate.cli.common import DataOption
from framegate.cli.stores import stores_of
from framegate.kernel.bucket_events import NotAnEvent, ObjectCreated, Skipped, parse
from framegate.kernel.errors import ConfigurationError, FramegateError
from framegate.kernel.states import Stage
from framegate.observability.metrics import Metrics
from framegate.settings import Settings


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("ingest-event")(ingest_event)


def ingest_event(
    file: Annotated[
        Path, typer.Argument(help="The event as JSON, in whatever wrapping it came; - reads standard input")
    ],
    data: DataOption = None,
) -> None:
    """Takes in the objects that an event of a bucket names, and prints for each record what became of it."""
    records = _records(file)
    settings, metrics, failed = Settings.read(data=data), Metrics(), False
    with stores_of(settings) as stores, open_tracing(settings, metrics, [Stage.INGEST]) as tracing:
        objects = object_intake(settings, stores, metrics, tracing)
        for record in records:
            try:
                result = objects.take(record)
            except FramegateError as error:
                failed = True
                print(f"failed: {error}")
                continue
            if isinstance(result, Skipped):
                print(f"skipped: {result.reason} ({result.what})")
            else:
                print(f"{'already known' if result.replayed else 'accepted'} {result.image_id}")
    if failed:
        raise typer.Exit(1)


def _records(file: Path) -> list[ObjectCreated | Skipped]:
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return parse(raw.decode())
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror or error}") from error
    except (UnicodeDecodeError, NotAnEvent) as error:
        raise ConfigurationError(f"{file} is no event of a bucket: {error}") from error
