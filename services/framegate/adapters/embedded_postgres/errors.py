"""What can go wrong with the embedded Postgres; every message names a remedy."""

from pathlib import Path

from framegate.kernel.errors import ConfigurationError, FramegateError, Transient


class EmbeddedPostgresError(FramegateError):
    """The embedded Postgres cannot do what was asked: see the logs in the `run` folder of the data directory."""


class BoxAlreadyRunning(EmbeddedPostgresError):
    """Another box owns this data directory."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        """`pid` is None in the instant before the owner has written it."""
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(f"a box already runs on {data_dir} ({who}): stop it first, or choose another data directory")
        self.pid = pid


class PostgresNotRunning(EmbeddedPostgresError):
    """The embedded Postgres has not been started: call start(), or use database_of()."""


class PostgresDidNotStart(EmbeddedPostgresError, Transient):
    """The embedded Postgres did not answer in time: see the logs in the `run` folder of the data directory."""


class PostgresDidNotStop(EmbeddedPostgresError):
    """The embedded Postgres ignored even an immediate shutdown: look at its process and the disk it waits for."""


class DataDirectoryBusy(EmbeddedPostgresError, Transient):
    """Another process has been starting or stopping this data directory's Postgres for too long."""


class ClusterUnusable(EmbeddedPostgresError, ConfigurationError):
    """The Postgres cluster in the data directory cannot be used; the message names the remedy."""


class NoAccountForPostgres(EmbeddedPostgresError, ConfigurationError):
    """Postgres refuses to run as root, and no other account can be used: run Framegate as a normal user."""


class UnsafeDurability(EmbeddedPostgresError, ConfigurationError):
    """Postgres runs with a setting that can lose accepted images."""

    def __init__(self, settings: tuple[str, ...]) -> None:
        """`settings` are the names of those that are off."""
        names = " and ".join(settings)
        super().__init__(
            f"Postgres runs with {names} switched off, so a crash could lose accepted images: "
            "undo it with ALTER SYSTEM RESET and ALTER ROLE framegate RESET, then start again"
        )
        self.settings = settings
