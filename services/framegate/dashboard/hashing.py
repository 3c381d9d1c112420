"""Passwords, hashed a few at a time: each takes tens of MiB and a tenth of a second."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, TypeVarTuple

from framegate.kernel.people import new_token, normal_password
from framegate.ports.people import Passwords
from framegate.web.problems import Problem

#: At a time.
THREADS: Final = 2
#: Running and waiting; more are told to come again.
MOST: Final = 32

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Hashing:
    """For one event loop; `close` it."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._nobodys: str | None = None
        self.running = 0

    async def hash(self, password: str) -> str:
        """Raises `Problem` when too many wait."""
        return await self._run(self._passwords.hash, normal_password(password))

    async def verify(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        """See `Passwords`. With None the answer is no, after the same work: time does not tell who exists."""
        if self._nobodys is None:
            self._nobodys = await self._run(self._passwords.hash, new_token())
        right, better = await self._run(
            self._passwords.verify, normal_password(password), password_hash or self._nobodys
        )
        return (right, better) if password_hash is not None else (False, None)

    async def _run(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        if self.running >= MOST:
            raise Problem("overloaded", "Too many people are logging in.", headers={"Retry-After": "5"})
        self.running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        finally:
            self.running -= 1

    def close(self) -> None:
        """Blocks until what runs has ended."""
        self._pool.shutdown()
