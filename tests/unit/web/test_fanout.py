"""Asked once for all who watch."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from framegate.adapters.memory import FakeClock
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.ids import FacilityId
from framegate.web.events import RESET, EventStream
from framegate.web.fanout import BATCH, MOST_BEHIND, MOST_OF_ONE, MOST_VIEWERS, QUEUE, Broadcaster, News, Viewer
from framegate.web.problems import Problem
from tests.unit.ingest.fakes import HALL, NOW, OTHER_HALL

from .listening import Client

pytestmark = pytest.mark.anyio
MINE, THEIRS = frozenset({HALL}), frozenset({OTHER_HALL})
BOTH = MINE | THEIRS


class Outcomes:
    """A source. `go_on` cleared: it hangs."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self.asked: list[tuple[frozenset[FacilityId], int, int]] = []
        self.failing: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()

    def add(self, *facilities: FacilityId) -> None:
        for facility in facilities or (HALL,):
            number = len(self.news) + 1
            self.news.append(News(facility, number, "outcome", f"{facility} {number}"))

    def __call__(self, facilities: frozenset[FacilityId], after: int, limit: int) -> list[News]:
        self.asked.append((facilities, after, limit))
        assert self.go_on.wait(10)
        if self.failing is not None:
            raise self.failing
        seen = [news for news in self.news if news.facility in facilities and news.sequence > after]
        return seen[-1:] if after < 0 else seen[:limit]


class Hall:
    """A broadcaster whose time passes when the test says so."""

    def __init__(self, patience_s: float = 5) -> None:
        self.outcomes = Outcomes()
        self.slept: list[float] = []
        self._asleep, self._wake = asyncio.Event(), asyncio.Event()
        self.broadcaster = Broadcaster(self.outcomes, sleep=self._sleep, patience_s=patience_s)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._wake.clear()
        self._asleep.set()
        await self._wake.wait()

    async def settle(self) -> None:
        """Until nothing more is asked for the moment."""
        await asyncio.wait_for(self._asleep.wait(), 10)

    async def tick(self, times: int = 1) -> None:
        for _ in range(times):
            await self.settle()
            self._asleep.clear()
            self._wake.set()
            await self.settle()

    async def over(self) -> None:
        """Until the task has ended."""
        if self.broadcaster._task is not None:
            await asyncio.wait_for(asyncio.shield(self.broadcaster._task), 10)


@pytest.fixture
def hall() -> Hall:
    return Hall()


@pytest.fixture
def watching() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def heard(viewer: Viewer) -> list[str]:
    """What waits for the viewer, in short: `outcome 3`, `reset`."""
    found = []
    while not viewer._queue.empty():
        fields = dict(line.split(": ", 1) for line in viewer._queue.get_nowait().decode().split("\n") if line)
        found.append(f"{fields['event']} {fields['id']}" if "id" in fields else fields["event"])
    return found


async def test_a_hundred_viewers_cost_one_question_a_tick(hall: Hall, watching: ExitStack) -> None:
    viewers = [watching.enter_context(hall.broadcaster.watch(f"login {n}", MINE, None)) for n in range(100)]
    await hall.settle()
    hall.outcomes.asked.clear()
    for n in range(1, 6):
        hall.outcomes.add()
        await hall.tick()
        assert [heard(viewer) for viewer in viewers] == [[f"outcome {n}"]] * 100
    await hall.tick(5)
    assert len(hall.outcomes.asked) == 10
    assert set(hall.slept) == {0.25}
    assert sum(thread.name.startswith("fanout") for thread in threading.enumerate()) == 1


async def test_a_viewer_hears_of_its_own_facilities_only(hall: Hall, watching: ExitStack) -> None:
    mine, theirs, both, nobodys = (
        watching.enter_context(hall.broadcaster.watch("login", facilities, 0))
        for facilities in (MINE, THEIRS, BOTH, frozenset[FacilityId]())
    )
    hall.outcomes.add(HALL, OTHER_HALL, OTHER_HALL)
    await hall.settle()
    hall.outcomes.add(HALL)
    await hall.tick()
    assert heard(mine) == ["outcome 1", "outcome 4"]
    assert heard(theirs) == ["outcome 2", "outcome 3"]
    assert heard(both) == ["outcome 1", "outcome 2", "outcome 3", "outcome 4"]
    assert heard(nobodys) == []
    assert mine.position == theirs.position == nobodys.position == 4


async def test_nobody_who_may_see_nothing_has_it_asked(hall: Hall, watching: ExitStack) -> None:
    watching.enter_context(hall.broadcaster.watch("login", frozenset(), None))
    await hall.tick(2)
    assert hall.outcomes.asked == []


async def test_whoever_comes_new_hears_what_comes_from_then_on(hall: Hall, watching: ExitStack) -> None:
    hall.outcomes.add(HALL, HALL)
    viewer = watching.enter_context(hall.broadcaster.watch("login", MINE, None))
    await hall.settle()
    assert heard(viewer) == []
    hall.outcomes.add()
    await hall.tick()
    assert heard(viewer) == ["outcome 3"]


async def test_whoever_comes_back_hears_what_was_missed_and_the_others_nothing_twice(
    hall: Hall, watching: ExitStack
) -> None:
    first = watching.enter_context(hall.broadcaster.watch("a", MINE, 0))
    hall.outcomes.add(*[HALL] * 5)
    await hall.settle()
    assert len(heard(first)) == 5
    back = watching.enter_context(hall.broadcaster.watch("b", MINE, 3))
    hall.outcomes.add()
    await hall.tick()
    assert heard(back) == ["outcome 4", "outcome 5", "outcome 6"]
    assert heard(first) == ["outcome 6"]


@pytest.mark.parametrize("after", [0, 2**63 - 1])
async def test_whoever_is_too_far_behind_or_knows_what_never_was_loads_the_page_anew(
    hall: Hall, watching: ExitStack, after: int
) -> None:
    hall.outcomes.add(*[HALL] * (MOST_BEHIND + 1))
    viewer = watching.enter_context(hall.broadcaster.watch("login", MINE, after))
    await hall.settle()
    assert heard(viewer) == ["reset"]
    hall.outcomes.add()
    await hall.tick()
    assert heard(viewer) == [f"outcome {MOST_BEHIND + 2}"], "and goes on meanwhile"


async def test_whoever_heard_of_it_from_another_process_first_does_not_hear_it_again(
    hall: Hall, watching: ExitStack
) -> None:
    hall.outcomes.add()
    viewer = watching.enter_context(hall.broadcaster.watch("login", MINE, 2))
    await hall.settle()
    hall.outcomes.add(HALL, HALL)
    await hall.tick()
    assert heard(viewer) == ["outcome 3"]


async def test_whoever_is_just_not_too_far_behind_gets_all_of_it_at_once(hall: Hall, watching: ExitStack) -> None:
    hall.outcomes.add(*[HALL] * MOST_BEHIND)
    viewer = watching.enter_context(hall.broadcaster.watch("login", MINE, 0))
    await hall.settle()
    assert heard(viewer) == [f"outcome {n + 1}" for n in range(MOST_BEHIND)]
    assert hall.slept == [0.25]


@pytest.mark.parametrize("missed", [0, 2])
async def test_whoever_watches_a_quiet_facility_is_not_behind_for_what_busy_ones_do(
    hall: Hall, watching: ExitStack, missed: int
) -> None:
    hall.outcomes.add(HALL, *[OTHER_HALL] * 3 * MOST_BEHIND, *[HALL] * missed)
    watching.enter_context(hall.broadcaster.watch("a", THEIRS, None))
    quiet = watching.enter_context(hall.broadcaster.watch("b", MINE, 1))
    await hall.settle()
    first = 3 * MOST_BEHIND + 2
    assert heard(quiet) == [f"outcome {first + n}" for n in range(missed)]
    hall.outcomes.add(HALL)
    await hall.tick()
    assert heard(quiet) == [f"outcome {first + missed}"]


async def test_a_viewer_of_a_busy_facility_does_not_drag_its_past_in(hall: Hall, watching: ExitStack) -> None:
    hall.outcomes.add(HALL)
    quiet = watching.enter_context(hall.broadcaster.watch("a", MINE, None))
    await hall.settle()
    hall.outcomes.add(*[OTHER_HALL] * 5 * BATCH)
    hall.outcomes.add(HALL)
    hall.outcomes.asked.clear()
    busy = watching.enter_context(hall.broadcaster.watch("b", THEIRS, None))
    await hall.tick()
    assert (heard(quiet), heard(busy)) == ([f"outcome {5 * BATCH + 2}"], [])
    assert len(hall.outcomes.asked) == 3
    hall.outcomes.add(OTHER_HALL, HALL)
    await hall.tick()
    assert (heard(quiet), heard(busy)) == ([f"outcome {5 * BATCH + 4}"], [f"outcome {5 * BATCH + 3}"])


async def test_a_viewer_who_is_too_slow_is_told_to_load_anew_and_dropped_alone(hall: Hall, watching: ExitStack) -> None:
    slow = watching.enter_context(hall.broadcaster.watch("a", MINE, None))
    quick = watching.enter_context(hall.broadcaster.watch("b", MINE, None))
    await hall.settle()
    took = 0
    for _ in range(QUEUE // 100 + 1):
        hall.outcomes.add(*[HALL] * 100)
        await hall.tick()
        took += len(heard(quick))
    assert took == len(hall.outcomes.news)
    assert slow._queue.qsize() == 1
    assert not slow.ended
    assert await slow.next(1) == RESET
    assert slow.ended
    hall.outcomes.add()
    await hall.tick()
    assert slow._queue.empty()
    assert len(heard(quick)) == 1


async def test_trouble_is_told_once_and_its_end_too_and_nothing_is_lost(hall: Hall, watching: ExitStack) -> None:
    viewer = watching.enter_context(hall.broadcaster.watch("a", MINE, 0))
    await hall.settle()
    hall.outcomes.failing = DependencyUnavailable("the database is away")
    hall.outcomes.add()
    await hall.tick(8)
    assert hall.slept == [0.25, 0.5, 1, 2, 4, 8, 10, 10, 10]
    late = watching.enter_context(hall.broadcaster.watch("b", MINE, 0))
    assert (heard(viewer), heard(late)) == (["trouble"], ["trouble"])
    hall.outcomes.failing = None
    await hall.tick()
    assert heard(viewer) == ["outcome 1", "recovered"]
    assert heard(late) == ["recovered", "outcome 1"]
    assert hall.slept[-1] == 0.25


async def test_a_bug_in_the_source_does_not_end_it_either(hall: Hall, watching: ExitStack) -> None:
    viewer = watching.enter_context(hall.broadcaster.watch("a", MINE, 0))
    hall.outcomes.failing = RuntimeError("a bug")
    await hall.settle()
    hall.outcomes.failing = None
    hall.outcomes.add()
    await hall.tick()
    assert heard(viewer) == ["trouble", "recovered", "outcome 1"]


async def test_a_source_that_hangs_is_trouble_and_is_not_asked_again_meanwhile(watching: ExitStack) -> None:
    hall = Hall(patience_s=0.01)
    hall.outcomes.go_on.clear()
    with hall.broadcaster.watch("a", MINE, 0) as viewer:
        assert b"event: trouble" in (await viewer.next(10) or b"")
    again = watching.enter_context(hall.broadcaster.watch("a", MINE, 0))
    await asyncio.sleep(0.05)
    assert len(hall.outcomes.asked) == 1
    hall.outcomes.go_on.set()
    hall.outcomes.add()
    await hall.settle()
    assert heard(again) == ["trouble", "recovered", "outcome 1"]


async def test_too_many_viewers_and_too_many_of_one_are_told_to_come_again(hall: Hall, watching: ExitStack) -> None:
    for _ in range(MOST_OF_ONE):
        watching.enter_context(hall.broadcaster.watch("one", MINE, None))
    with pytest.raises(Problem, match="overloaded") as refused, hall.broadcaster.watch("one", MINE, None):
        pass
    assert int(refused.value.headers["Retry-After"]) > 0
    with ExitStack() as others:
        for n in range(MOST_VIEWERS - MOST_OF_ONE):
            others.enter_context(hall.broadcaster.watch(str(n), MINE, None))
        with pytest.raises(Problem, match="overloaded"), hall.broadcaster.watch("another", MINE, None):
            pass
    with hall.broadcaster.watch("another", MINE, None):
        pass


async def test_two_hundred_viewers_that_leave_leave_nothing_behind(hall: Hall) -> None:
    async def always() -> bool:
        return True

    def stream(n: int) -> EventStream:
        return EventStream(
            lambda: hall.broadcaster.watch(str(n), MINE, 0), always, FakeClock(NOW), over_https=True, wake_s=0.5
        )

    before = asyncio.all_tasks()
    clients = [Client(stream(n)) for n in range(200)]
    hall.outcomes.add()
    for client in clients:
        await client.hear("outcome")
    viewers = [weakref.ref(viewer) for viewer in hall.broadcaster._viewers]
    assert len(viewers) == 200
    await asyncio.gather(*(client.leave() for client in clients))
    await hall.over()
    del clients, client
    gc.collect()
    assert asyncio.all_tasks() == before
    assert not [found for found in viewers if found() is not None]
    assert hall.broadcaster._of == {}
    async with asyncio.timeout(10):
        while any(thread.name.startswith("fanout") for thread in threading.enumerate()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    asked = len(hall.outcomes.asked)
    with hall.broadcaster.watch("somebody", MINE, 0) as viewer:
        assert b"id: 1" in (await viewer.next(10) or b"")
    assert len(hall.outcomes.asked) > asked, "and it begins anew"
    await hall.over()
