"""Brings a database to the newest version of the schema."""

from importlib import resources
from typing import Final

import sqlalchemy
from sqlalchemy.pool import NullPool

from framegate.adapters.postgres.database import make_engine, translated

#: Held while migrating, so that several processes that start together do it one after the other.
_LOCK: Final = 0x6672616D6567
#: Revisions are numbers of four digits, in order.
HEAD: Final = "0017"


def migrate(url: str) -> None:
    """All or nothing, and quick when there is nothing to do. Raises `DependencyUnavailable`."""
    engine = make_engine(url, "framegate-migrate", poolclass=NullPool)
    engine = engine.execution_options(isolation_level="READ COMMITTED")
    with translated(), engine.begin() as connection:
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({_LOCK})")
        # A newer release may have been here first: releases only add, so that this one can still work with it.
        if (_current(connection) or "") < HEAD:
            _upgrade(connection)


def _current(connection: sqlalchemy.Connection) -> str | None:
    if connection.exec_driver_sql("select to_regclass('alembic_version')").scalar() is None:
        return None
    found: str | None = connection.exec_driver_sql("select version_num from alembic_version").scalar()
    return found


def _upgrade(connection: sqlalchemy.Connection) -> None:
    # Imported here: it takes a fifth of a second, and most starts have nothing to migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    with resources.as_file(resources.files(__package__).joinpath("migrations")) as directory:
        config.set_main_option("script_location", str(directory).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
