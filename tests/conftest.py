"""What suites of several kinds share: a real Postgres, and a migrated, empty database of it for each test."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from framegate.adapters.embedded_postgres import EmbeddedPostgres
from framegate.adapters.postgres import migrate

_numbers = count(1)


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _administer(url: str, command: str, name: str, *template: str) -> None:
    with psycopg.connect(_with_database(url, "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL(command).format(*map(sql.Identifier, (name, *template))))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres of this test run; its default database is left alone."""
    directory: Path = tmp_path_factory.mktemp("postgres", numbered=True)
    with EmbeddedPostgres(directory).owned() as url:
        yield url


@pytest.fixture(scope="session")
def _migrated(postgres_url: str) -> str:
    name = "migrated"
    _administer(postgres_url, "create database {}", name)
    migrate(_with_database(postgres_url, name))
    return name


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database without any table."""
    name = f"empty_{next(_numbers)}"
    _administer(postgres_url, "create database {}", name)
    yield _with_database(postgres_url, name)
    _administer(postgres_url, "drop database {} with (force)", name)


@pytest.fixture
def database_url(postgres_url: str, _migrated: str) -> Iterator[str]:
    """A migrated, empty database of the test's own."""
    name = f"test_{next(_numbers)}"
    # A copy of files costs less than writing every page to the WAL, and a test database need not survive anything.
    _administer(postgres_url, "create database {} template {} strategy file_copy", name, _migrated)
    yield _with_database(postgres_url, name)
    _administer(postgres_url, "drop database {} with (force)", name)
