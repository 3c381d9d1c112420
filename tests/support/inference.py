"""Claims and blobs for tests of the inference stage alone."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from framegate.kernel.errors import BlobMissing
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, new_image_id
from framegate.kernel.inspection import ImageFacts, Prepared
from framegate.kernel.messages import FramePrepared
from framegate.kernel.states import CameraStatus, Lane, Stage
from framegate.ports.progress import Claim

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def claim(prepared: Prepared | None) -> Claim:
    image_id = new_image_id()
    image = ImageFacts(
        DEFAULT_FACILITY, image_id, CameraId("dock-1"), CameraStatus.CONFIRMED, Lane.LIVE, "originals/x", "image/jpeg",
        "0" * 64, 1, 1920, 1080, 1, _NOW,
    )  # fmt: skip
    message = FramePrepared(DEFAULT_FACILITY, image_id)
    return Claim(uuid4(), Stage.INFERENCE, message, image, 1, 0, False, prepared, None, _NOW)


class DictBlobs:
    """Blobs in a dictionary that the test can see."""

    def __init__(self, **held: bytes) -> None:
        self.held = dict(held)

    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        self.held[key] = bytes(data)

    def adopt(self, key: str, file: Path) -> None:
        raise NotImplementedError

    def spool_dir(self) -> Path:
        raise NotImplementedError

    def get(self, key: str) -> bytes:
        if key not in self.held:
            raise BlobMissing(key)
        return self.held[key]

    def delete(self, key: str) -> None:
        self.held.pop(key, None)

    def free_bytes(self) -> int | None:
        return None

    def sweep(self, prefix: str, older_than_s: float) -> int:
        return 0
