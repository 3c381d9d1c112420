"""What suites of several kinds share: a real Postgres, and a migrated, empty database of it for each test."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString

import hypothesis
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from framegate.adapters.embedded_postgres import EmbeddedPostgres
from framegate.adapters.postgres import migrate

if TYPE_CHECKING:
    from tests.support.moto_s3 import MotoBucket

# No property is about time, and machines are busy.
hypothesis.settings.register_profile("framegate", deadline=None)
hypothesis.settings.load_profile("framegate")

# Tests start dozens of processes: where this is set, each of them would compile the whole package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_numbers = count(1)
# As a replica: neither foreign keys nor the triggers that keep the audit stand in the way.
_EMPTY = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend';
set session_replication_role = replica;
do $$
declare name text;
begin
  for name in select tablename from pg_tables where schemaname = 'public' and tablename <> 'alembic_version' loop
    execute format('delete from %I', name);
  end loop;
end $$
"""


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _administer(url: str, command: LiteralString, name: str) -> None:
    with psycopg.connect(_with_database(url, "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL(command).format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres of this test run; its default database is left alone."""
    directory: Path = tmp_path_factory.mktemp("postgres", numbered=True)
    with EmbeddedPostgres(directory).owned() as url:
        # What is settled waits for every older transaction, and ANALYZE by itself is one, at any moment.
        with psycopg.connect(_with_database(url, "postgres"), autocommit=True) as connection:
            connection.execute("alter system set autovacuum = off")
            connection.execute("select pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def _migrated_url(postgres_url: str) -> str:
    url = _with_database(postgres_url, "migrated")
    _administer(postgres_url, "create database {}", "migrated")
    migrate(url)
    return url


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database without any table."""
    name = f"empty_{next(_numbers)}"
    _administer(postgres_url, "create database {}", name)
    yield _with_database(postgres_url, name)
    _administer(postgres_url, "drop database {} with (force)", name)


@pytest.fixture(scope="session")
def _empty(_migrated_url: str) -> Iterator[Callable[[], object]]:
    """On a connection that is kept: a new one would have to learn of all tables again, which takes longer than the rest."""
    connection = psycopg.connect(_migrated_url, autocommit=True)

    def empty() -> None:
        nonlocal connection
        try:
            connection.execute(_EMPTY)
        except psycopg.OperationalError:  # a test ended all connections
            connection.close()
            connection = psycopg.connect(_migrated_url, autocommit=True)
            connection.execute(_EMPTY)

    yield empty
    connection.close()


@pytest.fixture
def database_url(_migrated_url: str, _empty: Callable[[], object]) -> str:
    """A migrated, empty database. Emptied and not made anew: that takes some milliseconds instead of half a second."""
    _empty()
    return _migrated_url


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """AWS as moto plays it, for this test run."""
    from tests.support.aws import moto_server

    with moto_server() as url:
        yield url


@pytest.fixture
def moto_bucket(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> "MotoBucket":
    """A bucket of its own for each test; the environment leads every client to it."""
    from tests.support.aws import lead_to
    from tests.support.moto_s3 import MotoBucket

    lead_to(moto_url, monkeypatch)
    return MotoBucket.make()
