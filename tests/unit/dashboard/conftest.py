from collections.abc import Iterator
from pathlib import Path

import pytest

from .fakes import PeopleBox


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[PeopleBox]:
    made = PeopleBox(tmp_path)
    yield made
    made.close()
