import threading

import pytest

from framegate.observability.background import BackgroundReadings, Unreadable
from framegate.observability.catalogue import CPU_RATIO
from framegate.observability.readings import Reading
from tests.support.clocks import FakeClock

ONE = [Reading(CPU_RATIO, 0.5)]


def test_what_was_read_is_given_until_it_is_three_rounds_old() -> None:
    clock = FakeClock()
    readings = BackgroundReadings(lambda: ONE, 5, clock.monotonic)
    assert list(readings()) == []
    assert readings.look()
    clock.advance(15)
    assert list(readings()) == ONE
    clock.advance(0.1)
    assert list(readings()) == []


def test_an_error_is_no_reading_and_the_next_round_asks_again() -> None:
    answers = [ONE, OSError("lost"), ONE]

    def read() -> list[Reading]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    readings = BackgroundReadings(read)
    given = []
    while answers:
        assert readings.look()
        given.append(list(readings()))
    assert given == [ONE, [], ONE]


def test_what_can_never_be_read_is_not_asked_again() -> None:
    asked = threading.Event()

    def read() -> list[Reading]:
        asked.set()
        raise Unreadable("no driver")

    readings = BackgroundReadings(read, every_s=0)
    with readings:
        assert asked.wait(10)
        readings._thread.join(10)
        assert not readings._thread.is_alive()
        assert list(readings()) == []


@pytest.mark.timeout(30)
def test_one_that_hangs_holds_up_neither_a_scrape_nor_the_end() -> None:
    hanging, released = threading.Event(), threading.Event()

    def read() -> list[Reading]:
        hanging.set()
        released.wait(60)
        return ONE

    readings = BackgroundReadings(read)
    with readings:
        assert hanging.wait(10)
        assert list(readings()) == []
    assert not released.is_set()
    released.set()
