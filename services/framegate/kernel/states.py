"""The closed sets that every part of Framegate speaks."""

from enum import StrEnum


class ImageState(StrEnum):
    """Where an image is on its way; the last three are final."""

    RECEIVED = "received"  #: stored and recorded; waits for preprocess
    PREPARED = "prepared"  #: decoded, measured, letterboxed; waits for inference
    INSPECTED = "inspected"  #: detections, a refusal or a failure are known; waits for the gate
    DECIDED = "decided"  #: has a verdict
    REJECTED = "rejected"  #: refused for the image's own fault
    FAILED = "failed"  #: ended without a verdict through our fault; people are told


TERMINAL = frozenset({ImageState.DECIDED, ImageState.REJECTED, ImageState.FAILED})


class Verdict(StrEnum):
    """What a decided image means for the goods on it."""

    PASS = "pass"
    FAIL = "fail"
    REVIEW = "review"  #: a person decides


class Stage(StrEnum):
    """A step of the pipeline; the flow between them is `framegate.pipeline`."""

    INGEST = "ingest"
    PREPROCESS = "preprocess"
    INFERENCE = "inference"
    GATE = "gate"
    ALERTS = "alerts"
    SWEEP = "sweep"


class Lane(StrEnum):
    """Live images are waited for; bulk (backfill, replay) never delays them."""

    LIVE = "live"
    BULK = "bulk"


class CameraStatus(StrEnum):
    """Whether somebody vouched for a camera."""

    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"  #: registered itself by uploading; its images never pass automatically


class Scope(StrEnum):
    """What an API key may do, or a person by their role."""

    IMAGES_WRITE = "images:write"
    RESULTS_READ = "results:read"
    REVIEWS_WRITE = "reviews:write"
    HOOKS_MANAGE = "hooks:manage"
    MODELS_MANAGE = "models:manage"
    AUDIT_READ = "audit:read"
    ADMIN = "admin"


DEFAULT_SCOPES = frozenset({Scope.IMAGES_WRITE, Scope.RESULTS_READ})
