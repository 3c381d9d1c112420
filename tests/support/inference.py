"""Claims and engines for tests of the inference stage alone."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from framegate.adapters.memory import FakeClock
from framegate.inference.fleet import Fleet, LoadedModel
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, new_image_id
from framegate.kernel.inspection import ImageFacts, Prepared
from framegate.kernel.manifest import Head, ModelInput, ModelManifest
from framegate.kernel.messages import FramePrepared
from framegate.kernel.rollout import ModelKey, Rollout
from framegate.kernel.states import CameraStatus, Lane, Stage
from framegate.ports.clock import Clock
from framegate.ports.engine import Engine
from framegate.ports.progress import Claim

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLASSIFIER = ModelManifest(
    "wear", "1", "test", Path("m.onnx"), "cc" * 32, Head.CLASSIFY, ("intact", "torn", "wet"),
    ModelInput(32, 32, dynamic_batch=True, dynamic_size=False), 0.05, {}, (), {},
)  # fmt: skip


class ColourEngine:
    """A classifier: the shares of red, green and blue in the picture are the probabilities of the three classes.

    `examine` sees each batch first and may raise.
    """

    description = "colours 1 cpu f32"

    def __init__(self, max_batch: int = 4, examine: Callable[[NDArray[np.uint8]], None] = lambda _: None) -> None:
        self.max_batch, self.examine = max_batch, examine
        self.sizes: list[int] = []
        self.closed = False

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.examine(frames)
        self.sizes.append(len(frames))
        sums = frames.sum(axis=(1, 2), dtype=np.float64)
        with np.errstate(invalid="ignore"):
            return (sums / sums.sum(axis=1, keepdims=True)).astype(np.float32)  # black: 0 / 0

    def close(self) -> None:
        self.closed = True


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
