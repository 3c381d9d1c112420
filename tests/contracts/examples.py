"""Small, valid values to feed the ports with, and the way of one image through the stages."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

import numpy as np

from framegate.kernel.detections import Detections
from framegate.kernel.geometry import Letterbox
from framegate.kernel.ids import CameraId, FacilityId, new_image_id
from framegate.kernel.inspection import Alert, Inspected, Label, Outcome, Prepared, Quality
from framegate.kernel.messages import FrameInspected, FramePrepared, FrameSubmitted, Message
from framegate.kernel.rollout import ModelKey, ModelState, Rollout
from framegate.kernel.states import ImageState, Lane, Stage, Verdict
from framegate.ports.progress import Claim, Completion, Denied, Progress, Result
from framegate.ports.registry import NewModel, Registry
from framegate.ports.store import ApiKey, Intake, NewImage

FACILITY, OTHER_FACILITY = FacilityId("hall-1"), FacilityId("hall-2")
CAMERA = CameraId("dock-7")
LEASE = timedelta(seconds=60)
MODEL, MODEL_SHA = "starter@1", "ab" * 32
_numbers = count(1)
_STARTED_S = time.time() - 3600

MESSAGE_OF: dict[Stage, type[Message]] = {
    Stage.PREPROCESS: FrameSubmitted,
    Stage.INFERENCE: FramePrepared,
    Stage.GATE: FrameInspected,
}


def api_key(key_id: str, *facilities: FacilityId, **changes: Any) -> ApiKey:
    values: dict[str, Any] = {
        "key_id": key_id,
        "name": f"key {key_id}",
        "secret_hash": sha256(key_id.encode()).digest(),
        "scopes": frozenset({"images:write", "results:read"}),
        "facilities": frozenset(facilities or (FACILITY,)),
        "created_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(_numbers)),
        "expires_at": datetime(2100, 1, 1, tzinfo=UTC),
        "revoked_at": None,
    }
    return ApiKey(**(values | changes))


def new_model(key: ModelKey) -> NewModel:
    """Weights and manifest are not looked at by the registry."""
    name, _, version = key.ref.partition("@")
    return NewModel(name, version, key.sha256, 1000, f"models/{key.sha256}.onnx", "schema = 1")


def approved(registry: Registry, key: ModelKey) -> ModelKey:
    """A model that may be deployed."""
    registry.register(new_model(key), "test")
    for state in (ModelState.VALIDATED, ModelState.APPROVED):
        registry.advance(key.ref, state, "test", {})
    return key


def serve(registry: Registry, ref: str = MODEL, sha256: str = MODEL_SHA) -> None:
    """Lets a model decide from now on."""
    registry.order(Rollout(approved(registry, ModelKey(ref, sha256))), "test")


def new_image(data: bytes | None = None, **changes: Any) -> NewImage:
    """An upload; without `data`, its bytes are unlike any other's."""
    number = next(_numbers)
    digest = sha256(data if data is not None else f"image {number}".encode()).hexdigest()
    # Ids a millisecond apart, so that their order is the order of acceptance; of now, as searching by time relies on it.
    image_id = new_image_id(_STARTED_S + number / 1000)
    values: dict[str, Any] = {
        "facility": FACILITY,
        "image_id": image_id,
        "camera": CAMERA,
        "lane": Lane.LIVE,
        "blob_key": f"originals/{image_id}",
        "media_type": "image/jpeg",
        "sha256": digest,
        "size_bytes": 1000 + number,
        "width": 64,
        "height": 48,
        "orientation": 1,
        "flags": (),
        "captured_at": None,
        "metadata": {},
        "key_id": "seed",
        "idempotency_key": None,
        "request_hash": f"request-{digest}",
    }
    return NewImage(**(values | changes))


def prepared(key: str = "prepared/one") -> Prepared:
    quality = Quality(120.5, 99.25, 40.0, 0.01, 0.02, ("blurred",))
    recipe = {"decoder": "simplejpeg", "version": "1.8", "denominator": 1, "orientation": 1}
    return Prepared(key, "raw", Letterbox.fit(64, 48, 640, 640), quality, recipe)


def inspected(*classes: str, model: str = MODEL, model_sha256: str = MODEL_SHA) -> Inspected:
    """One detection for each of `classes`, with falling confidence."""
    n = len(classes)
    xyxy = np.array([[i, i + 1, i + 10, i + 20] for i in range(n)], np.float32).reshape(n, 4)
    confidence = np.array([0.75 - i / 8 for i in range(n)], np.float32)
    detections = Detections(xyxy, confidence, np.arange(n, dtype=np.int32))
    return Inspected(detections, classes, model, model_sha256, "openvino 2025 int8")


def labelled(found: Inspected) -> Inspected:
    """The same with a label of the whole frame, and one of the first detection."""
    labels = Label(None, "scene@1", "dock", 0.5), Label(0, "wear@1", "crushed", 0.8125)
    return replace(found, labels=labels, chained=("scene@1", "wear@1"))


def outcome(verdict: Verdict | None = Verdict.PASS, policy_version: int = 1, *alerts: Alert) -> Outcome:
    state = ImageState.REJECTED if verdict is None else ImageState.DECIDED
    return Outcome(state, verdict, "clear" if verdict else "truncated", "One sentence.", policy_version, alerts)


def message(stage: Stage, image: NewImage, look: int = 1) -> Message:
    return MESSAGE_OF[stage](image.facility, image.image_id, look, image.lane)


def claim(
    progress: Progress, stage: Stage, image: NewImage, owner: str = "worker", look: int = 1, lease: timedelta = LEASE
) -> Claim | Denied:
    (answer,) = progress.claim(stage, [message(stage, image, look)], owner, lease)
    return answer


def must_claim(
    progress: Progress, stage: Stage, image: NewImage, owner: str = "worker", look: int = 1, lease: timedelta = LEASE
) -> Claim:
    answer = claim(progress, stage, image, owner, look, lease)
    assert isinstance(answer, Claim), f"{stage} of look {look} was denied: {answer}"
    return answer


def complete(progress: Progress, held: Claim, result: Result, work_ms: float = 1.5) -> bool:
    (kept,) = progress.complete([Completion(held, result, work_ms)])
    return kept


def accept(intake: Intake, **changes: Any) -> NewImage:
    """Records one image and returns it."""
    image = new_image(**changes)
    (answer,) = intake.accept([image])
    assert answer.image_id == image.image_id
    assert not answer.replayed
    return image


def advance_to(progress: Progress, image: NewImage, stage: Stage, seen: Sequence[str] = ("box",)) -> None:
    """Completes every stage before `stage`, first look."""
    for earlier, result in ((Stage.PREPROCESS, prepared()), (Stage.INFERENCE, inspected(*seen))):
        if earlier is stage:
            return
        assert complete(progress, must_claim(progress, earlier, image), result)


def decide(progress: Progress, image: NewImage, result: Outcome | None = None, seen: Sequence[str] = ("box",)) -> None:
    """Takes a freshly accepted image all the way."""
    advance_to(progress, image, Stage.GATE, seen)
    assert complete(progress, must_claim(progress, Stage.GATE, image), result or outcome())
