"""One Chromium and one box for all tests that do not break it. Each test has a browser context of its own."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.box import RunningBox

from .harness import AXE, Viewer, box_of_a_day, chromium, find_chromium, viewer

Visit = Callable[..., Viewer]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first also waits until a box is up."""
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    missing = [
        what
        for what, there in (
            ("Chromium (apt-get install chromium)", find_chromium()),
            ("axe-core (npm ci)", AXE.exists()),
        )
        if not there
    ]
    if missing:
        said = f"browser tests need {' and '.join(missing)}; `make browser` says how"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def box(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    with box_of_a_day(tmp_path_factory.mktemp("browser") / "data") as running:
        yield running


@pytest.fixture
def visit(browser: Browser, box: RunningBox) -> Iterator[Visit]:
    """`visit("ada", size=TABLET)`: another person with a browser; in the end none of them has seen an error."""
    with ExitStack() as stack:
        people: list[Viewer] = []

        def arrive(name: str | None = None, **options: Any) -> Viewer:
            people.append(stack.enter_context(viewer(browser, box, name, **options)))
            return people[-1]

        yield arrive
        for person in people:
            person.assert_calm()
