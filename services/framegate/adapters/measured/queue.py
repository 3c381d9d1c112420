"""A client of the queue, timed."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from framegate.observability.dependencies import Calls
from framegate.observability.metrics import Metrics
from framegate.ports.queue import ClosingQueue, DeadLetter, Delivery, Depth


class MeasuredQueue:
    """`ClosingQueue`. How long a `receive` takes says how long nothing came, so that only its failures count."""

    def __init__(self, queue: ClosingQueue, metrics: Metrics) -> None:
        self._queue, self._calls = queue, Calls(metrics, "queue")

    @property
    def max_receive(self) -> int:
        """See the port."""
        return self._queue.max_receive

    def send(self, queue: str, bodies: Sequence[str], delay: timedelta = timedelta()) -> None:
        """See the port."""
        with self._calls("send"):
            self._queue.send(queue, bodies, delay)

    def receive(self, queues: Sequence[str], limit: int, wait: timedelta, visibility: timedelta) -> list[Delivery]:
        """See the port."""
        with self._calls("receive", waits=True):
            return self._queue.receive(queues, limit, wait, visibility)

    def interrupt(self) -> None:
        """See the port."""
        self._queue.interrupt()

    def extend(self, deliveries: Sequence[Delivery], visibility: timedelta) -> list[Delivery]:
        """See the port."""
        with self._calls("extend"):
            return self._queue.extend(deliveries, visibility)

    def release(self, deliveries: Sequence[Delivery], delay: timedelta = timedelta()) -> None:
        """See the port."""
        with self._calls("release"):
            self._queue.release(deliveries, delay)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """See the port."""
        with self._calls("acknowledge"):
            return self._queue.acknowledge(deliveries)

    def dead_letter(self, delivery: Delivery, cause: str) -> None:
        """See the port."""
        with self._calls("dead_letter"):
            self._queue.dead_letter(delivery, cause)

    def recover(self, owner: str) -> int:
        """See the port."""
        with self._calls("recover"):
            return self._queue.recover(owner)

    def depth(self, queue: str) -> Depth:
        """See the port."""
        with self._calls("depth"):
            return self._queue.depth(queue)

    def list_dead(self, limit: int = 100) -> list[DeadLetter]:
        """See the port."""
        with self._calls("list_dead"):
            return self._queue.list_dead(limit)

    def count_dead(self, limit: int = 1000) -> Mapping[str, int]:
        """See the port."""
        with self._calls("count_dead"):
            return self._queue.count_dead(limit)

    def dead(self, dead_id: str) -> DeadLetter | None:
        """See the port."""
        with self._calls("dead"):
            return self._queue.dead(dead_id)

    def redrive(self, dead_ids: Sequence[str] | None = None) -> int:
        """See the port."""
        with self._calls("redrive"):
            return self._queue.redrive(dead_ids)

    def close(self) -> None:
        """See the port."""
        self._queue.close()
