"""The wall clock of one try."""

import time

from framegate.adapters.hook_http.failures import Unanswered
from framegate.ports.hooks import Reason


class Deadline:
    """Counts real time, as the sockets do whose timeouts it sets."""

    def __init__(self, seconds: float) -> None:
        """`seconds` from now."""
        self._seconds = seconds
        self._started = time.monotonic()
        self._ends = self._started + seconds

    def left_s(self) -> float:
        """More than 0; raises `Unanswered` (`timeout`) when nothing is left."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def passed(self) -> Unanswered:
        """What to raise when a timeout of `left_s` has run out."""
        return Unanswered(Reason.TIMEOUT, f"no whole answer within {self._seconds:.3g} s")

    def shorten(self, seconds: float) -> None:
        """Ends in `seconds` at the latest."""
        self._ends = min(self._ends, time.monotonic() + seconds)

    def elapsed_ms(self) -> float:
        """Since the start."""
        return (time.monotonic() - self._started) * 1000
