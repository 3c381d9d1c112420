"""What waits for somebody else's servers: few at a time, and never in the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, TypeVarTuple

from framegate.ports.hooks import DEADLINE_S
from framegate.web.problems import Problem

#: At a time. Each may take as long as a receiver is given.
MOST: Final = 8

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Outside:
    """For one event loop; `close` it."""

    def __init__(self) -> None:
        self.running = 0
        self._pool = ThreadPoolExecutor(MOST, thread_name_prefix="outside")

    async def run(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Raises `Problem` when too many run already: whoever asks again soon needs no queue here."""
        if self.running >= MOST:
            wait_s = str(int(DEADLINE_S))
            raise Problem("overloaded", "Too many endpoints are being tried.", headers={"Retry-After": wait_s})
        self.running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        finally:
            self.running -= 1

    def close(self) -> None:
        """Blocks until what runs has ended."""
        self._pool.shutdown()
