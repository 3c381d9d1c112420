"""Where everything is kept: the stores in Postgres, and the blobs."""

from dataclasses import dataclass

from framegate.adapters.blobs_local import LocalBlobs
from framegate.adapters.postgres import (
    Database,
    PostgresCameras,
    PostgresIntake,
    PostgresKeys,
    PostgresPolicies,
    PostgresProgress,
    PostgresQueue,
    PostgresRegistry,
    PostgresResults,
    PostgresShadows,
    PostgresUpkeep,
    PostgresWorkers,
)
from framegate.ports.blobs import Blobs
from framegate.settings import Settings


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that lives in Postgres."""

    database: Database
    progress: PostgresProgress
    intake: PostgresIntake
    results: PostgresResults
    cameras: PostgresCameras
    policies: PostgresPolicies
    registry: PostgresRegistry
    shadows: PostgresShadows
    workers: PostgresWorkers
    upkeep: PostgresUpkeep
    keys: PostgresKeys

    def queue(self, owner: str) -> PostgresQueue:
        """A queue client of its own for `owner`; close it."""
        return PostgresQueue(self.database, owner=owner)

    def close(self) -> None:
        """Closes the connections."""
        self.database.close()


def open_stores(url: str) -> Stores:
    """Connects lazily: the first use raises `DependencyUnavailable` when nothing answers."""
    database = Database(url)
    return Stores(
        database,
        PostgresProgress(database),
        PostgresIntake(database),
        PostgresResults(database),
        PostgresCameras(database),
        PostgresPolicies(database),
        PostgresRegistry(database),
        PostgresShadows(database),
        PostgresWorkers(database),
        PostgresUpkeep(database),
        PostgresKeys(database),
    )


def open_blobs(settings: Settings) -> Blobs:
    """The local directory of the box."""
    return LocalBlobs(settings.data / "blobs")
