"""What the commands share: options with their help, and the way to the database of a box."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from framegate.bootstrap import (
    Stores,
    database_of,
    is_registered,
    load_manifest,
    migrate,
    open_blobs,
    open_stores,
    resolve_model,
)
from framegate.box.directory import prepare_data_dir
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.manifest import ModelManifest
from framegate.settings import Settings

#: For people; results that programs read go to standard output.
console = Console(stderr=True)
out = Console(file=sys.stdout, soft_wrap=True)

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Directory of the box. Default: $FRAMEGATE_DATA, else .framegate"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people")]


def login() -> str:
    """Who sits here, for the audit; raises `ConfigurationError`."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigurationError("your login has no name here: say who it is with --by NAME") from None


@contextmanager
def stores_of(settings: Settings) -> Iterator[Stores]:
    """The database of DATABASE_URL, or of the box in the data directory, whether it is up or down."""
    if settings.database:
        with _opened(settings, settings.database) as stores:
            yield stores
        return
    data = settings.data.expanduser()
    if not data.is_dir():
        raise ConfigurationError(
            f"there is no box in {data}: start one with 'framegate up --data {data}', or correct --data"
        )
    with database_of(prepare_data_dir(data)) as url:
        migrate(url)
        with _opened(settings, url) as stores:
            yield stores


def manifest_of(settings: Settings, ref: str) -> ModelManifest:
    """The model that `ref` means: registered in the box, at a path, or the starter. Raises `ModelRefused`."""
    if not is_registered(ref):
        return load_manifest(ref)
    with stores_of(settings) as stores:
        return resolve_model(settings, stores, open_blobs(settings), ref)


@contextmanager
def _opened(settings: Settings, url: str) -> Iterator[Stores]:
    stores = open_stores(settings, url)
    try:
        yield stores
    finally:
        stores.close()
