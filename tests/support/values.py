"""Plausible values, so that tests only say what matters to them."""

import numpy as np

from framegate.kernel.detections import Detections
from framegate.kernel.geometry import Letterbox
from framegate.kernel.inspection import Inspected, Prepared, Quality


def quality(*flags: str) -> Quality:
    return Quality(200.0, 120.0, 40.0, 0.0, 0.0, flags)


def prepared(*flags: str) -> Prepared:
    letterbox = Letterbox.fit(1920, 1080, 640, 640)
    return Prepared("prepared/main/x.raw", "raw", letterbox, quality(*flags), {"decoder": "test"})


def inspected(**confidences: float) -> Inspected:
    """One box for each class that is named."""
    rows = np.array([[10, 10, 50, 50, c, i] for i, c in enumerate(confidences.values())], np.float32).reshape(-1, 6)
    found = Detections.from_rows(rows)
    names = list(confidences)
    return Inspected(found, tuple(names[i] for i in found.class_id), "carton@1", "0" * 64, "test engine")
