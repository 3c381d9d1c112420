"""What is counted of images that ended, once their outcomes are durable."""

from framegate.kernel.inspection import ImageFacts, Inspected, Outcome, Quality
from framegate.kernel.states import ImageState, Lane
from framegate.kernel.tracecontext import trace_id_of
from framegate.observability.catalogue import (
    CONFIDENCE,
    DETECTIONS_PER_IMAGE,
    IMAGE_CONTRAST,
    IMAGE_EXPOSURE,
    IMAGE_FLAGS,
    IMAGE_SHARPNESS,
    OUTCOMES,
    REJECTIONS,
    VERDICT_REASONS,
    VERDICT_SECONDS,
)
from framegate.observability.metrics import Metrics
from framegate.ports.progress import Completion


class OutcomeMetrics:
    """Every image counts once, whatever was tried, repeated or looked at again before: here all of it is known."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def ended(self, completion: Completion, outcome: Outcome) -> None:
        """By `outcome`, which the completion was made with."""
        claim, metrics = completion.claim, self._metrics
        # The database's clock from acceptance to claim, this process's for the rest: no host's clock is compared.
        waited_s = max(0.0, (claim.claimed_at - claim.image.received_at).total_seconds())
        trace = trace_id_of(claim.message.trace) or ""
        metrics.observe(VERDICT_SECONDS, waited_s + completion.work_ms / 1000, trace, lane=str(claim.image.lane))
        metrics.count(OUTCOMES, state=str(outcome.state), verdict=str(outcome.verdict or ""))
        if outcome.state is ImageState.REJECTED:
            metrics.count(REJECTIONS, reason=outcome.reason)
        elif outcome.state is ImageState.DECIDED:
            metrics.count(VERDICT_REASONS, reason=outcome.reason)
        found = outcome.found or claim.finding
        if isinstance(found, Inspected):
            self._saw(found)
        # The whole picture, not the part of it that was looked at again.
        prepared = claim.prepared if claim.first is None else claim.first.prepared
        if prepared is not None:
            self._looked(claim.image, prepared.quality)

    def _saw(self, found: Inspected) -> None:
        self._metrics.observe(DETECTIONS_PER_IMAGE, len(found.classes), model=found.model)
        for name, confidence in zip(found.classes, found.detections.confidence.tolist(), strict=True):
            labels = {"model": found.model, "class": self._metrics.label_class(name)}
            self._metrics.observe(CONFIDENCE, confidence, **labels)

    def _looked(self, image: ImageFacts, quality: Quality) -> None:
        for flag in quality.flags or ("none",):
            self._metrics.count(IMAGE_FLAGS, flag=flag)
        if image.lane is Lane.LIVE:
            camera = self._metrics.camera(image.facility, image.camera)
            self._metrics.observe(IMAGE_SHARPNESS, quality.sharpness, camera=camera)
            self._metrics.observe(IMAGE_EXPOSURE, quality.exposure, camera=camera)
            self._metrics.observe(IMAGE_CONTRAST, quality.contrast, camera=camera)
