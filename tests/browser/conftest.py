"""One Chromium, one box and one login of each person for all tests that do not break it.

Each test has a browser context of its own.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Browser, StorageState

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


@pytest.fixture(scope="session")
def logins(browser: Browser, box: RunningBox) -> Callable[[str], StorageState]:
    """What the browser of somebody keeps who has just logged in: once for each, as that takes longer than most tests."""

    @cache
    def login(name: str) -> StorageState:
        with viewer(browser, box, name) as person:
            person.assert_calm()
            return person.context.storage_state()

    return login


@pytest.fixture
def visit(browser: Browser, box: RunningBox, logins: Callable[[str], StorageState]) -> Iterator[Visit]:
    """`visit("ada", size=TABLET)`: another browser of a person; in the end none of them has seen an error.

    All browsers of a person have one login, but those that come with `anew`.
    """
    with ExitStack() as stack:
        people: list[Viewer] = []

        def arrive(name: str, *, anew: bool = False, **options: Any) -> Viewer:
            kept = {} if anew else {"storage_state": logins(name)}
            people.append(stack.enter_context(viewer(browser, box, name if anew else None, **kept, **options)))
            return people[-1]

        yield arrive
        for person in people:
            person.assert_calm()
