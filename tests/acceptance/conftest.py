"""One ordinary box for all tests that do not break it."""

from collections.abc import Iterator

import pytest

from tests.support.box import RunningBox, running_box


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    with running_box(tmp_path_factory.mktemp("box") / "data") as running:
        running.run("cameras", "add", "dock-1")
        yield running
