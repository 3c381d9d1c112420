"""Blobs in memory."""

import tempfile
import threading
from pathlib import Path

from framegate.kernel.errors import BlobMissing
from framegate.ports.clock import Clock


class MemoryBlobs:
    """`Blobs`. Safe for use from several threads. Only uploads in progress touch the disk, below `spool`."""

    def __init__(self, clock: Clock, spool: Path | None = None) -> None:
        """Without `spool`, a temporary directory is made for the first upload and removed with this object."""
        self._clock, self._spool = clock, spool
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self._blobs: dict[str, tuple[float, bytes, bool]] = {}

    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        """Raises ValueError when a durable `key` holds other bytes."""
        with self._lock:
            known = self._blobs.get(key)
            if known is not None and known[2] and known[1] != data:
                raise ValueError(f"the blob {key} holds other bytes already")
            self._blobs[key] = (self._clock.monotonic(), bytes(data), durable)

    def adopt(self, key: str, file: Path) -> None:
        """A repeated call, whose file is gone, succeeds."""
        try:
            self.put(key, file.read_bytes())
        except FileNotFoundError as error:
            if key not in self._blobs:
                raise BlobMissing(f"the upload {file.name} is gone") from error
        else:
            file.unlink()

    def spool_dir(self) -> Path:
        """Exists."""
        with self._lock:
            if self._spool is None:
                self._own = tempfile.TemporaryDirectory(prefix="framegate-spool-")
                self._spool = Path(self._own.name)
            return self._spool

    def get(self, key: str) -> bytes:
        """Raises `BlobMissing`."""
        try:
            return self._blobs[key][1]
        except KeyError:
            raise BlobMissing(f"there is no blob {key}") from None

    def exists(self, key: str) -> bool:
        """Whether `get` would find it."""
        return key in self._blobs

    def delete(self, key: str) -> None:
        """No error when it is already gone."""
        self._blobs.pop(key, None)

    def free_bytes(self) -> int | None:
        """No limit."""
        return None

    def sweep(self, prefix: str, older_than_s: float) -> int:
        """Spool files are left to whoever owns the directory."""
        with self._lock:
            limit, below = self._clock.monotonic() - older_than_s, prefix.rstrip("/") + "/"
            old = [key for key, (at, _, _) in self._blobs.items() if key.startswith(below) and at < limit]
            for key in old:
                del self._blobs[key]
            return len(old)
