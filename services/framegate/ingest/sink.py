"""Where the bytes of one upload go: memory first, then a file in the blob store's spool."""

import asyncio
import hashlib
import mmap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from framegate.ingest.slots import SMALLEST_ALLOWANCE
from framegate.web.problems import Problem

Buffer = bytes | mmap.mmap


class Sink:
    """`write` on the event loop, everything else in worker threads. `discard` it in the end, whatever happened."""

    def __init__(self, pool: Executor, spool_dir: Callable[[], Path], memory_bytes: int, max_bytes: int) -> None:
        self.size = 0
        self.spooled = False  #: whether there may be a file to discard
        self._pool, self._spool_dir = pool, spool_dir
        self._allowance, self._max_bytes = memory_bytes, max_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None
        self.path: Path | None = None
        # A flush may still run when its upload is given up: it must not leave a file behind.
        self._lock = threading.Lock()
        self._discarded = False

    async def write(self, data: bytes) -> None:
        """Raises `Problem` one byte over the limit. The disk is written in steps of 256 KiB or more, off the loop."""
        self.size += len(data)
        if self.size > self._max_bytes:
            raise too_large(self._max_bytes)
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes > self._allowance:
            self.spooled = True
            try:
                await asyncio.get_running_loop().run_in_executor(self._pool, self._flush)
            except OSError as error:
                raise no_storage() from error

    def _flush(self) -> None:
        with self._lock:
            if self._discarded:
                return
            if self._file is None:
                self.path = self._spool_dir() / f"upload-{uuid4().hex}"
                self._file = self.path.open("x+b", buffering=0)
            self._allowance = SMALLEST_ALLOWANCE
            data = b"".join(self._pending)
            self._pending, self._pending_bytes = [], 0
            self._hash.update(data)
            view = memoryview(data)
            while view:  # an unbuffered write may be short
                view = view[self._file.write(view) :]

    @contextmanager
    def content(self) -> Iterator[Buffer]:
        """All bytes, in memory or mapped. A spooled file is complete on disk, though not yet durable."""
        if self._file is None:
            data = b"".join(self._pending)
            self._hash.update(data)
            self._pending = [data]
            yield data
            return
        self._flush()
        with self._file as file:
            # Not closed here: a refusal's traceback may still hold a match inside the map.
            yield mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def sha256(self) -> bytes:
        """Of everything; valid from `content` on."""
        return self._hash.digest()

    def discard(self) -> None:
        """Removes what was spooled and not adopted."""
        with self._lock:
            self._discarded = True
            self._pending = []
            if self._file is not None:
                self._file.close()
            if self.path is not None:
                self.path.unlink(missing_ok=True)


def too_large(max_bytes: int) -> Problem:
    """The connection is closed: what still comes would have to be read for nothing."""
    return Problem("payload-too-large", f"Send at most {max_bytes} bytes.", headers={"Connection": "close"})


def no_storage() -> Problem:
    """The disk is full or does not answer."""
    return Problem("storage-unavailable", headers={"Retry-After": "30"})
