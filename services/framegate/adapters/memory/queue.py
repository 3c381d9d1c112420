"""Queues that live as long as the process: the whole contract of `ports.queue`, for tests and for small tools."""

import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Self
from uuid import uuid4

from framegate.ports.clock import Clock
from framegate.ports.queue import DeadLetter, Delivery, Depth

MAX_BODY_BYTES = 1024 * 1024


@dataclass(slots=True, eq=False)
class _Message:
    id: str
    queue: str
    body: str
    sequence: int  #: in the order of sending; breaks ties, so that equal runs are equal
    enqueued_at: datetime
    visible_at: float
    receive_count: int = 0
    receipt: str | None = None
    owner: str = ""


@dataclass(slots=True)
class _Lane:
    """One queue. `hidden` may hold entries that are out of date: the message's own `visible_at` is what counts."""

    messages: dict[str, _Message] = field(default_factory=dict)
    ready: OrderedDict[str, _Message] = field(default_factory=OrderedDict)
    hidden: list[tuple[float, int, str]] = field(default_factory=list)

    def show(self, message: _Message, at: float, now: float) -> None:
        message.visible_at = at
        if at <= now:
            self.ready[message.id] = message
        else:
            self.ready.pop(message.id, None)
            heappush(self.hidden, (at, message.sequence, message.id))

    def surface(self, now: float) -> None:
        while self.hidden and self.hidden[0][0] <= now:
            at, _, message_id = heappop(self.hidden)
            message = self.messages.get(message_id)
            if message is not None and message.visible_at == at:
                self.ready[message_id] = message

    def next_change(self) -> float:
        return self.hidden[0][0] if self.hidden else float("inf")

    def remove(self, message: _Message) -> None:
        del self.messages[message.id]
        self.ready.pop(message.id, None)


class _Broker:
    """What all owners share; everything happens under `lock`."""

    def __init__(self, clock: Clock, max_receives: int) -> None:
        self.clock, self.max_receives = clock, max_receives
        self.lock = threading.Lock()
        self.lanes: defaultdict[str, _Lane] = defaultdict(_Lane)
        self.dead: dict[str, DeadLetter] = {}
        self.waiting: set[threading.Event] = set()
        self.sequence = count(1)

    def wake(self) -> None:
        for event in self.waiting:
            event.set()

    def add(self, queue: str, body: str, delay_s: float) -> None:
        now = self.clock.monotonic()
        message = _Message(uuid4().hex, queue, body, next(self.sequence), self.clock.now(), now + delay_s)
        lane = self.lanes[queue]
        lane.messages[message.id] = message
        lane.show(message, message.visible_at, now)

    def current(self, delivery: Delivery) -> _Message | None:
        message = self.lanes[delivery.queue].messages.get(delivery.message_id)
        return message if message is not None and message.receipt == delivery.receipt else None

    def bury(self, message: _Message, cause: str) -> None:
        self.lanes[message.queue].remove(message)
        letter = DeadLetter(uuid4().hex, message.queue, message.body, cause, message.receive_count, self.clock.now())
        self.dead[letter.id] = letter

    def take(self, queue: str, limit: int, visibility: timedelta, owner: str) -> Iterator[Delivery]:
        now, lane = self.clock.monotonic(), self.lanes[queue]
        lane.surface(now)
        while lane.ready and limit > 0:
            message = next(iter(lane.ready.values()))
            if message.receive_count >= self.max_receives:
                self.bury(message, "receive-count")
                continue
            message.receive_count += 1
            message.receipt, message.owner = uuid4().hex, owner
            lane.show(message, now + visibility.total_seconds(), now)
            limit -= 1
            yield Delivery(queue, message.id, message.receipt, message.body, message.receive_count, message.enqueued_at)


class MemoryQueue:
    """`Queue` and `DeadLetters`. Safe for use from several threads."""

    def __init__(
        self, clock: Clock, owner: str = "memory", *, max_receives: int = 1000, max_receive: int = 100
    ) -> None:
        """`max_receives`: deliveries of one message before it is a dead letter; `max_receive`: messages a receive."""
        self._broker = _Broker(clock, max_receives)
        self._clock, self._owner, self._max_receive = clock, owner, max_receive
        self._interrupts = 0

    def as_owner(self, owner: str) -> Self:
        """The same queues in the hands of another worker."""
        other = type(self)(self._clock, owner, max_receive=self._max_receive)
        other._broker = self._broker
        return other

    @property
    def max_receive(self) -> int:
        """The most messages one `receive` brings."""
        return self._max_receive

    def send(self, queue: str, bodies: Sequence[str], delay: timedelta = timedelta()) -> None:
        """All of them or, when one is too large, none."""
        for body in bodies:
            if len(body.encode()) > MAX_BODY_BYTES:
                raise ValueError(f"a message body may have {MAX_BODY_BYTES} bytes at most; send a key instead of bytes")
        with self._broker.lock:
            for body in bodies:
                self._broker.add(queue, body, delay.total_seconds())
            self._broker.wake()

    def receive(self, queues: Sequence[str], limit: int, wait: timedelta, visibility: timedelta) -> list[Delivery]:
        """Waits with the injected clock."""
        limit, left_s = min(limit, self._max_receive), wait.total_seconds()
        interrupts = self._interrupts
        while True:
            changed = threading.Event()
            with self._broker.lock:
                taken = self._take(queues, limit, visibility)
                if taken or left_s <= 0 or self._interrupts != interrupts:
                    return taken
                self._broker.waiting.add(changed)
                pause_s = min([left_s, *(self._until_change(queue) for queue in queues)])
                started = self._clock.monotonic()
            try:
                woken = self._clock.wait(changed, pause_s)
                elapsed_s = self._clock.monotonic() - started
                left_s -= elapsed_s if woken else max(elapsed_s, pause_s)
            finally:
                with self._broker.lock:
                    self._broker.waiting.discard(changed)

    def _take(self, queues: Sequence[str], limit: int, visibility: timedelta) -> list[Delivery]:
        taken: list[Delivery] = []
        for queue in queues:
            taken += self._broker.take(queue, limit - len(taken), visibility, self._owner)
        return taken

    def _until_change(self, queue: str) -> float:
        return max(0.001, self._broker.lanes[queue].next_change() - self._clock.monotonic())

    def interrupt(self) -> None:
        """Wakes what waits; a `receive` that starts later waits again."""
        with self._broker.lock:
            self._interrupts += 1
            self._broker.wake()

    def extend(self, deliveries: Sequence[Delivery], visibility: timedelta) -> list[Delivery]:
        """Returns the stale ones."""
        stale: list[Delivery] = []
        with self._broker.lock:
            now = self._clock.monotonic()
            for delivery in deliveries:
                if (message := self._broker.current(delivery)) is None:
                    stale.append(delivery)
                else:
                    self._broker.lanes[message.queue].show(message, now + visibility.total_seconds(), now)
        return stale

    def release(self, deliveries: Sequence[Delivery], delay: timedelta = timedelta()) -> None:
        """The receipts are not valid after it."""
        with self._broker.lock:
            for delivery in deliveries:
                if (message := self._broker.current(delivery)) is not None:
                    self._show_again(message, delay)
            self._broker.wake()

    def _show_again(self, message: _Message, delay: timedelta = timedelta()) -> None:
        now = self._clock.monotonic()
        message.receipt, message.owner = None, ""
        self._broker.lanes[message.queue].show(message, now + delay.total_seconds(), now)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Returns the stale ones."""
        stale: list[Delivery] = []
        with self._broker.lock:
            for delivery in deliveries:
                if (message := self._broker.current(delivery)) is None:
                    stale.append(delivery)
                else:
                    self._broker.lanes[message.queue].remove(message)
        return stale

    def dead_letter(self, delivery: Delivery, cause: str) -> None:
        """Keeps the receive count for whoever looks at it."""
        with self._broker.lock:
            if (message := self._broker.current(delivery)) is not None:
                self._broker.bury(message, cause)

    def recover(self, owner: str) -> int:
        """Messages in flight only; those that `owner` released are visible already."""
        freed = 0
        with self._broker.lock:
            now = self._clock.monotonic()
            for lane in self._broker.lanes.values():
                for message in lane.messages.values():
                    if message.receipt is not None and message.owner == owner and message.visible_at > now:
                        self._show_again(message)
                        freed += 1
            self._broker.wake()
        return freed

    def depth(self, queue: str) -> Depth:
        """Exact."""
        with self._broker.lock:
            now, messages = self._clock.monotonic(), list(self._broker.lanes[queue].messages.values())
            ready = [m for m in messages if m.visible_at <= now]
            delayed = [m for m in messages if m.visible_at > now and m.receipt is None]
            oldest = min((m.enqueued_at for m in [*ready, *delayed]), default=None)
            age = None if oldest is None else max(0.0, (self._clock.now() - oldest).total_seconds())
            return Depth(len(ready), len(messages) - len(ready) - len(delayed), len(delayed), age)

    def oldest_ready(self, queue: str) -> datetime | None:
        """When the message that waits longest for a receiver was sent."""
        with self._broker.lock:
            lane = self._broker.lanes[queue]
            lane.surface(self._clock.monotonic())
            return min((m.enqueued_at for m in lane.ready.values()), default=None)

    def purge(self, queue: str) -> int:
        """Forgets every message, in flight or not, as an operator's mistake would; says how many."""
        with self._broker.lock:
            return len(self._broker.lanes.pop(queue, _Lane()).messages)

    def list_dead(self, limit: int = 100) -> list[DeadLetter]:
        """Newest first."""
        with self._broker.lock:
            return list(reversed(self._broker.dead.values()))[:limit]

    def count_dead(self, limit: int = 1000) -> Mapping[str, int]:
        """The newest `limit`."""
        return Counter(letter.queue for letter in self.list_dead(limit))

    def dead(self, dead_id: str) -> DeadLetter | None:
        """One of them."""
        with self._broker.lock:
            return self._broker.dead.get(dead_id)

    def redrive(self, dead_ids: Sequence[str] | None = None) -> int:
        """Unknown ids are ignored."""
        with self._broker.lock:
            wanted = list(self._broker.dead) if dead_ids is None else list(dict.fromkeys(dead_ids))
            letters = [self._broker.dead.pop(dead_id) for dead_id in wanted if dead_id in self._broker.dead]
            for letter in letters:
                self._broker.add(letter.queue, letter.body, 0.0)
            self._broker.wake()
            return len(letters)
