"""What the API answers about images. As in `schemas`: models describe, functions build."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from framegate.ingest.schemas import EXAMPLE_ID, View, exact
from framegate.kernel.retention import Part
from framegate.kernel.reviews import Choice, Review
from framegate.kernel.states import CameraStatus, ImageState, Lane, Verdict
from framegate.ports.store import ImageRecord
from framegate.ports.upkeep import Conservation

#: What a class of damage may be called.
CLASS_NAME: Final = r"^[^\p{C}]{1,128}$"
REASON: Final = "^[a-z0-9-]{1,64}$"


class DetectionView(View):
    """One thing that was found."""

    class_: str = Field(alias="class", examples=["dent"])
    confidence: float = Field(ge=0, le=1)
    box: list[float] = Field(
        min_length=4, max_length=4, description="x1, y1, x2, y2 in pixels of the upright original.",
    )  # fmt: skip


class BoxView(View):
    """A box that a person drew; sent and answered alike."""

    class_: str = Field(alias="class", pattern=CLASS_NAME, examples=["dent"])
    box: list[Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]] = Field(
        min_length=4, max_length=4, description="x1, y1, x2, y2 in pixels of the upright original.",
    )  # fmt: skip


class LabelView(View):
    """What a classifier of the policy's chain called a detection, or the whole picture."""

    detection: int | None = Field(
        ge=0, examples=[0], description="Its place in `detections`, from 0; null: the whole picture.",
    )  # fmt: skip
    model: str = Field(examples=["wear@1"], description="name@version of the classifier.")
    class_: str = Field(alias="class", examples=["crushed-corner"])
    confidence: float = Field(ge=0, le=1, examples=[0.93])


class LookView(View):
    """One of the two looks at an image of which the first one left the gate in doubt."""

    region: list[int] | None = Field(
        description="x1, y1, x2, y2 in pixels of the upright original; null: all of it.", examples=[[420, 180, 1060, 820]],
    )  # fmt: skip
    zoom: float | None = Field(description="Pixels of the model's input for one of the original.", examples=[1.0])
    said: str = Field(description="What came of it alone.", examples=["dent at 0.22 (review from 0.10)"])
    model: str | None = Field(description="name@version of the model that looked.")
    model_sha256: str | None
    engine: str | None
    seen: list[DetectionView] = Field(description="All that was found, the most confident first.")


class ReviewView(View):
    """What a person decided; appended, never changed."""

    id: UUID = Field(examples=[EXAMPLE_ID])
    image: UUID
    decision: Choice
    class_: str | None = Field(alias="class", description="Of the damage, of a fail.", examples=["dent"])
    boxes: list[BoxView] = Field(description="What the person drew; empty: what was found stands.")
    note: str
    reviewer: str
    at: datetime
    version: int = Field(description="Of the item that was decided.")
    shown_sha256: str | None = Field(description="Of the picture that was on the screen.")
    undoes: UUID | None = Field(description="The review that this one takes back.")
    undo_until: datetime | None = Field(description="Until when it can be taken back.")


class ImageView(View):
    """Everything about one image."""

    id: UUID = Field(examples=[EXAMPLE_ID])
    facility: str
    camera: str
    camera_status: CameraStatus
    lane: Lane
    state: ImageState
    verdict: Verdict | None = Field(description="Set when `state` is `decided`.")
    effective_verdict: Verdict | None = Field(description="Of the last review that stands, else `verdict`.")
    reason: str | None = Field(description="A stable slug.")
    detail: str | None = Field(description="The reason in a sentence.")
    detections: list[DetectionView] = Field(description="The most confident first.")
    labels: list[LabelView] = Field(
        description="What the policy's chain called them.",
        examples=[[{"detection": 0, "model": "wear@1", "class": "crushed-corner", "confidence": 0.93}]],
    )
    model: str | None = Field(description="name@version of the model that looked.")
    model_sha256: str | None
    engine: str | None
    policy: int | None = Field(description="The version of the policy that decided.")
    quality: dict[str, Any] | None = Field(description="Measures of the frame and what is doubtful about it.")
    prepared: dict[str, Any] | None = Field(description="How the frame was prepared for the model.")
    look: int
    attempts: int
    history: list[dict[str, Any]] = Field(description="Attempts that did not complete.")
    timings: dict[str, Any]
    looks: list[LookView] = Field(description="Both, where the outcome rests on two; `detections` are the merged ones.")
    reviews: list[ReviewView] = Field(description="What people decided, oldest first.")
    duplicate_of: UUID | None
    reused_from: UUID | None = Field(description="The image whose outcome was copied.")
    media_type: str
    sha256: str
    size_bytes: int
    width: int = Field(description="As stored in the file, before `orientation`.")
    height: int
    orientation: int = Field(ge=1, le=8, description="As in EXIF.")
    metadata: dict[str, str]
    captured_at: datetime | None
    received_at: datetime
    decided_at: datetime | None
    erased_at: datetime | None = Field(description="When the picture was erased; what is told of it stays.")
    metadata_erased_at: datetime | None = Field(description="When what had come with it was erased.")


class ImagePage(View):
    """One page, newest first."""

    items: list[ImageView]
    next: str | None = Field(description="The `cursor` of the next page; null on the last one.")
    previous: str | None = Field(description="The `cursor` of the page before; null on the first one.")


class EndedView(View):
    """An image that ended, and its place in the order of endings."""

    sequence: int
    image: ImageView


class OutcomePage(View):
    """In the order in which images ended."""

    items: list[EndedView]
    next: int = Field(description="Send it as `after` to go on.")


class StatsView(View):
    """accepted = decided + rejected + failed + in_flight + lost, and lost is 0."""

    accepted: int
    decided: int
    rejected: int
    failed: int
    in_flight: int
    lost: int
    verdicts: dict[str, int]


def image_document(record: ImageRecord) -> dict[str, Any]:
    """As `ImageView`."""
    facts = record.facts
    return {
        "id": str(facts.image_id),
        "facility": facts.facility,
        "camera": facts.camera,
        "camera_status": facts.camera_status,
        "lane": facts.lane,
        "state": record.state,
        "verdict": record.verdict,
        "effective_verdict": record.effective_verdict,
        "reason": record.reason,
        "detail": record.detail,
        "detections": boxes_document(record.detections),
        "labels": [
            {
                "detection": label.detection,
                "model": label.model,
                "class": label.name,
                "confidence": round(label.confidence, 4),
            }
            for label in record.labels
        ],
        "model": record.model,
        "model_sha256": record.model_sha256,
        "engine": record.engine,
        "policy": record.policy_version,
        "quality": _json(record.quality),
        "prepared": _json(_without_keys(record.prepared)),
        "look": record.look,
        "attempts": record.attempts,
        "history": [_json(entry) for entry in record.history],
        "timings": _json(record.timings),
        "looks": [
            {
                "region": None if look.region is None else list(look.region),
                "zoom": None if look.zoom is None else round(look.zoom, 4),
                "said": look.said,
                "model": look.model,
                "model_sha256": look.model_sha256,
                "engine": look.engine,
                "seen": boxes_document(look.seen),
            }
            for look in record.looks
        ],
        "reviews": [review_document(review) for review in record.reviews],
        "duplicate_of": _id(record.duplicate_of),
        "reused_from": _id(record.reused_from),
        "media_type": facts.media_type,
        "sha256": facts.sha256,
        "size_bytes": facts.size_bytes,
        "width": facts.width,
        "height": facts.height,
        "orientation": facts.orientation,
        "metadata": dict(record.metadata),
        "captured_at": exact(record.captured_at),
        "received_at": exact(facts.received_at),
        "decided_at": exact(record.decided_at),
        "erased_at": _erased_at(record, Part.ORIGINAL),
        "metadata_erased_at": _erased_at(record, Part.METADATA),
    }


def boxes_document(found: Sequence[tuple[str, float, tuple[float, float, float, float]]]) -> list[dict[str, Any]]:
    """Each as `DetectionView`."""
    return [
        {"class": name, "confidence": round(confidence, 4), "box": [round(edge, 1) for edge in box]}
        for name, confidence, box in found
    ]


def review_document(review: Review) -> dict[str, Any]:
    """As `ReviewView`."""
    said = review.decision
    return {
        "id": str(review.review_id),
        "image": str(review.image_id),
        "decision": said.choice,
        "class": said.name or None,
        "boxes": [{"class": drawn.name, "box": list(drawn.box)} for drawn in said.boxes],
        "note": said.note,
        "reviewer": review.reviewer,
        "at": exact(review.at),
        "version": review.version,
        "shown_sha256": review.shown_sha256 or None,
        "undoes": _id(review.undoes),
        "undo_until": exact(review.undo_until),
    }


def stats_document(counts: list[Conservation]) -> dict[str, Any]:
    """As `StatsView`, the sum of `counts`."""
    names = ("accepted", "decided", "rejected", "failed", "in_flight", "lost")
    verdicts: dict[str, int] = {verdict.value: 0 for verdict in Verdict}
    for count in counts:
        for name, number in count.verdicts.items():
            verdicts[name] = verdicts.get(name, 0) + number
    return {name: sum(getattr(count, name) for count in counts) for name in names} | {"verdicts": verdicts}


def _without_keys(prepared: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Where a blob lies is nobody's business."""
    hidden = ("blob_key", "scene")
    return None if prepared is None else {name: value for name, value in prepared.items() if name not in hidden}


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _json(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_json(entry) for entry in value]
    if isinstance(value, datetime):
        return exact(value)
    return str(value) if isinstance(value, UUID) else value


def _erased_at(record: ImageRecord, part: Part) -> str | None:
    erasure = record.erased(part)
    return None if erasure is None else exact(erasure.at)


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)
