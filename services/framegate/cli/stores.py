"""The way of a command to the database of a box, and to a model."""

from collections.abc import Iterator
from contextlib import contextmanager

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
