"""Queues of messages, at least once and in no promised order (the contract of Amazon SQS standard queues)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of one message. `receipt` is valid for this delivery only."""

    queue: str
    message_id: str
    receipt: str
    body: str
    receive_count: int  #: 1 at the first delivery
    enqueued_at: datetime


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits in a queue."""

    ready: int
    in_flight: int
    delayed: int
    oldest_age_s: float | None  #: age of the oldest message that waits (ready or delayed); None when none does


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was taken out of its queue, and why."""

    id: str
    queue: str
    body: str
    cause: str
    receive_count: int
    died_at: datetime


class Queue(Protocol):
    """Every method may raise `DependencyUnavailable`."""

    @property
    def max_receive(self) -> int:
        """The most messages one `receive` brings."""
        ...

    def send(self, queue: str, bodies: Sequence[str], delay: timedelta = timedelta()) -> None:
        """All of `bodies` are durable when it returns. A body over 1 MiB (UTF-8) raises ValueError, nothing is sent.

        Delays are short; what must wait for long waits in the database.
        """
        ...

    def receive(self, queues: Sequence[str], limit: int, wait: timedelta, visibility: timedelta) -> list[Delivery]:
        """Up to `limit` messages, from `queues` in order of preference; blocks up to `wait` while there are none.

        Each is invisible to others for `visibility`. A message received more often than the adapter's `max_receives`
        goes to the dead letters instead (cause `receive-count`).
        """
        ...

    def interrupt(self) -> None:
        """Makes a `receive` that waits in another thread return soon; what it brought by then is still returned."""
        ...

    def extend(self, deliveries: Sequence[Delivery], visibility: timedelta) -> list[Delivery]:
        """Counted from now; returns those whose receipt is no longer valid (the message is somebody else's)."""
        ...

    def release(self, deliveries: Sequence[Delivery], delay: timedelta = timedelta()) -> None:
        """Makes them visible again after `delay`; stale receipts are ignored."""
        ...

    def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Deletes them; returns those whose receipt was stale (nothing was deleted, somebody else has the message)."""
        ...

    def dead_letter(self, delivery: Delivery, cause: str) -> None:
        """Moves it to the dead letters of its queue; a stale receipt is ignored."""
        ...

    def recover(self, owner: str) -> int:
        """Makes visible at once what a dead predecessor named `owner` still holds; 0 where that is not known (SQS)."""
        ...

    def depth(self, queue: str) -> Depth:
        """A snapshot. On SQS approximate, without an age, and what was released with a delay counts as in flight."""
        ...


class DeadLetters(Protocol):
    """For people: what died, and the way back."""

    def list_dead(self, limit: int = 100) -> list[DeadLetter]:
        """Newest first."""
        ...

    def count_dead(self, limit: int = 1000) -> Mapping[str, int]:
        """How many there are of each queue, where there are any; cheap. Of more than `limit` the newest count, or all, where
        the queue counts them itself (SQS, approximately).
        """
        ...

    def dead(self, dead_id: str) -> DeadLetter | None:
        """One of them."""
        ...

    def redrive(self, dead_ids: Sequence[str] | None = None) -> int:
        """Puts them (None: all) back into their queues with a receive count of 0; says how many."""
        ...


class ClosingQueue(Queue, DeadLetters, Protocol):
    """A queue client; `close` it."""

    def close(self) -> None:
        """What it still holds unasked goes back."""
        ...
