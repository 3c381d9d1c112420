"""Wrappers of adapters that time and count every call; the bootstrap puts them on where a process serves metrics."""

from framegate.adapters.measured.blobs import MeasuredBlobs
from framegate.adapters.measured.engine import MeasuredEngine
from framegate.adapters.measured.intake import MeasuredIntake
from framegate.adapters.measured.progress import MeasuredProgress
from framegate.adapters.measured.queue import MeasuredQueue

__all__ = ["MeasuredBlobs", "MeasuredEngine", "MeasuredIntake", "MeasuredProgress", "MeasuredQueue"]
