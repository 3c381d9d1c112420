"""Deletions on their way, gathered."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from framegate.adapters.aws.polling import MOST_IN_A_CALL
from framegate.kernel.errors import Transient
from framegate.observability.logs import get_log
from framegate.ports.clock import Clock
from framegate.ports.queue import Delivery

#: Seconds that one may wait for nine others; nobody waits for it.
WITHIN_S: Final = 1.0


class Deletes:
    """Acknowledged messages on their way: ten of a queue go together, or whatever is there after a second."""

    def __init__(self, delete: Callable[[Sequence[Delivery]], None], clock: Clock) -> None:
        self._delete, self._clock = delete, clock
        self._waiting: defaultdict[str, list[tuple[Delivery, float]]] = defaultdict(list)
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="sqs-delete", daemon=True)
        self._thread.start()

    def add(self, deliveries: Iterable[tuple[Delivery, float]]) -> None:
        """Each with the moment until which its receipt counts."""
        with self._changed:
            for delivery, until in deliveries:
                self._waiting[delivery.queue].append((delivery, until))
            if any(len(waiting) >= MOST_IN_A_CALL for waiting in self._waiting.values()):
                self._changed.notify()

    def _run(self) -> None:
        while not self._closed:
            with self._changed:
                full = self._changed.wait_for(lambda: self._closed or self._due(MOST_IN_A_CALL), WITHIN_S)
            self.flush(MOST_IN_A_CALL if full and not self._closed else 1)
        self.flush(1)

    def _due(self, least: int) -> bool:
        return any(len(waiting) >= least for waiting in self._waiting.values())

    def flush(self, least: int) -> None:
        """Queues in which `least` messages wait; of those only full calls, unless `least` is 1."""
        with self._changed:
            going: list[tuple[Delivery, float]] = []
            for waiting in self._waiting.values():
                count = len(waiting) if least == 1 else len(waiting) // MOST_IN_A_CALL * MOST_IN_A_CALL
                going += waiting[:count]
                del waiting[:count]
        now = self._clock.monotonic()
        going = [(delivery, until) for delivery, until in going if until > now]
        try:
            self._delete([delivery for delivery, _ in going])
        except Transient as error:
            get_log(component="sqs").warning("cannot delete", action="delete_failed", error=str(error))
            self.add(going)  # those whose receipts run out meanwhile are delivered once more
        except Exception:
            get_log(component="sqs").exception("cannot delete", action="delete_failed")

    def close(self) -> None:
        """Tries once more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=10)
