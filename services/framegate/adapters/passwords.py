"""Passwords hashed with Argon2id."""

from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

#: RFC 9106 §4, the second recommended option: 64 MiB, three passes, four lanes.
MEMORY_KIB: Final = 64 * 1024
PASSES: Final = 3
LANES: Final = 4


class Argon2Passwords:
    """`Passwords`. Safe for use from several threads, each of which needs `memory_kib`."""

    def __init__(self, memory_kib: int = MEMORY_KIB, passes: int = PASSES, lanes: int = LANES) -> None:
        self._hasher = PasswordHash((Argon2Hasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes),))

    def hash(self, password: str) -> str:
        """In the PHC string format."""
        return self._hasher.hash(password)

    def verify(self, password: str, password_hash: str) -> tuple[bool, str | None]:
        """Also with hashes of other parameters."""
        return self._hasher.verify_and_update(password, password_hash)
