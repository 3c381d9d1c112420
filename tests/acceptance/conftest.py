"""One ordinary box for all tests that do not break it."""

from collections.abc import Iterator

import pytest

from tests.support.box import RunningBox, running_box
from tests.support.receivers import ReceiverServer


@pytest.fixture(scope="session")
def receiver() -> Iterator[ReceiverServer]:
    """Where the box may send messages to, besides the internet; it answers 200."""
    server = ReceiverServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def box(receiver: ReceiverServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    allow = f"http://127.0.0.1:{receiver.port}"
    # So that no test waits long for a camera to be frozen, or to be well, or for a decision to be final.
    short = {
        "FRAMEGATE_ENGINE": "auto",  # as users have it
        "FRAMEGATE_CAMERAS__FROZEN_S": "1",
        "FRAMEGATE_CAMERAS__RECOVERY": "3",
        "FRAMEGATE_REVIEWS__UNDO_S": "3",
    }
    with running_box(tmp_path_factory.mktemp("box") / "data", FRAMEGATE_HOOKS__ALLOW=allow, **short) as running:
        running.run("cameras", "add", "dock-1")
        yield running
