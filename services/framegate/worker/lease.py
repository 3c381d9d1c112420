"""The lease outlives the batch: everything held is extended until it is settled, also during shutdown."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from framegate.kernel.errors import Transient
from framegate.observability.catalogue import IN_FLIGHT
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.clock import Clock
from framegate.ports.progress import Progress
from framegate.ports.queue import Queue
from framegate.worker.handler import Held

J = TypeVar("J")


@dataclass(slots=True)
class _Entry:
    held: Held[Any]
    renewed: float
    claimed: bool = True


class Lease(Generic[J]):
    """Holds messages and claims, and renews those that are a third of the lease old. A context manager."""

    def __init__(
        self, queue: Queue, progress: Progress, lease: timedelta, clock: Clock, metrics: Metrics, log: Log, stage: str
    ) -> None:
        self._queue, self._progress, self._lease, self._clock = queue, progress, lease, clock
        self._metrics, self._log, self._stage = metrics, log, stage
        self._entries: dict[str, _Entry] = {}
        self._claims = 0
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self.failure: Exception | None = None  #: what ended the renewing thread too early
        self._thread = threading.Thread(target=self._renew_until_stopped, name=f"{stage}-lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(timeout=2)  # everything is settled: what it may still wait for matters to nobody

    @property
    def alive(self) -> bool:
        """Whether the renewing thread runs; a worker without it must stop."""
        return self._thread.is_alive()

    def hold(self, held: Iterable[Held[J]]) -> None:
        """From now on they are renewed."""
        with self._changed:
            now = self._clock.monotonic()
            self._entries.update({h.delivery.receipt: _Entry(h, now) for h in held})
            self._count()

    def drop(self, held: Iterable[Held[J]]) -> None:
        """They are settled (or somebody else's)."""
        with self._changed:
            for h in held:
                self._entries.pop(h.delivery.receipt, None)
            self._count()
            self._changed.notify_all()

    def park(self, held: Iterable[Held[J]]) -> None:
        """Their claims were given back; only their messages are renewed from now on."""
        with self._changed:
            for h in held:
                if entry := self._entries.get(h.delivery.receipt):
                    entry.claimed = False
            self._count()
            self._changed.notify_all()

    def _count(self) -> None:
        self._claims = sum(entry.claimed for entry in self._entries.values())
        self._metrics.set(IN_FLIGHT, len(self._entries), stage=self._stage)

    def __len__(self) -> int:
        """How many claims are held."""
        return self._claims

    def wait_below(self, count: int, timeout_s: float, stop: threading.Event) -> bool:
        """Blocks until fewer than `count` claims are held, or until `stop` and `wake`; False after `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._claims < count or stop.is_set(), timeout_s)

    def wake(self) -> None:
        """Lets every `wait_below` look at its `stop`."""
        with self._changed:
            self._changed.notify_all()

    def _renew_until_stopped(self) -> None:
        # Ticks are short against the lease so that a renewal that failed is tried again in time.
        tick = self._lease.total_seconds() / 12
        while not self._clock.wait(self._stop, tick):
            try:
                self.renew_due()
            except Transient as error:
                self._log.warning("lease not renewed", action="lease_renewal_failed", error=str(error))
            except Exception as error:
                self._log.exception("a thread died", action="thread_died", thread=self._thread.name)
                self.failure = error
                return

    def renew_due(self) -> None:
        """Renews what is a third of the lease old; what turns out to be lost is left to `complete` to notice."""
        now = self._clock.monotonic()
        with self._changed:
            due = [e for e in self._entries.values() if now - e.renewed >= self._lease.total_seconds() / 3]
        if not due:
            return
        lost = self._queue.extend([e.held.delivery for e in due], self._lease)
        lost_claims = self._progress.extend([e.held.claim for e in due if e.claimed], self._lease)
        for entry in due:
            entry.renewed = now
        if lost or lost_claims:
            self._log.warning("leases lost", action="leases_lost", messages=len(lost), claims=len(lost_claims))
