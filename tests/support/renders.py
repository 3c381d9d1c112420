"""Renders of the starter's renderer as one camera sends them, measured as preprocess measures them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from framegate.kernel.drift_features import Box, Seen
from framegate.kernel.geometry import Letterbox
from framegate.kernel.ids import CameraId, new_image_id
from framegate.kernel.inspection import Prepared
from framegate.preprocess.quality import measure
from tests.support.drift import FACILITY, MODEL

Pixels = NDArray[np.uint8]
_RENDERER = Path(__file__).parents[2] / "models" / "carton"
_DAMAGES = ("hole", "tear", "dent", "wet", "open")


@dataclass(frozen=True)
class Render:
    """A frame (RGB) and what is on it: class and corners in pixels."""

    frame: Pixels
    boxes: tuple[tuple[str, tuple[float, float, float, float]], ...]


@contextmanager
def _renderer() -> Iterator[Any]:
    sys.path.insert(0, str(_RENDERER))
    try:
        import cuboid
        import scene

        yield scene, cuboid
    finally:
        sys.path.remove(str(_RENDERER))


def renders(seed: int, count: int, size: tuple[int, int] = (160, 90), blue: bool = False) -> list[Render]:
    """`blue`: every carton is printed in one blue, which the renderer draws rarely."""
    cv2.setNumThreads(1)
    with _renderer() as (scene, cuboid):
        usual = cuboid.kraft_colour

        def printed(rng: np.random.Generator) -> NDArray[np.float32]:
            usual(rng)  # so that all else is drawn as before
            return np.array([170, 110, 60], np.float32) * np.float32(rng.uniform(0.8, 1.1))

        cuboid.kraft_colour = printed if blue else usual
        try:
            found = []
            for index in range(count):
                frame, boxes = scene.frame_with_labels(seed, index, *size)
                named = tuple((scene.CLASSES[b.kind], (b.x1, b.y1, b.x2, b.y2)) for b in boxes)
                found.append(Render(np.ascontiguousarray(frame[:, :, ::-1]), named))
            return found
        finally:
            cuboid.kraft_colour = usual


def darker(frame: Pixels) -> Pixels:
    """Light minus 40 %."""
    return (frame * np.float32(0.6)).astype(np.uint8)


def blurred(frame: Pixels) -> Pixels:
    """As through a lens out of focus; 2 pixels of a frame that is 640 wide."""
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), 2 * frame.shape[1] / 640), np.uint8)


class Stream:
    """A camera that sends renders, one every 30 s, in random order, as they are, mirrored or a little brighter or darker.

    What a model says of them is simulated: it finds the labels of the render with a confidence that varies.
    """

    def __init__(self, seed: int, pool: list[Render]) -> None:
        self._rng, self.pool = np.random.default_rng(seed), pool
        self.shift: Callable[[Pixels], Pixels] = np.asarray
        self.damaged = 0.15  #: share of frames that are chosen among those with damage

    def images(self, since: datetime, count: int, every_s: float = 30) -> Iterator[Seen]:
        rng = self._rng
        bad = [one for one in self.pool if any(name in _DAMAGES for name, _ in one.boxes)]
        good = [one for one in self.pool if not any(name in _DAMAGES for name, _ in one.boxes)]
        for n in range(count):
            kind = bad if rng.random() < self.damaged else good
            one = kind[rng.integers(len(kind))]
            frame = one.frame[:, ::-1] if rng.random() < 0.5 else one.frame
            lit = np.clip(frame * np.float32(rng.normal(1, 0.05)), 0, 255).astype(np.uint8)
            frame = np.ascontiguousarray(self.shift(lit))
            high, wide = frame.shape[:2]
            prepared = Prepared("prepared/one", "raw", Letterbox.fit(wide, high, 640, 640), measure(frame), {})
            boxes: list[Box] = [(name, float(np.clip(rng.beta(6, 2), 0, 1)), corners) for name, corners in one.boxes]
            boxes.sort(key=lambda box: -box[1])
            at = since + timedelta(seconds=every_s * n)
            ended = "fail" if kind is bad else "pass"
            image = new_image_id(at.timestamp())
            yield Seen(n, FACILITY, CameraId("dock-1"), image, at, ended, MODEL, prepared, boxes, ("dock",))
