"""Claims for tests of the inference stage alone."""

from datetime import UTC, datetime
from uuid import uuid4

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
