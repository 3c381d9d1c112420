"""Passwords, hashed a few at a time: each takes tens of MiB and a tenth of a second."""

from typing import Final

from framegate.kernel.people import new_token, normal_password
from framegate.ports.people import Passwords
from framegate.web.pool import BoundedPool

#: At a time.
THREADS: Final = 2
#: Running and waiting; more are told to come again.
MOST: Final = 32


class Hashing:
    """For one event loop; `close` it."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords
        self.pool = BoundedPool("passwords", THREADS, MOST, "Too many people are logging in.", 5)
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Raises `Problem` when too many wait."""
        return await self.pool.run(self._passwords.hash, normal_password(password))

    async def verify(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        """See `Passwords`. With None the answer is no, after the same work: time does not tell who exists."""
        if self._nobodys is None:
            self._nobodys = await self.pool.run(self._passwords.hash, new_token())
        right, better = await self.pool.run(
            self._passwords.verify, normal_password(password), password_hash or self._nobodys
        )
        return (right, better) if password_hash is not None else (False, None)

    def close(self) -> None:
        """Blocks until what runs has ended."""
        self.pool.close()
