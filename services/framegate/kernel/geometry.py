"""The letterbox: how an upright frame, or a region of it, is laid into the model's input, and its exact inverse."""

from dataclasses import astuple, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

Placement = Literal["center", "top-left"]


@dataclass(frozen=True, slots=True)
class Region:
    """Whole pixels of the upright original: the rectangle with its upper left corner at (`x`, `y`)."""

    x: int
    y: int
    width: int
    height: int

    @property
    def xyxy(self) -> tuple[int, int, int, int]:
        """As the boxes of detections are written."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    def to_json(self) -> list[int]:
        """[x, y, width, height]."""
        return list(astuple(self))

    @classmethod
    def from_json(cls, raw: list[int]) -> Self:
        """Reverses `to_json`."""
        return cls(*raw)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A frame of `width` x `height` scaled to `content_width` x `content_height` at (`left`, `top`) of the input.

    Sizes are whole pixels, so each axis has its own exact scale and `to_original(to_prepared(box))` is the box again.
    Where only a region of the original was prepared, the frame is that region, and (`x`, `y`) is where it begins: boxes
    are of the whole original all the same.
    """

    width: int
    height: int
    input_width: int
    input_height: int
    content_width: int
    content_height: int
    left: int
    top: int
    x: int = 0
    y: int = 0

    @classmethod
    def fit(cls, width: int, height: int, input_width: int, input_height: int, placement: Placement = "center") -> Self:
        """The largest content of the same aspect ratio that fits the input, never below one pixel."""
        scale = min(input_width / width, input_height / height)
        content_width = min(input_width, max(1, round(width * scale)))
        content_height = min(input_height, max(1, round(height * scale)))
        # Halves round towards the top and left, as ultralytics' LetterBox does (round(d - 0.1)).
        left = (input_width - content_width) // 2 if placement == "center" else 0
        top = (input_height - content_height) // 2 if placement == "center" else 0
        return cls(width, height, input_width, input_height, content_width, content_height, left, top)

    def to_prepared(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (n, 4) in original pixels -> (n, 4) in pixels of the model's input."""
        return ((xyxy - self._origin()) * self._scale() + self._offset()).astype(np.float32)

    def to_original(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (n, 4) in input pixels -> (n, 4) in original pixels, clipped to what was prepared."""
        boxes = (xyxy - self._offset()) / self._scale()
        limits = np.array([self.width, self.height] * 2, np.float32)
        return (np.clip(boxes, 0, limits) + self._origin()).astype(np.float32)

    def _scale(self) -> NDArray[np.float64]:
        return np.array([self.content_width / self.width, self.content_height / self.height] * 2)

    def _offset(self) -> NDArray[np.float64]:
        return np.array([self.left, self.top] * 2, np.float64)

    def _origin(self) -> NDArray[np.float64]:
        return np.array([self.x, self.y] * 2, np.float64)

    def to_json(self) -> dict[str, int]:
        """For the prepared-frame recipe on the image's row."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) or name not in ("x", "y")}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Reverses `to_json`."""
        return cls(**{name: int(raw.get(name, 0) if name in ("x", "y") else raw[name]) for name in cls.__slots__})


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union of every pair of boxes xyxy: (n, 4), (m, 4) -> (n, m); 0 where there is no area."""
    one, other = a.astype(np.float64)[:, None], b.astype(np.float64)[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    union = np.prod(one[..., 2:] - one[..., :2], axis=-1) + np.prod(other[..., 2:] - other[..., :2], axis=-1) - shared
    shares: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return shares
