"""Sizes of frames, known before and without any pixel: the worker computes with them and needs no decoder for it."""

from framegate.kernel.geometry import Letterbox
from framegate.kernel.manifest import ModelInput


def fit(width: int, height: int, model: ModelInput) -> Letterbox:
    """For an upright frame of this size."""
    return Letterbox.fit(width, height, model.width, model.height, model.letterbox)


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """(width, height) as people see it."""
    return (height, width) if is_turned(orientation) else (width, height)


def is_turned(orientation: int) -> bool:
    """Whether rows and columns change places."""
    return orientation >= 5
