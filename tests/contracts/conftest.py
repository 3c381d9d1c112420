"""Every suite runs on every adapter family. Postgres is embedded, so it is never skipped."""

from collections.abc import Iterator

import pytest

from .examples import FACILITY, OTHER_FACILITY, api_key
from .harness import Harness, LettersQueue, MemoryHarness


@pytest.fixture(params=["memory", "postgres"])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    if request.param == "memory":
        made: Harness = MemoryHarness()
    else:
        from .postgres_harness import PostgresHarness

        made = PostgresHarness(request.getfixturevalue("database_url"))
    made.keys.add_key(api_key("seed", FACILITY, OTHER_FACILITY), actor="test")
    yield made
    made.close()


@pytest.fixture
def queue(harness: Harness) -> LettersQueue:
    return harness.queue
