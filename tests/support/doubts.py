"""A box that is in doubt about a sample frame, and so looks at it twice."""

from pathlib import Path
from typing import Any

import yaml

from framegate.starter import sample_frames
from tests.support.box import RunningBox, until
from tests.support.jpegs import commented

#: The starter sees a hole, water and a dent in it.
_DAMAGED = 11


def frame(number: int) -> bytes:
    """The same picture in other bytes each time."""
    return commented(sample_frames()[_DAMAGED].read_bytes(), f"doubt {number}")


def doubtful(document: dict[str, Any]) -> dict[str, Any]:
    """The same policy, in which nothing is certain and any doubt may be looked at again."""
    classes = {
        name: limits if limits["review"] is None else {"review": limits["review"], "fail": 0.99}
        for name, limits in document["classes"].items()
    }
    return {**document, "classes": classes, "second_look": {"max_share": 1, "clear_below": 0.05}}


def make_doubtful(box: RunningBox, file: Path) -> dict[str, Any]:
    """Writes that policy to `file` and applies it; returns the first image that was decided by it."""
    box.run("cameras", "add", "dock-1")
    file.write_text(yaml.safe_dump(doubtful(yaml.safe_load(box.run("policy", "show")))))
    box.run("policy", "apply", str(file), "--by", "test")
    numbers = iter(range(0xFF00, 0xFFFF))

    def decided() -> dict[str, Any] | None:
        record = box.outcome(box.upload(frame(next(numbers))).json()["id"])
        return record if record["policy"] == 2 else None

    found: dict[str, Any] = until(decided, what="a decision by the policy that was applied")
    return found
