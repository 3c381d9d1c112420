"""How many images wait, looked at beside the uploads."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from framegate.kernel.errors import FramegateError
from framegate.ports.clock import Clock
from framegate.web.problems import Problem

_FRESH_S: Final = 1.0


class Backlog:
    """For one event loop. An upload never waits for the count: it is judged by the last one known."""

    def __init__(self, count: Callable[[], int] | None, most: int | None, clock: Clock, pool: Executor) -> None:
        self._count, self._most, self._clock, self._pool = count, most, clock, pool
        self._counted_at = float("-inf")
        self._waiting = 0

    def check(self) -> None:
        """Raises `Problem` when more images wait than allowed."""
        if self._count is None or self._most is None:
            return
        if self._clock.monotonic() - self._counted_at >= _FRESH_S:
            self._counted_at = self._clock.monotonic()
            self._pool.submit(self._look)
        if self._waiting > self._most:
            raise Problem("overloaded", "More images wait than are allowed to.", headers={"Retry-After": "5"})

    def _look(self) -> None:
        try:
            self._waiting = self._count() if self._count else 0
        except FramegateError:
            self._waiting = 0  # what is wrong shows when the upload is recorded
