"""Bounds on what is held at the same time. For one event loop: no locks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from framegate.web.problems import Problem

#: What an upload may keep in memory even when the budget is spent.
SMALLEST_ALLOWANCE: Final = 256 * 1024


class UploadSlots:
    """How many uploads are in progress and what they keep in memory."""

    def __init__(self, most: int, memory_bytes: int, memory_total_bytes: int) -> None:
        self._most, self._memory_bytes, self._left = most, memory_bytes, memory_total_bytes
        self.used = 0

    @contextmanager
    def upload(self, announced_bytes: int | None) -> Iterator[int]:
        """Gives the bytes this upload may keep in memory. Raises `Problem` when there are too many uploads."""
        if self.used >= self._most:
            raise Problem("overloaded", "Too many uploads at once.", headers={"Retry-After": "1"})
        wanted = announced_bytes or 0
        fits = SMALLEST_ALLOWANCE < wanted <= min(self._memory_bytes, self._left)
        allowance = wanted if fits else SMALLEST_ALLOWANCE  # a larger one is spooled from early on
        self.used += 1
        self._left -= allowance
        try:
            yield allowance
        finally:
            self.used -= 1
            self._left += allowance


class Running:
    """(facility, key, Idempotency-Key) of requests in progress."""

    def __init__(self) -> None:
        self._running: set[tuple[str, str, str]] = set()

    @contextmanager
    def request(self, facility: str, key_id: str, idempotency_key: str | None) -> Iterator[None]:
        """Raises `Problem` when the same one is running."""
        if idempotency_key is None:
            yield
            return
        name = (facility, key_id, idempotency_key)
        if name in self._running:
            raise Problem("idempotency-in-progress", headers={"Retry-After": "1"})
        self._running.add(name)
        try:
            yield
        finally:
            self._running.discard(name)
