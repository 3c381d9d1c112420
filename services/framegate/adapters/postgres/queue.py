"""The queue in Postgres: SKIP LOCKED to receive, receipts to fence, LISTEN to wait."""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from framegate.adapters.postgres.database import Database
from framegate.adapters.postgres.rows import storable
from framegate.adapters.postgres.statements import statement
from framegate.adapters.postgres.wakeups import Wakeups, notify
from framegate.ports.queue import DeadLetter, Delivery, Depth

MAX_BODY_BYTES: Final = 1024 * 1024
#: How long a wait lasts at most before the receiver looks by itself: a wake-up may be lost.
_LONGEST_WAIT_S: Final = 1.0
_SHORTEST_WAIT_S: Final = 0.01


class PostgresQueue:
    """`Queue` and `DeadLetters`. Safe for use from several threads; `close` it."""

    def __init__(
        self, database: Database, owner: str = "framegate", *, max_receives: int = 50, max_receive: int = 100
    ) -> None:
        """`max_receives`: deliveries of one message before it is a dead letter; `max_receive`: messages a receive."""
        self._database, self._owner = database, owner
        self._max_receives, self._max_receive = max_receives, max_receive
        self._wakeups = Wakeups(database)
        self._interrupts = 0

    @property
    def max_receive(self) -> int:
        """The most messages one `receive` brings."""
        return self._max_receive

    def send(self, queue: str, bodies: Sequence[str], delay: timedelta = timedelta()) -> None:
        """All of them or none."""
        for body in bodies:
            if len(body.encode()) > MAX_BODY_BYTES:
                raise ValueError(f"a message body may have {MAX_BODY_BYTES} bytes at most; send a key instead of bytes")
            if "\0" in body:
                raise ValueError("a message body cannot hold the character NUL (0)")
        if not bodies:
            return
        parameters = {"queue": queue, "bodies": list(bodies), "delay": delay.total_seconds()}

        def work(connection: Any) -> None:
            connection.execute(statement("queue_send"), parameters)
            if not delay:
                notify(connection, [queue])

        self._database.run(work)

    def receive(self, queues: Sequence[str], limit: int, wait: timedelta, visibility: timedelta) -> list[Delivery]:
        """Costs one statement a second while it waits."""
        interrupts, deadline = self._interrupts, time.monotonic() + wait.total_seconds()
        listening = False
        while True:
            taken = self._take(queues, limit, visibility)
            left_s = deadline - time.monotonic()
            if taken or left_s <= 0 or self._interrupts != interrupts:
                return taken
            if not listening:
                # Look once more after LISTEN: what came in between woke nobody.
                listening = self._wakeups.listen(queues)
                if listening:
                    continue
            pause_s = min(left_s, _LONGEST_WAIT_S, self._next_s(queues))
            self._wakeups.wait(max(pause_s, _SHORTEST_WAIT_S))
            listening = listening and self._wakeups.listen(queues)

    def _take(self, queues: Sequence[str], limit: int, visibility: timedelta) -> list[Delivery]:
        parameters = {
            "queues": list(queues),
            "max": min(limit, self._max_receive),
            "visibility": visibility.total_seconds(),
            "owner": self._owner,
            "max_receives": self._max_receives,
        }
        while True:
            rows = self._database.run(lambda c: c.execute(statement("queue_receive"), parameters).fetchall())
            taken = [Delivery(*row[:6]) for row in rows if row[1] is not None]
            if taken or not rows:  # rows without a delivery: all of them were buried, others may be behind them
                return taken

    def _next_s(self, queues: Sequence[str]) -> float:
        row = self._database.run(lambda c: c.execute(statement("queue_next"), {"queues": list(queues)}).fetchone())
        return float(row[0]) if row and row[0] is not None else _LONGEST_WAIT_S

    def interrupt(self) -> None:
        """Wakes what waits; a `receive` that starts later waits again."""
        self._interrupts += 1
        self._wakeups.interrupt()

    def extend(self, deliveries: Sequence[Delivery], visibility: timedelta) -> list[Delivery]:
        """Returns the stale ones."""
        return self._with_receipts("queue_extend", deliveries, visibility=visibility.total_seconds())

    def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Returns the stale ones."""
        return self._with_receipts("queue_acknowledge", deliveries)

    def _with_receipts(self, name: str, deliveries: Sequence[Delivery], **more: float) -> list[Delivery]:
        if not deliveries:
            return []
        parameters = _receipts(deliveries) | more
        rows = self._database.run(lambda c: c.execute(statement(name), parameters).fetchall())
        valid = {row[0] for row in rows}
        return [delivery for delivery in deliveries if delivery.message_id not in valid]

    def release(self, deliveries: Sequence[Delivery], delay: timedelta = timedelta()) -> None:
        """The receipts are not valid after it."""
        if deliveries:
            self._wake_after("queue_release", _receipts(deliveries) | {"delay": delay.total_seconds()})

    def recover(self, owner: str) -> int:
        """Messages in flight only; those that `owner` released are visible already."""
        return self._wake_after("queue_recover", {"owner": owner})

    def redrive(self, dead_ids: Sequence[str] | None = None) -> int:
        """Unknown ids are ignored."""
        ids = None if dead_ids is None else [int(i) for i in dead_ids if _is_id(i)]
        return self._wake_after("queue_redrive", {"ids": ids})

    def _wake_after(self, name: str, parameters: dict[str, Any]) -> int:
        def work(connection: Any) -> int:
            rows = connection.execute(statement(name), parameters).fetchall()
            notify(connection, [row[0] for row in rows])
            return len(rows)

        return self._database.run(work)

    def dead_letter(self, delivery: Delivery, cause: str) -> None:
        """Keeps the receive count for whoever looks at it."""
        parameters = {"id": int(delivery.message_id), "receipt": delivery.receipt, "cause": storable(cause)}
        self._database.run(lambda c: c.execute(statement("queue_dead_letter"), parameters))

    def depth(self, queue: str) -> Depth:
        """Exact, and counted: its cost grows with what waits."""
        row = self._database.run(lambda c: c.execute(statement("queue_depth"), {"queue": queue}).fetchone())
        ready, in_flight, delayed, oldest_age_s = row or (0, 0, 0, None)
        return Depth(ready, in_flight, delayed, None if oldest_age_s is None else max(0.0, oldest_age_s))

    def list_dead(self, limit: int = 100) -> list[DeadLetter]:
        """Newest first."""
        return self._letters({"id": None, "max": limit})

    def count_dead(self, limit: int = 1000) -> Mapping[str, int]:
        """The newest `limit`, by the primary key: their number may be anything."""
        rows = self._database.run(lambda c: c.execute(statement("queue_count_dead"), {"max": limit}).fetchall())
        return dict(rows)

    def dead(self, dead_id: str) -> DeadLetter | None:
        """One of them."""
        found = self._letters({"id": int(dead_id), "max": 1}) if _is_id(dead_id) else []
        return found[0] if found else None

    def _letters(self, parameters: dict[str, Any]) -> list[DeadLetter]:
        rows = self._database.run(lambda c: c.execute(statement("queue_dead"), parameters).fetchall())
        return [DeadLetter(*row) for row in rows]

    def close(self) -> None:
        """Ends a waiting receive and frees the connection that it listened on."""
        self.interrupt()
        self._wakeups.close()


def _receipts(deliveries: Sequence[Delivery]) -> dict[str, Any]:
    return {"ids": [int(d.message_id) for d in deliveries], "receipts": [d.receipt for d in deliveries]}


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) < 2**63
