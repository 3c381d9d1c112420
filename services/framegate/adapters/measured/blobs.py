"""The blob store, timed."""

from pathlib import Path

from framegate.observability.catalogue import BLOB_BYTES
from framegate.observability.dependencies import Calls
from framegate.observability.metrics import Metrics
from framegate.ports.blobs import Blobs


class MeasuredBlobs:
    """`Blobs`."""

    def __init__(self, blobs: Blobs, metrics: Metrics) -> None:
        self._blobs, self._metrics, self._calls = blobs, metrics, Calls(metrics, "blobs")

    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        """See the port."""
        with self._calls("put"):
            self._blobs.put(key, data, durable=durable)
        self._metrics.count(BLOB_BYTES, memoryview(data).nbytes, operation="put")

    def adopt(self, key: str, file: Path) -> None:
        """See the port."""
        size = file.stat().st_size  # it is gone afterwards
        with self._calls("adopt"):
            self._blobs.adopt(key, file)
        self._metrics.count(BLOB_BYTES, size, operation="put")

    def spool_dir(self) -> Path:
        """See the port."""
        return self._blobs.spool_dir()

    def get(self, key: str) -> bytes:
        """See the port."""
        with self._calls("get"):
            data = self._blobs.get(key)
        self._metrics.count(BLOB_BYTES, len(data), operation="get")
        return data

    def exists(self, key: str) -> bool:
        """See the port."""
        with self._calls("exists"):
            return self._blobs.exists(key)

    def delete(self, key: str) -> None:
        """See the port."""
        with self._calls("delete"):
            self._blobs.delete(key)

    def free_bytes(self) -> int | None:
        """See the port; a question to the file system, asked for every upload and not worth timing."""
        return self._blobs.free_bytes()

    def sweep(self, prefix: str, older_than_s: float) -> int:
        """See the port."""
        with self._calls("sweep"):
            return self._blobs.sweep(prefix, older_than_s)
