"""Frames of a camera as preprocess measures them: a place, noise, and goods on their way through."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from framegate.kernel.camera_faults import observe
from framegate.kernel.camera_health import CameraHealth, FaultChange, HealthLimits, Observation
from framegate.kernel.geometry import Letterbox
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.inspection import Prepared, Quality, Scene

FACILITY, CAMERA = FacilityId("hall-1"), CameraId("dock-7")
START = datetime(2026, 3, 2, 6, tzinfo=UTC)
_BOX = Letterbox.fit(64, 48, 640, 640)


class Place:
    """Of a seed of its own. Each frame differs from every other one in its pixels."""

    def __init__(self, seed: int = 1, *, goods: float = 0.5) -> None:
        self._rng = np.random.default_rng(seed)
        self._goods = goods
        self._layout = self._rng.integers(30, 220, (8, 8)).astype(float)

    def frame(self, **quality: float) -> Prepared:
        """`quality` replaces measures."""
        rng, layout = self._rng, self._layout.copy()
        if rng.random() < self._goods:
            row, column, height, width = rng.integers(0, 5), rng.integers(0, 5), rng.integers(2, 5), rng.integers(2, 5)
            layout[row : row + height, column : column + width] = rng.integers(0, 255)
        light = rng.normal(0, 4)
        luma = np.clip(layout + light + rng.normal(0, 1, (8, 8)), 0, 255).astype(np.uint8)
        measured = Quality(
            sharpness=float(140 * np.exp(rng.normal(0, 0.25))),
            exposure=float(120 + light),
            contrast=float(45 * np.exp(rng.normal(0, 0.15))),
            clipped_dark=0.0,
            clipped_bright=0.0,
        )
        return prepared(replace(measured, **quality), Scene(rng.bytes(64), luma.tobytes()))


def prepared(quality: Quality, scene: Scene | None) -> Prepared:
    return Prepared("prepared/one", "raw", _BOX, quality, {}, scene)


def dark(place: Place) -> Prepared:
    return place.frame(exposure=9.0, contrast=7.0, sharpness=8.0)


def blocked(place: Place) -> Prepared:
    return place.frame(contrast=3.0, sharpness=4.0)


def dirty(place: Place) -> Prepared:
    return place.frame(sharpness=14.0)


def turned(frame: Prepared) -> Prepared:
    """As seen by a camera that looks elsewhere."""
    assert frame.scene is not None
    layout = np.frombuffer(frame.scene.layout, np.uint8).reshape(8, 8)
    return replace(frame, scene=Scene(frame.scene.tiles, np.roll(layout, (2, 3), (0, 1)).tobytes()))


@dataclass
class Watched:
    """One camera with a frame every so often."""

    every_s: float = 5.0
    limits: HealthLimits = field(default_factory=HealthLimits)

    def __post_init__(self) -> None:
        self.health, self.at = CameraHealth(), START

    def sees(self, *frames: Prepared | None) -> list[FaultChange]:
        changes: list[FaultChange] = []
        for frame in frames:
            self.at += timedelta(seconds=self.every_s)
            changes += observe(self.health, Observation(FACILITY, CAMERA, self.at, frame), self.limits)
        return changes

    @property
    def faults(self) -> set[Any]:
        return set(self.health.faults)
