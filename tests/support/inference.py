"""Claims and engines for tests of the inference stage alone."""

from datetime import UTC, datetime
from uuid import uuid4

from framegate.adapters.memory import FakeClock
from framegate.inference.fleet import Fleet, LoadedModel
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, new_image_id
from framegate.kernel.inspection import ImageFacts, Prepared
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.messages import FramePrepared
from framegate.kernel.rollout import ModelKey, Rollout
from framegate.kernel.states import CameraStatus, Lane, Stage
from framegate.ports.clock import Clock
from framegate.ports.engine import Engine
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


def fleet_of(engine: Engine, manifest: ModelManifest, clock: Clock | None = None) -> Fleet:
    """One model that serves every camera, not warmed."""
    key = ModelKey(manifest.ref, manifest.sha256)
    fleet = Fleet(lambda _: LoadedModel(key, manifest, engine), clock or FakeClock())
    fleet.load(Rollout(key))
    fleet.serve(Rollout(key))
    return fleet
