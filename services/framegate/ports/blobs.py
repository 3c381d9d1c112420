"""Originals and prepared frames, by opaque key."""

import re
from pathlib import Path
from typing import Final, Protocol

#: No leading dot in any part: no `..`, nothing hidden. Parts fit every file system's name limit.
BLOB_KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}){0,9}")


class Blobs(Protocol):
    """Write once: a key is never overwritten with other bytes. Keys are made by Framegate, never by users.

    Every method raises `DependencyUnavailable` when the store does not answer or is full.
    """

    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        """True durability before it returns, unless `durable` is false (for what can be made again)."""
        ...

    def adopt(self, key: str, file: Path) -> None:
        """Takes over `file`, which came from `spool_dir()`; durable before it returns. `file` is gone after it."""
        ...

    def spool_dir(self) -> Path:
        """Where uploads in progress may be written so that `adopt` is cheap."""
        ...

    def get(self, key: str) -> bytes:
        """Raises `BlobMissing`."""
        ...

    def exists(self, key: str) -> bool:
        """Whether `get` would find it."""
        ...

    def delete(self, key: str) -> None:
        """No error when it is already gone."""
        ...

    def free_bytes(self) -> int | None:
        """Space left, None where the store has no such limit."""
        ...

    def sweep(self, prefix: str, older_than_s: float) -> int:
        """Deletes what lies under `prefix` for longer; says how many. For spool leftovers and prepared frames."""
        ...
