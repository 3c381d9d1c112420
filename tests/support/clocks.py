"""Waiting for threads that go by a clock of the test's own."""

import time
from collections.abc import Callable

from framegate.adapters.memory import FakeClock


def let_time_pass(clock: FakeClock, condition: Callable[[], bool], step_s: float) -> None:
    """By steps of `step_s`, until `condition` holds; fails after 20 real seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        clock.advance(step_s)
        time.sleep(0.002)
