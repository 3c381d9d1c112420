"""Where messages go in the transaction that makes them true: into the queue itself, or into the outbox of a remote one."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, LiteralString, Protocol

from framegate.adapters.postgres.database import Database, Raw
from framegate.adapters.postgres.statements import statement
from framegate.adapters.postgres.wakeups import wake
from framegate.kernel.errors import Transient
from framegate.observability.logs import get_log

#: Messages that one call of a remote queue takes.
_TOGETHER: Final = 10
_CALLS_AT_A_TIME: Final = 8
#: More than this is left to the relay: the remote queue must be away.
_MOST_WAITING: Final = 20_000
_FLUSH_S: Final = 8.0

#: Sends bodies to a queue; they are durable when it returns. Raises `DependencyUnavailable`.
Send = Callable[[str, Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Row:
    """A message that was committed: the id of its row, its queue, its body."""

    id: int
    queue: str
    body: str


class Outgoing(Protocol):
    """One for each process."""

    @property
    def table(self) -> LiteralString:
        """The table that takes messages: queue, body, enqueued_at, visible_at; an id of its own."""
        ...

    def committed(self, rows: Iterable[Row]) -> None:
        """Called after each commit with the messages that it made; does not raise and hardly blocks."""
        ...


class QueueTable:
    """The queue is in the same database: what is committed is sent, and who waits is woken."""

    table: LiteralString = "queue_messages"

    def __init__(self, database: Database) -> None:
        self._database = database

    def committed(self, rows: Iterable[Row]) -> None:
        """Wakes receivers."""
        wake(self._database, [row.queue for row in rows])


class Outbox:
    """The queue is elsewhere. A thread sends what was committed and then removes its rows; `close` it.

    A process that dies before the send leaves the row to `relay`, one that dies after it has sent a message that is sent
    once more: messages are hints, and workers do not mind.
    """

    table: LiteralString = "outbox"

    def __init__(self, database: Database, send: Send, linger: timedelta) -> None:
        """`linger`: after a send, how long the next messages of a queue wait to be ten; the first ones wait for nothing."""
        self._database, self._send, self._linger_s = database, send, linger.total_seconds()
        self._waiting: defaultdict[str, deque[Row]] = defaultdict(deque)
        self._sent_at: dict[str, float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._pool = ThreadPoolExecutor(_CALLS_AT_A_TIME, thread_name_prefix="outbox-send")
        self._thread: threading.Thread | None = None
        self._log = get_log(component="outbox")

    def committed(self, rows: Iterable[Row]) -> None:
        """Hands them to the sending thread."""
        with self._changed:
            if not self._closed and sum(map(len, self._waiting.values())) < _MOST_WAITING:
                for row in rows:
                    self._waiting[row.queue].append(row)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while rows := self._next():
            sent = self._send_each(rows)
            try:
                if sent:
                    self._database.run(lambda c, ids=sent: _remove(c, ids))  # type: ignore[misc]
            except Transient as error:
                self._log.warning("sent messages stay in the outbox", action="outbox_failed", error=str(error))
            except Exception:
                self._log.exception("sent messages stay in the outbox", action="outbox_failed")

    def _next(self) -> list[Row]:
        """Blocks until some are due; [] when closed and empty."""
        with self._changed:
            while not (rows := self._due()) and not self._closed:
                self._changed.wait(self._until_due())
            return rows

    def _due(self) -> list[Row]:
        """Whole tens of a queue, or all of them when the last send is `linger` ago."""
        rows: list[Row] = []
        now = time.monotonic()
        for queue, waiting in self._waiting.items():
            due = self._closed or now >= self._due_at(queue)
            count = len(waiting) if due else len(waiting) // _TOGETHER * _TOGETHER
            if count:
                rows += [waiting.popleft() for _ in range(count)]
                self._sent_at[queue] = now
        return rows

    def _due_at(self, queue: str) -> float:
        return self._sent_at.get(queue, float("-inf")) + self._linger_s

    def _until_due(self) -> float | None:
        moments = [self._due_at(queue) for queue, waiting in self._waiting.items() if waiting]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _send_each(self, rows: Iterable[Row]) -> list[int]:
        """Those that were sent."""
        groups = [group for queue in _by_queue(rows).values() for group in _in_tens(queue)]
        return [row_id for sent in self._pool.map(self._send_group, groups) for row_id in sent]

    def _send_group(self, rows: Sequence[Row]) -> list[int]:
        try:
            self._send(rows[0].queue, [row.body for row in rows])
        except Transient as error:
            self._log.warning("not sent: left to the sweeper", action="send_failed", count=len(rows), error=str(error))
            return []
        except Exception:
            self._log.exception("not sent: left to the sweeper", action="send_failed", count=len(rows))
            return []
        return [row.id for row in rows]

    def relay(self, idle: timedelta, limit: int) -> int:
        """Sends what lies in the outbox for `idle`: its process died, or could not send. Raises `DependencyUnavailable`.

        The rows are locked meanwhile, so that several sweepers do not send them several times.
        """
        parameters = {"idle": idle.total_seconds(), "max": limit}

        def work(connection: Raw) -> int:
            rows = [Row(*row) for row in connection.execute(statement("outbox_idle"), parameters).fetchall()]
            sent = self._send_each(rows)
            if sent:
                _remove(connection, sent)
            return len(sent)

        return self._database.transaction(work)

    def close(self) -> None:
        """Sends what waits, for a few seconds at most."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_FLUSH_S)
        self._pool.shutdown(wait=False, cancel_futures=True)


def _remove(connection: Raw, ids: Sequence[int]) -> None:
    connection.execute(statement("outbox_remove"), {"ids": list(ids)})


def _by_queue(rows: Iterable[Row]) -> dict[str, list[Row]]:
    queues: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        queues[row.queue].append(row)
    return queues


def _in_tens(rows: Sequence[Row]) -> list[Sequence[Row]]:
    return [rows[n : n + _TOGETHER] for n in range(0, len(rows), _TOGETHER)]
