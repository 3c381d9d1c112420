"""Images that are usual for a camera, and such that are not, through any adapters."""

from dataclasses import replace
from typing import Any, Protocol

from framegate.kernel.camera_health import HealthLimits
from framegate.kernel.drift_state import DriftLimits
from framegate.kernel.ids import CameraId
from framegate.kernel.inspection import Quality
from framegate.kernel.states import Stage, Verdict
from framegate.ports.camera_health import CameraHealths
from framegate.ports.drift import Drifts
from framegate.ports.progress import Progress
from framegate.ports.store import Intake, NewImage

from .examples import CAMERA, accept, complete, inspected, must_claim, outcome, prepared

LIMITS = DriftLimits(
    window_images=10, window_s=0, least=5, learn_s=0, learn_images=80, learn_windows=8, calm=1, rate=0.05
)
HEALTH = HealthLimits(warm_up=10_000, frozen_frames=10_000)


class Watched(Protocol):
    """What a harness, a memory store and the stores of a box have."""

    @property
    def intake(self) -> Intake: ...
    @property
    def progress(self) -> Progress: ...
    @property
    def camera_healths(self) -> CameraHealths: ...
    @property
    def drifts(self) -> Drifts: ...


def sees(
    stores: Watched, images: int, light: float = 120, camera: CameraId = CAMERA, name: str = "carton", **more: Any
) -> list[NewImage]:
    """Neighbouring values in turn, so that a usual window is like any other."""
    taken = []
    for n in range(images):
        image = accept(stores.intake, camera=camera, **more)
        quality = Quality(140.0, light + n % 5, 40 + n % 3, 0.0, 0.0, tint=(-4.0 + n % 2, 3.0))
        frame, found = replace(prepared(), quality=quality), inspected(*[name] * (1 + n % 2))
        for stage, result in ((Stage.PREPROCESS, frame), (Stage.INFERENCE, found), (Stage.GATE, outcome(Verdict.PASS))):
            assert complete(stores.progress, must_claim(stores.progress, stage, image), result)
        taken.append(image)
    stores.camera_healths.follow(HEALTH, 10_000)
    return taken


def drifts(stores: Watched, **more: Any) -> list[NewImage]:
    """Learnt from 80 images, then 20 that are much darker."""
    sees(stores, 80, **more)
    dark = sees(stores, 20, light=60, **more)
    stores.drifts.follow(LIMITS, 10_000)
    return dark
