"""Clocks: the one of this machine, and the one that tests move."""

import threading
import time
from datetime import UTC, timedelta

import pytest

from framegate.adapters.clock import SystemClock
from framegate.adapters.memory import FakeClock


def test_the_system_clock_says_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


@pytest.mark.parametrize(
    "clock", [SystemClock(), FakeClock(), FakeClock(blocking=True)], ids=["system", "fake", "real"]
)
def test_waiting_for_a_set_event_says_so_and_passes_no_time(clock: SystemClock | FakeClock) -> None:
    event = threading.Event()
    event.set()
    assert clock.wait(event, 3600) is True
    assert clock.wait(threading.Event(), -1) is False


def test_the_system_clock_wakes_when_the_event_is_set() -> None:
    event = threading.Event()
    threading.Timer(0.02, event.set).start()
    assert SystemClock().wait(event, 30) is True


def test_a_fake_wait_moves_the_clock_and_returns() -> None:
    clock = FakeClock()
    before = clock.now()
    assert clock.wait(threading.Event(), 3600) is False
    assert clock.now() - before == timedelta(hours=1)
    assert clock.monotonic() == 3600


def test_a_fake_clock_stands_still_by_itself() -> None:
    clock = FakeClock(blocking=True)
    assert clock.wait(threading.Event(), 0.01) is False
    assert clock.monotonic() == 0


def test_a_blocking_wait_ends_when_its_time_is_advanced_past() -> None:
    clock = FakeClock(blocking=True)
    results: list[bool] = []
    waiter = threading.Thread(target=lambda: results.append(clock.wait(threading.Event(), 3600)), daemon=True)
    waiter.start()
    while waiter.is_alive():  # an advance before the wait began does not count
        clock.advance(3601)
        time.sleep(0.005)
    assert results == [False]


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="back"):
        FakeClock().advance(-1)
