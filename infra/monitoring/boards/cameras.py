"""What the cameras send, and how good it is."""

from typing import Final

from infra.monitoring.expressions import buckets, most, p, rate
from infra.monitoring.layout import Dashboard, Row, found
from infra.monitoring.panels import RED, YELLOW, Panel, Query, heatmap, lines, stat

from framegate.observability import catalogue as c
from framegate.observability.catalogue import Metric

_CAMERA: Final = "$camera"


def _typical(title: str, metric: Metric, *, log: bool = False) -> Panel:
    return lines(title, p(0.5, metric, "camera", camera=_CAMERA), log=log)


_RATES: Final = Row(
    "What comes",
    (
        lines("Images of each camera", rate(c.CAMERA_IMAGES, "camera", camera=_CAMERA), width=12),
        stat("Cameras with a fault", most(c.CAMERA_FAULTS, "fault"), steps=((1, RED),), width=8, height=8),
        stat("Cameras shown as other", Query(most(c.CAMERAS_FOLDED), "cameras"), steps=((1, YELLOW),), height=8),
    ),
)

_QUALITY: Final = Row(
    "How good the pictures are",
    (
        _typical("Sharpness: p50", c.IMAGE_SHARPNESS, log=True),
        _typical("Exposure: p50", c.IMAGE_EXPOSURE),
        _typical("Contrast: p50", c.IMAGE_CONTRAST),
        heatmap("Sharpness", buckets(c.IMAGE_SHARPNESS, camera=_CAMERA)),
        heatmap("Exposure", buckets(c.IMAGE_EXPOSURE, camera=_CAMERA)),
        heatmap("Contrast", buckets(c.IMAGE_CONTRAST, camera=_CAMERA)),
        lines("Doubts about pictures", rate(c.IMAGE_FLAGS, "flag"), stacked="normal", width=12),
        lines(
            "Faults that began or ended",
            Query(
                rate(c.CAMERA_FAULT_CHANGES, "fault", "change"),
                empty_ok="no camera has a fault while all is well",
            ),
            width=12,
        ),
    ),
)

_MISSING: Final = rate(c.IMAGE_METADATA, "field", presence="missing") / rate(c.IMAGE_METADATA, "field")

_INPUT: Final = Row(
    "What is wrong with what comes",
    (
        lines("Metadata missing", _MISSING, top=1),
        lines("Images rejected", rate(c.REJECTIONS, "reason")),
        lines("Uploads refused", rate(c.IMAGES_REFUSED, "reason")),
        lines(
            "Size of originals",
            Query(p(0.5, c.UPLOAD_BYTES), "p50"),
            Query(p(0.99, c.UPLOAD_BYTES), "p99"),
            width=12,
        ),
        lines("Needed no inspection of their own", rate(c.IMAGES_REUSED, "kind"), width=12),
    ),
)

DASHBOARD: Final = Dashboard(
    "framegate-cameras",
    "Framegate: cameras and quality",
    "Which camera sends nothing, sends worse pictures than before, or sends what cannot be read.",
    (_RATES, _QUALITY, _INPUT),
    (found("camera", "Camera", c.CAMERA_IMAGES),),
)
