"""`framegate cameras`, as an operator types them, on a real database."""

import json
from typing import Any

import pytest

from .test_people_commands import Desk, desk

__all__ = ["desk"]


def camera(desk: Desk) -> Any:
    (found,) = json.loads(desk.run("cameras", "list", "--json"))
    return found


@pytest.mark.parametrize("back", ["resume", "lift"])
def test_a_camera_is_suspended_shown_as_such_and_resumed(desk: Desk, back: str) -> None:
    desk.run("cameras", "add", "dock-3")
    assert "dock-3 at main is suspended" in desk.run(
        "cameras", "suspend", "dock-3", "--reason", "a forklift hit it", "--by", "lead"
    )
    assert camera(desk)["faults"] == ["suspended"]
    assert "suspended" in desk.run("cameras", "list")
    assert "nothing passes by itself." in desk.run("cameras", "health", "dock-3")
    assert "suspended ended." in desk.run("cameras", back, "dock-3", "--by", "lead")
    assert camera(desk)["faults"] == []


def test_a_camera_that_is_not_there_is_not_suspended(desk: Desk) -> None:
    assert "cameras list" in desk.run("cameras", "suspend", "dock-9", "--reason", "why", code=1)
