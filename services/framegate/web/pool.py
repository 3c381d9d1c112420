"""What takes long: some of it at a time, and never in the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from framegate.web.problems import Problem

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class BoundedPool:
    """For one event loop; `close` it."""

    def __init__(self, name: str, threads: int, most: int, crowded: str, retry_after_s: int) -> None:
        """`most`: running and waiting; who comes on top is told `crowded`, and to come again."""
        self.running = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._most, self._crowded, self._retry_after_s = most, crowded, retry_after_s

    async def run(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Raises `Problem` (`overloaded`) when there are too many."""
        if self.running >= self._most:
            raise Problem("overloaded", self._crowded, headers={"Retry-After": str(self._retry_after_s)})
        self.running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        finally:
            self.running -= 1

    def wait_for(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """From a thread of another pool, whose bound holds for this, too. Blocks."""
        return self._pool.submit(function, *args).result()

    def close(self) -> None:
        """Blocks until what runs has ended."""
        self._pool.shutdown()
