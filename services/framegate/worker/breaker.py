"""Stops a worker from receiving while something it depends on fails."""

import threading

from framegate.observability.catalogue import BREAKER_OPEN
from framegate.observability.metrics import Metrics
from framegate.ports.clock import Clock
from framegate.worker.retry import backoff

_LONGEST_S = 5.0


class Breaker:
    """Open after a failure, closed by the next success. Counts dependencies, never images at fault."""

    def __init__(self, clock: Clock, metrics: Metrics, stage: str) -> None:
        self._clock, self._metrics, self._stage = clock, metrics, stage
        self._lock = threading.Lock()
        self._failures = 0
        self._cause = ""
        metrics.set(BREAKER_OPEN, 0, stage=stage)

    @property
    def cause(self) -> str:
        """Why it is open; empty when it is closed."""
        return self._cause

    def succeeded(self) -> None:
        """Closes it."""
        if self._failures:  # read without the lock: the hot path only ever sees 0
            with self._lock:
                self._failures, self._cause = 0, ""
                self._metrics.set(BREAKER_OPEN, 0, stage=self._stage)

    def failed(self, cause: Exception) -> None:
        """Opens it."""
        with self._lock:
            self._failures += 1
            self._cause = str(cause)
            self._metrics.set(BREAKER_OPEN, 1, stage=self._stage)

    def pause(self, stop: threading.Event) -> bool:
        """Blocks for the backoff of the failures so far (0 to 5 s, full jitter); True when told to stop."""
        return self._clock.wait(stop, backoff(self._failures, _LONGEST_S).total_seconds())
