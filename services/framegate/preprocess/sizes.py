"""Sizes of frames, known before and without any pixel: the worker computes with them and needs no decoder for it."""

from dataclasses import replace

from framegate.kernel.geometry import Letterbox, Region
from framegate.kernel.manifest import ModelInput


def fit(width: int, height: int, model: ModelInput, region: Region | None = None) -> Letterbox:
    """For an upright frame of this size, or for a region of it; the region must lie in the frame."""
    part = region or Region(0, 0, width, height)
    if part.x < 0 or part.y < 0 or part.x + part.width > width or part.y + part.height > height:
        raise ValueError(f"{part} does not lie in a frame of {width} x {height}")
    box = Letterbox.fit(part.width, part.height, model.width, model.height, model.letterbox)
    return replace(box, x=part.x, y=part.y)


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """(width, height) as people see it."""
    return (height, width) if is_turned(orientation) else (width, height)


def is_turned(orientation: int) -> bool:
    """Whether rows and columns change places."""
    return orientation >= 5
