"""Counts what comes in, whichever way it came: by upload, by announcement, or by a bucket's event."""

from collections.abc import Sequence

from framegate.ingest.parameters import METADATA
from framegate.kernel.states import ImageState
from framegate.observability.catalogue import (
    CAMERA_IMAGES,
    IMAGE_METADATA,
    IMAGES_ACCEPTED,
    IMAGES_REUSED,
    OUTCOMES,
    UPLOAD_BYTES,
)
from framegate.observability.metrics import Metrics
from framegate.ports.store import Accepted, Intake, NewImage


class CountedIntake:
    """`Intake`."""

    def __init__(self, intake: Intake, metrics: Metrics) -> None:
        self._intake, self._metrics = intake, metrics

    def accept(self, images: Sequence[NewImage]) -> list[Accepted]:
        """See the port; what it raises for counts nothing."""
        answers = self._intake.accept(images)
        for image, answer in zip(images, answers, strict=True):
            if answer.replayed:
                self._metrics.count(IMAGES_REUSED, kind="replayed")
            elif not answer.conflict:
                self._recorded(image, answer)
        return answers

    def _recorded(self, image: NewImage, answer: Accepted) -> None:
        metrics = self._metrics
        metrics.count(IMAGES_ACCEPTED, lane=str(image.lane))
        metrics.count(CAMERA_IMAGES, camera=metrics.camera(image.facility, image.camera))
        metrics.observe(UPLOAD_BYTES, image.size_bytes)
        for field in METADATA:
            metrics.count(IMAGE_METADATA, field=field, presence="present" if field in image.metadata else "missing")
        if answer.verdict is not None:
            metrics.count(IMAGES_REUSED, kind="copied")
            metrics.count(OUTCOMES, state=str(ImageState.DECIDED), verdict=str(answer.verdict))
