"""What Postgres is asked beside progress, one Protocol for each consumer. Every method may raise `DependencyUnavailable`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from framegate.kernel.errors import FramegateError
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.inspection import ImageFacts, Label, Look
from framegate.kernel.retention import Erasure, Part
from framegate.kernel.reviews import Review
from framegate.kernel.states import CameraStatus, ImageState, Lane, Stage, Verdict


@dataclass(frozen=True, slots=True)
class NewImage:
    """An upload whose original is durable under `blob_key`."""

    facility: FacilityId
    image_id: ImageId
    camera: CameraId
    lane: Lane
    blob_key: str
    media_type: str
    sha256: str
    size_bytes: int
    width: int
    height: int
    orientation: int
    flags: tuple[str, ...]  #: from the header check, e.g. orientation-invalid
    captured_at: datetime | None
    metadata: Mapping[str, str]
    key_id: str  #: of the API key
    idempotency_key: str | None
    request_hash: str  #: over everything that makes two requests the same, bytes included
    trace: str = ""  #: W3C traceparent for the image's messages; empty: none


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the client is told. `replayed`: nothing new was recorded, this is the earlier image."""

    image_id: ImageId
    state: ImageState
    duplicate_of: ImageId | None
    replayed: bool = False
    conflict: bool = False  #: the Idempotency-Key was used for another request: nothing was recorded
    verdict: Verdict | None = None  #: of the outcome that was copied for it just now


class Intake(Protocol):
    """For ingest."""

    def accept(self, images: Sequence[NewImage]) -> list[Accepted]:
        """One transaction for all: image rows, progress rows, `frame-submitted` messages, idempotency rows, audit rows,
        cameras seen for the first time (unconfirmed). One answer each, in order; durable when it returns.

        - `idempotency_key` known for (facility, key_id): same request_hash -> replayed, another -> conflict.
        - no key, but `captured_at`, and (facility, camera, captured_at, sha256) known -> replayed.
        - the same bytes known in the facility -> `duplicate_of` is the first of them. If the same camera has a decided one
          under the model that serves now and the policy that holds now, the new image is decided at once with a copy of
          its outcome that names it (`reused_from`), and no message is sent. Not one whose chain was unavailable or whose
          camera had a fault or whose second look failed: that may be otherwise now; and nothing while the camera has a
          fault, or where people decided otherwise about the same bytes.
        """
        ...


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """Everything the API tells about one image."""

    facts: ImageFacts
    captured_at: datetime | None
    metadata: Mapping[str, str]
    state: ImageState
    look: int
    verdict: Verdict | None
    reason: str | None
    detail: str | None
    #: (class, confidence, (x1, y1, x2, y2) in pixels of the upright original)
    detections: tuple[tuple[str, float, tuple[float, float, float, float]], ...]
    labels: tuple[Label, ...]  #: what the chain called them
    model: str | None
    model_sha256: str | None
    engine: str | None
    policy_version: int | None
    quality: Mapping[str, Any] | None
    prepared: Mapping[str, Any] | None  #: the prepared-frame recipe
    duplicate_of: ImageId | None
    reused_from: ImageId | None
    attempts: int
    history: tuple[Mapping[str, Any], ...]  #: attempts that did not complete: stage, at, worker, ending, cause
    timings: Mapping[str, Any]  #: RFC 3339 moments *_at and durations *_ms
    decided_at: datetime | None
    looks: tuple[Look, ...] = ()  #: where the outcome rests on two
    reviews: tuple[Review, ...] = ()  #: oldest first
    effective_verdict: Verdict | None = None  #: of the last review that stands, else `verdict`
    erasures: tuple[Erasure, ...] = ()  #: of the picture first
    trace: str = ""  #: W3C traceparent that its messages began with; empty: none

    def erased(self, part: Part) -> Erasure | None:
        """None: it is still there, or should be."""
        return next((erasure for erasure in self.erasures if erasure.part is part), None)


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """All given conditions hold; None: any. Ids order by time: a site's clocks are trusted to a day."""

    facilities: frozenset[FacilityId]
    camera: CameraId | None = None
    state: ImageState | None = None
    verdict: Verdict | None = None
    effective: Verdict | None = None  #: the verdict after what people decided
    reason: str | None = None  #: of the outcome
    model: str | None = None  #: name@version that the outcome rests on
    reviewed: bool | None = None  #: whether people decided about it, if only that they cannot tell
    lane: Lane | None = None
    detected: str | None = None  #: a class that was detected
    min_confidence: float | None = None  #: of a detection, of class `detected` where that is given
    max_confidence: float | None = None  #: of the same detection
    sha256: str | None = None
    received_since: datetime | None = None
    received_until: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    before: ImageId | None = None  #: keyset cursor: images strictly older than this one
    after: ImageId | None = None  #: the other way: of those strictly newer, the ones next to it


class Results(Protocol):
    """For reading. Facilities outside the caller's are never seen."""

    def image(self, facilities: frozenset[FacilityId], image_id: ImageId) -> ImageRecord | None:
        """None also for another facility's image."""
        ...

    def linked_image(self, image_id: ImageId) -> ImageRecord | None:
        """Of any enabled facility: only for who brings a signed link to it (`kernel.links`)."""
        ...

    def images(self, where: ImageFilter, limit: int) -> list[ImageRecord]:
        """Newest first. Raises `TooBroad` where finding them takes longer than somebody who looks at a page would wait."""
        ...

    def outcomes_after(
        self, facilities: frozenset[FacilityId], sequence: int, limit: int
    ) -> list[tuple[int, ImageRecord]]:
        """Ended images in the order in which they ended, after `sequence` (0: from the start; -1: only the newest one, to
        learn where to go on). For `watch` and live views.
        """
        ...


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera of a facility."""

    facility: FacilityId
    id: CameraId
    status: CameraStatus
    created_at: datetime
    last_image_at: datetime | None


class Cameras(Protocol):
    """The cameras of each facility."""

    def cameras(self, facilities: frozenset[FacilityId] | None = None) -> list[Camera]:
        """Ordered by facility and id; None: of all facilities."""
        ...

    def confirm_camera(self, facility: FacilityId, camera: CameraId, actor: str) -> Camera:
        """Adds it, or confirms one that registered itself; audited."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One immutable version of a facility's policy. Version 1 comes from the model's manifest."""

    facility: FacilityId
    version: int
    document: Mapping[str, Any]
    created_at: datetime
    created_by: str


class PolicyConflict(FramegateError):
    """Somebody else applied a policy meanwhile: look at what holds now, and apply yours again if it still fits."""


def superseded(facility: FacilityId, expected: int, current: PolicyVersion | None) -> PolicyConflict:
    """What `Policies.add_policy` raises for a version that is not the newest any more."""
    holds = f"{current.created_by} applied version {current.version}" if current else "there is no policy any more"
    was = f"version {expected}" if expected else "no policy at all"
    return PolicyConflict(
        f"the policy of {facility} changed meanwhile: yours was made for {was}, and {holds}. Look at it with "
        "'framegate policy diff', and apply yours again if it still fits"
    )


class Policies(Protocol):
    """Versioned decision rules."""

    def current_policy(self, facility: FacilityId) -> PolicyVersion | None:
        """The newest version."""
        ...

    def current_policies(self) -> list[PolicyVersion]:
        """The newest version of every facility that has one, ordered by facility."""
        ...

    def policy(self, facility: FacilityId, version: int) -> PolicyVersion | None:
        """That version."""
        ...

    def policy_history(self, facility: FacilityId, limit: int, before: int | None = None) -> list[PolicyVersion]:
        """Newest first; those older than version `before`."""
        ...

    def add_policy(
        self, facility: FacilityId, document: Mapping[str, Any], actor: str, expected: int | None = None
    ) -> PolicyVersion:
        """The next version; audited. An identical newest document is returned as it is.

        With `expected` (0: none yet), raises `PolicyConflict` when another version is the newest, unless that one is
        identical.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker's own word about itself."""

    name: str
    stages: tuple[str, ...]
    ready: bool
    reason: str  #: why it is not ready
    seen_s_ago: float
    metrics_port: int | None


class Workers(Protocol):
    """So that `/readyz` knows of every stage, on one host or many."""

    def report(self, name: str, stages: Sequence[Stage], ready: bool, reason: str, metrics_port: int | None) -> None:
        """Upserts the row of `name` with the database's time."""
        ...

    def forget(self, name: str | None = None) -> None:
        """Removes one, or all (None: a box that starts)."""
        ...

    def statuses(self, within: timedelta) -> list[WorkerStatus]:
        """Those that reported lately."""
        ...


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is stored of an API key; never the secret itself."""

    key_id: str
    name: str
    secret_hash: bytes  #: HMAC-SHA256(pepper, secret)
    scopes: frozenset[str]
    facilities: frozenset[FacilityId]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    disabled_facilities: frozenset[FacilityId] = frozenset()


class Keys(Protocol):
    """API keys."""

    def add_key(self, key: ApiKey, actor: str) -> None:
        """Creates the facilities it names when they do not exist; audited."""
        ...

    def find_key(self, key_id: str) -> ApiKey | None:
        """Also expired and revoked ones."""
        ...

    def keys(self) -> list[ApiKey]:
        """All, oldest first."""
        ...

    def revoke_key(self, key_id: str, actor: str) -> bool:
        """False when there is no such key; audited."""
        ...

    def replace_key(self, key_id: str, new: ApiKey, until: datetime, actor: str) -> bool:
        """Adds `new`, and lets the old one expire at `until`, or earlier if it would anyway; audited.

        False, and nothing is added, when there is no such key or it was revoked.
        """
        ...
