"""A clock that goes when it is told to."""

import threading
import time
from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 1, tzinfo=UTC)
_SLICE_S = 0.005


class FakeClock:
    """Stands still between calls of `advance`. Safe for use from several threads."""

    def __init__(self, start: datetime = _START, *, blocking: bool = False) -> None:
        """`blocking`: `wait` really waits, for its timeout at most; otherwise it advances the clock and returns at once."""
        self._start = start
        self._elapsed = 0.0
        self._blocking = blocking
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The start plus what was advanced."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Lets time pass; waits whose time has come return."""
        if seconds < 0:
            raise ValueError("time does not go back")
        with self._lock:
            self._elapsed += seconds

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Whether `event` is set; see `__init__` for what happens when it is not."""
        if event.is_set() or timeout_s <= 0:
            return event.is_set()
        if not self._blocking:
            self.advance(timeout_s)
            return event.is_set()
        real_end, fake_end = time.monotonic() + timeout_s, self._elapsed + timeout_s
        while (left := real_end - time.monotonic()) > 0 and self._elapsed < fake_end:
            if event.wait(min(left, _SLICE_S)):
                return True
        return event.is_set()
