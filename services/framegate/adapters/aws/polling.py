"""Receives in flight, several at a time, and what they brought that nobody has taken yet."""

import math
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from framegate.kernel.errors import Transient
from framegate.ports.queue import Delivery

#: Messages in one ReceiveMessage, and entries in one batch call (Amazon SQS quotas).
MOST_IN_A_CALL: Final = 10


class Ask(Protocol):
    """One ReceiveMessage."""

    def __call__(self, queue: str, count: int, wait_s: int, visibility_s: int) -> list[Delivery]:
        """Raises `DependencyUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class PollOptions:
    """How much is asked at a time."""

    most: int = 16  #: receives in flight for one queue while it is full
    wait_s: int = 10  #: how long one of them waits for messages
    look_s: int = 1  #: how long a look at dead letters waits; a short poll (0) asks only some of SQS's servers
    linger_s: float = 0.0  #: how long a queue that gave some, but not all that was asked for, is left to gather more


class Polls:
    """Each queue that is asked for has one long poll in flight, and as many as a batch needs while it brings full ones.

    A long poll outlives the `take` that started it: several queues are waited for at the price of one call each in
    `wait_s`, and a message of any of them is there at once. It cannot be called off without losing what it is about to
    bring, so after `rest` whatever still arrives goes back, at once.
    """

    def __init__(self, ask: Ask, put_back: Callable[[Sequence[Delivery]], None], options: PollOptions) -> None:
        self._ask, self._put_back, self._options = ask, put_back, options
        self._pool = ThreadPoolExecutor(2 * options.most + 2, thread_name_prefix="sqs-poll")
        self._changed = threading.Condition()
        self._arrived: defaultdict[str, deque[Delivery]] = defaultdict(deque)
        self._running: Counter[str] = Counter()
        self._full: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._failure: Exception | None = None
        self._resting = self._closed = False
        self._rests = 0

    def take(self, queues: Sequence[str], limit: int, wait_s: float, visibility_s: int) -> list[Delivery]:
        """Up to `limit`, from `queues` in order of preference; [] after `wait_s` or `rest`. Raises what a poll raised."""
        until = time.monotonic() + wait_s
        with self._changed:
            if self._closed:
                return []
            self._resting, rests = False, self._rests

            def over() -> bool:
                return self._rests != rests or self._failure is not None or any(self._arrived[q] for q in queues)

            if wait_s <= 0 and not over():
                # Only the polls of this call count: an earlier one may wait for a long time yet.
                mine = self._start(queues, limit, wait_s, visibility_s)
                self._changed.wait_for(lambda: self._rests != rests or all(poll.done() for poll in mine))
            while not over() and (left_s := until - time.monotonic()) > 0:
                self._start(queues, limit, wait_s, visibility_s)  # also for polls that ended with nothing
                self._changed.wait(min(left_s, self._gathering_s(queues)))
            taken = self._taken(queues, limit)
            if not taken and self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            return taken

    def _gathering_s(self, queues: Sequence[str]) -> float:
        """Until the first of the queues that are left to gather may be asked again."""
        now = time.monotonic()
        return min((at - now for q in queues if (at := self._not_before.get(q, 0.0)) > now), default=math.inf)

    def _taken(self, queues: Sequence[str], limit: int) -> list[Delivery]:
        taken: list[Delivery] = []
        for queue in queues:
            arrived = self._arrived[queue]
            while arrived and len(taken) < limit:
                taken.append(arrived.popleft())
        return taken

    def _start(self, queues: Sequence[str], limit: int, wait_s: float, visibility_s: int) -> list[Future[None]]:
        started = []
        for queue in queues:
            if wait_s > 0 and self._gathering_s([queue]) < math.inf:
                continue
            wanted = min(max(1, limit // MOST_IN_A_CALL), self._options.most) if queue in self._full else 1
            running = self._running[queue] if wait_s > 0 else 0
            for _ in range(wanted - running):
                self._running[queue] += 1
                wait = self._options.wait_s if wait_s > 0 else 0
                poll = self._pool.submit(self._poll, queue, min(limit, MOST_IN_A_CALL), wait, visibility_s)
                poll.add_done_callback(self._wake)
                started.append(poll)
            if wait_s > 0 and queue in self._full:
                break  # it has enough: the others are not asked, or they would get as much as the preferred one
        return started

    def _wake(self, _: Future[None]) -> None:
        with self._changed:
            self._changed.notify_all()

    def _poll(self, queue: str, count: int, wait_s: int, visibility_s: int) -> None:
        brought: list[Delivery] = []
        failure: Exception | None = None
        try:
            brought = self._ask(queue, count, wait_s, visibility_s)
        except Exception as error:  # whatever it is, `take` must hear of it
            failure = error
        with self._changed:
            self._running[queue] -= 1
            self._failure = failure or self._failure
            (self._full.add if len(brought) == count else self._full.discard)(queue)
            if 0 < len(brought) < count:
                self._not_before[queue] = time.monotonic() + self._options.linger_s
            unwanted = self._resting
            if not unwanted:
                self._arrived[queue].extend(brought)
        if unwanted and brought:
            self._give_back(brought)

    def rest(self) -> None:
        """Nobody takes any more, until somebody does: ends a waiting `take`; what is here and still comes goes back."""
        with self._changed:
            self._rests += 1
            self._resting = True
            left = [delivery for arrived in self._arrived.values() for delivery in arrived]
            self._arrived.clear()
            self._changed.notify_all()
        if left:
            self._give_back(left)

    def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        with suppress(Transient):  # they come again when their visibility ends
            self._put_back(deliveries)

    def close(self) -> None:
        """Awaits the polls in flight, `wait_s` at most."""
        with self._changed:
            self._closed = True
        self.rest()
        self._pool.shutdown()
