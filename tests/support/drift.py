"""Cameras of a hall as they are day by day: hours that differ, batches of the same goods, days that are not alike."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import merge
from math import exp, pi, sin

import numpy as np

from framegate.adapters.memory.drift import MemoryShelf
from framegate.kernel.drift import follow
from framegate.kernel.drift_features import Box, Seen
from framegate.kernel.drift_state import DriftChange, DriftLimits
from framegate.kernel.geometry import Letterbox
from framegate.kernel.ids import CameraId, FacilityId, new_image_id
from framegate.kernel.inspection import Prepared, Quality

FACILITY = FacilityId("hall-1")
START = datetime(2026, 3, 2, tzinfo=UTC)
MODEL = "carton@1"
_FRAME = Letterbox.fit(1280, 720, 640, 640)
_DAMAGES = ("hole", "tear", "dent")


@dataclass
class Dock:
    """One camera. Per image: seconds apart by the hour; light by the sun, the clouds and the day; goods in batches."""

    name: str
    seed: int
    images_a_day: int = 1000
    light: float = 1.0  #: factor on all brightness, of a shift
    blur: float = 1.0  #: factor on sharpness
    tint: float = 0.0  #: added to the blue
    damaged: float = 1.0  #: factor on the rate of damage
    model: str = MODEL
    day_light: float = 6.0  #: standard deviation of a whole day's brightness

    def __post_init__(self) -> None:
        rng = self._rng = np.random.default_rng(self.seed)
        self._base = rng.uniform(85, 125)
        self._sun = rng.choice([0.0, rng.uniform(5, 40)])  # with windows, or without
        self._sharp = rng.uniform(6, 9)
        self._cloud, self._left, self._day, self._offset = 0.0, 0, -1, 0.0
        self._rates = np.array([0.15] * 6 + [1.0] * 8 + [0.7] * 8 + [0.2] * 2)
        self._rates /= self._rates.mean()

    def _batch(self) -> None:
        rng = self._rng
        self._left = int(rng.geometric(1 / 40))
        self._size, self._warm = rng.normal(0, 0.5), rng.normal(0, 2.5)
        self._many = rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1])
        self._bad = float(np.clip(rng.gamma(0.7, 0.07), 0, 0.5))
        self._sure = rng.normal(0, 0.3)

    def images(self, since: datetime, days: float) -> Iterator[Seen]:
        """From a moment on."""
        rng, at, until = self._rng, since, since + timedelta(days=days)
        while True:
            at += timedelta(seconds=rng.exponential(86_400 / self.images_a_day / self._rates[at.hour]))
            if at >= until:
                return
            yield self._image(at)

    def _image(self, at: datetime) -> Seen:
        rng = self._rng
        if self._left <= 0:
            self._batch()
        self._left -= 1
        if at.toordinal() != self._day:
            self._day, self._offset = at.toordinal(), rng.normal(0, self.day_light)
        self._cloud = 0.98 * self._cloud + rng.normal(0, 0.2)
        sun = self._sun * max(0.0, sin(pi * (at.hour + at.minute / 60 - 6) / 14)) * exp(-abs(self._cloud) / 2)
        luma = self.light * (self._base + sun + self._offset + 4 * self._size + rng.normal(0, 6))
        quality = Quality(
            self.blur**2 * 2 ** (self._sharp + 0.3 * self._size + rng.normal(0, 0.35)),
            float(np.clip(luma, 0, 255)),
            float(abs(self.light * (42 + 3 * self._warm + rng.normal(0, 4)))),
            float(np.clip(rng.exponential(0.003) / self.light, 0, 1)),
            float(np.clip(rng.exponential(0.002) * self.light, 0, 1)),
            tint=(-12 + self._warm + self.tint + rng.normal(0, 1), 11 - self._warm - self.tint + rng.normal(0, 1)),
        )
        boxes, ended = self._found()
        prepared = Prepared("prepared/one", "raw", _FRAME, quality, {})
        image = new_image_id(at.timestamp())
        names = ("dock", "pallet") if rng.random() < 0.97 else ("dock",)
        return Seen(0, FACILITY, CameraId(self.name), image, at, ended, self.model, prepared, boxes, names)

    def _found(self) -> tuple[list[Box], str]:
        rng = self._rng
        boxes: list[Box] = []
        for _ in range(int(self._many)):
            side = 260 * exp(0.3 * self._size + rng.normal(0, 0.15))
            boxes.append(self._box("carton", side, 3.0 + self._sure))
        bad = rng.random() < min(0.9, self._bad * self.damaged)
        if bad:
            boxes.append(self._box(str(rng.choice(_DAMAGES)), 60 * exp(rng.normal(0, 0.4)), 0.5 + self._sure))
        if rng.random() < 0.6:
            boxes.append(self._box("label", 80 * exp(rng.normal(0, 0.2)), 2.0))
        boxes.sort(key=lambda box: -box[1])
        return boxes, "pass" if not bad else str(rng.choice(["fail", "review"]))

    def _box(self, name: str, side: float, logit: float) -> Box:
        rng = self._rng
        x, y = rng.normal(640, 160), rng.normal(360, 90)
        wide = side * exp(rng.normal(0.2, 0.15))
        return (
            name,
            float(1 / (1 + exp(-logit - rng.normal(0, 0.8)))),
            (x - wide / 2, y - side / 2, x + wide / 2, y + side / 2),
        )


@dataclass
class Hall:
    """Several docks under watch."""

    docks: list[Dock]
    limits: DriftLimits = field(default_factory=DriftLimits)

    def __post_init__(self) -> None:
        self.shelf, self.now = MemoryShelf(), START
        self.taken = 0

    def lives(self, days: float) -> list[DriftChange]:
        """All of them send for so long."""
        streams = [dock.images(self.now, days) for dock in self.docks]
        self.now += timedelta(days=days)
        changes: list[DriftChange] = []
        for seen in merge(*streams, key=lambda one: one.at):
            self.taken += 1
            changes += follow([seen], self.shelf, self.limits)
        return changes
