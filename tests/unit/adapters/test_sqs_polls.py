"""Receives in flight: what is waited for, what arrives unasked, and what becomes of it when nobody takes any more."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from framegate.adapters.aws.polling import PollOptions, Polls
from framegate.kernel.errors import DependencyUnavailable
from framegate.ports.queue import Delivery

LIVE, BULK = "live", "bulk"


def delivery(queue: str, name: str) -> Delivery:
    return Delivery(queue, name, name, name, 1, datetime(2026, 1, 1, tzinfo=UTC))


class Server:
    """Answers each poll of a queue with what is next in its list; then polls wait until `give` or the end."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self.put_back: list[str] = []
        self._answers: dict[str, list[list[Delivery] | Exception]] = {LIVE: [], BULK: []}
        self._changed = threading.Condition()
        self._over = False

    def give(self, queue: str, *answers: list[Delivery] | Exception) -> None:
        with self._changed:
            self._answers[queue] += answers
            self._changed.notify_all()

    def ask(self, queue: str, count: int, wait_s: int, visibility_s: int) -> list[Delivery]:
        with self._changed:
            self.asked.append((queue, count, wait_s))
            self._changed.notify_all()
            if wait_s:
                self._changed.wait_for(lambda: self._answers[queue] or self._over, 20)
            answer = self._answers[queue].pop(0) if self._answers[queue] else []
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait_asked(self, polls: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= polls, 20)

    def release(self, deliveries: Sequence[Delivery]) -> None:
        with self._changed:
            self.put_back += [d.body for d in deliveries]
            self._changed.notify_all()

    def wait_put_back(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.put_back) >= count, 20)

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def polls(server: Server) -> Iterator[Polls]:
    with polling(server) as polls:
        yield polls


@contextmanager
def polling(server: Server, linger_s: float = 0) -> Iterator[Polls]:
    polls = Polls(server.ask, server.release, PollOptions(most=4, wait_s=1, linger_s=linger_s))
    yield polls
    server.end()
    polls.close()


def take(polls: Polls, *queues: str, limit: int = 10, wait_s: float = 20) -> list[str]:
    return [d.body for d in polls.take(queues, limit, wait_s, 60)]


def test_a_wait_goes_on_when_a_poll_ends_with_nothing(polls: Polls, server: Server) -> None:
    server.give(LIVE, [], [], [delivery(LIVE, "late")])
    assert take(polls, LIVE) == ["late"]
    assert server.asked == [(LIVE, 10, 1)] * 3


def test_what_arrives_beside_the_preferred_queue_is_kept_for_the_next_take(polls: Polls, server: Server) -> None:
    server.give(BULK, [delivery(BULK, "b1"), delivery(BULK, "b2")])
    assert take(polls, LIVE, BULK, limit=1) == ["b1"]
    server.give(LIVE, [delivery(LIVE, "l1")])
    assert take(polls, LIVE, BULK, limit=1) in (["b2"], ["l1"])
    assert take(polls, LIVE, BULK, limit=1) in (["b2"], ["l1"])


def test_a_full_answer_makes_more_polls_and_leaves_the_other_queue_alone(polls: Polls, server: Server) -> None:
    server.give(LIVE, [delivery(LIVE, f"{n}") for n in range(10)])
    assert len(take(polls, LIVE, limit=30)) == 10
    server.give(LIVE, [delivery(LIVE, "x")])
    assert take(polls, LIVE, BULK, limit=30) == ["x"]
    server.wait_asked(4)
    assert [queue for queue, _, _ in server.asked] == [LIVE] * 4, "one, and then as many as 30 messages need"


def test_a_queue_that_gave_a_few_is_left_to_gather_more_and_others_are_asked_meanwhile(server: Server) -> None:
    with polling(server, linger_s=300) as polls:
        server.give(LIVE, [delivery(LIVE, "l1")], [delivery(LIVE, "l2")])
        assert take(polls, LIVE) == ["l1"]
        server.give(BULK, [delivery(BULK, f"b{n}") for n in range(10)], [delivery(BULK, "last")])
        assert len(take(polls, LIVE, BULK)) == 10
        assert take(polls, LIVE, BULK) == ["last"], "a full one is asked again at once"
        assert take(polls, LIVE, BULK, wait_s=0.05) == []
        assert [queue for queue, _, _ in server.asked] == [LIVE, BULK, BULK]
        assert take(polls, LIVE, wait_s=0) == ["l2"], "a look does not wait"


def test_a_queue_that_gathers_is_asked_again_when_its_time_is_over(server: Server) -> None:
    with polling(server, linger_s=0.05) as polls:
        server.give(LIVE, [delivery(LIVE, "l1")], [delivery(LIVE, "l2")])
        assert take(polls, LIVE) == ["l1"]
        assert take(polls, LIVE) == ["l2"]


def test_a_failure_is_raised_once_and_the_next_take_asks_again(polls: Polls, server: Server) -> None:
    server.give(LIVE, DependencyUnavailable("throttled"), [delivery(LIVE, "after")])
    with pytest.raises(DependencyUnavailable, match="throttled"):
        take(polls, LIVE)
    assert take(polls, LIVE) == ["after"]


def test_rest_ends_a_take_and_what_still_comes_goes_back_at_once(polls: Polls, server: Server) -> None:
    taken: list[list[str]] = []
    waiter = threading.Thread(target=lambda: taken.append(take(polls, LIVE)))
    waiter.start()
    server.wait_asked(1)
    polls.rest()
    waiter.join(20)
    assert taken == [[]]
    server.give(LIVE, [delivery(LIVE, "stray")])
    server.wait_put_back(1)
    assert server.put_back == ["stray"]


def test_rest_puts_back_what_had_arrived_and_was_not_taken(polls: Polls, server: Server) -> None:
    server.give(LIVE, [delivery(LIVE, "one"), delivery(LIVE, "two")])
    assert take(polls, LIVE, limit=1) == ["one"]
    polls.rest()
    assert server.put_back == ["two"]
    server.give(LIVE, [delivery(LIVE, "again")])
    assert take(polls, LIVE) == ["again"], "a take after a rest is a take as any other"


def test_without_a_wait_each_queue_is_asked_once(polls: Polls, server: Server) -> None:
    assert take(polls, LIVE, BULK, wait_s=0) == []
    assert sorted(server.asked) == [(BULK, 10, 0), (LIVE, 10, 0)]
