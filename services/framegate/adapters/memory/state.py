"""What the in-memory stores share: the rows, one lock that makes every call a transaction, and the queue it sends to."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from framegate.adapters.memory.queue import MemoryQueue
from framegate.kernel.audit import AuditEntry, Seal
from framegate.kernel.camera_health import CameraHealth, Place
from framegate.kernel.holds import Hold
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.incidents import RaisedAlert
from framegate.kernel.inspection import Finding, FirstLook, ImageFacts, Outcome, Prepared
from framegate.kernel.messages import FrameInspected, FramePrepared, FrameSubmitted, Message, encode
from framegate.kernel.retention import ErasedFiles, Erasure, Part, RetentionClass
from framegate.kernel.reviews import SAMPLE_WEIGHT, Origin, Review, effective, item_of
from framegate.kernel.states import TERMINAL, ImageState, Lane, Stage, Verdict
from framegate.ports.clock import Clock
from framegate.ports.overview import Stock
from framegate.ports.store import ApiKey, Camera, NewImage, PolicyVersion

#: The state an image is in when a stage may claim it.
TAKES: Final = {
    Stage.PREPROCESS: ImageState.RECEIVED,
    Stage.INFERENCE: ImageState.PREPARED,
    Stage.GATE: ImageState.INSPECTED,
}
#: The message that waits for an image in this state.
MESSAGE_FOR: Final[dict[ImageState, type[Message]]] = {
    ImageState.RECEIVED: FrameSubmitted,
    ImageState.PREPARED: FramePrepared,
    ImageState.INSPECTED: FrameInspected,
}


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on an image, and until when (of the monotonic clock)."""

    token: UUID
    stage: Stage
    owner: str
    solo: bool
    until: float


@dataclass(frozen=True, slots=True)
class EndRow:
    """How an image ended; never changed once written."""

    sequence: int
    outcome: Outcome
    at: datetime
    reused_from: ImageId | None = None


@dataclass(slots=True, eq=False)
class ImageRow:
    """One image and its progress."""

    new: NewImage
    facts: ImageFacts
    sequence: int
    duplicate_of: ImageId | None
    issued_at: datetime  #: when its message was last sent
    moved_at: float  #: when it last moved, was claimed, given back or sent again
    state: ImageState = ImageState.RECEIVED
    look: int = 1
    attempts: int = 0  #: of this stage and look
    attempts_ever: int = 0
    crashes: int = 0
    solo: bool = False
    prepared: Prepared | None = None
    finding: Finding | None = None
    first: FirstLook | None = None
    lease: Lease | None = None
    completed: set[UUID] = field(default_factory=set)
    reissues: int = 0
    history: list[Mapping[str, str]] = field(default_factory=list)
    timeline: dict[str, datetime] = field(default_factory=dict)
    work_ms: dict[str, float] = field(default_factory=dict)
    end: EndRow | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing follows any more."""
        return self.state in TERMINAL


@dataclass(slots=True, eq=False)
class ReviewRow:
    """What people are asked about one image."""

    facility: FacilityId
    image_id: ImageId
    origin: Origin
    automatic: Verdict
    weight: float
    opened_at: datetime
    version: int = 1
    leased_by: str | None = None
    leased_until: datetime | None = None
    skipped_by: set[str] = field(default_factory=set)
    reviews: list[Review] = field(default_factory=list)
    decided: Review | None = None  #: the one that closed it
    settle_at: datetime | None = None


@dataclass(slots=True)
class Walk:
    """How far the walk through a facility's ended images is."""

    began_at: datetime
    after: int | None = 0  #: None: at its end


class MemoryState:
    """Shared by the stores of one test or one tool. Hold `lock` around everything."""

    def __init__(self, clock: Clock, queue: MemoryQueue) -> None:
        self.clock, self.queue = clock, queue
        self.lock = threading.RLock()
        self.images: dict[ImageId, ImageRow] = {}
        self.ends: list[ImageId] = []
        self.idempotency: dict[tuple[FacilityId, str, str], tuple[str, ImageId]] = {}
        self.cameras: dict[tuple[FacilityId, CameraId], Camera] = {}
        self.health: dict[Place, CameraHealth] = {}
        self.judged = 0  #: of `ends`, how many the watch of the cameras has judged
        self.policies: dict[FacilityId, list[PolicyVersion]] = {}
        self.serving: tuple[str, str] | None = None  #: model, sha256
        self.keys: dict[str, ApiKey] = {}
        self.alerts: list[RaisedAlert] = []
        self.reviews: dict[ImageId, ReviewRow] = {}
        self.sample = 0.0  #: share of passes that people check blindly
        self.audit: list[AuditEntry] = []
        self.seals: list[Seal] = []
        self.days: dict[FacilityId, dict[RetentionClass, int]] = {}
        self.walks: dict[FacilityId, Walk] = {}
        self.erasures: dict[ImageId, dict[Part, Erasure]] = {}
        self.holds: list[Hold] = []
        self.erasing: dict[ImageId, ErasedFiles] = {}
        self.stock: dict[FacilityId, Stock] = {}

    def now(self) -> datetime:
        """The wall clock."""
        return self.clock.now()

    @property
    def facilities(self) -> frozenset[FacilityId]:
        """Those that something belongs to."""
        places = {place for place, _ in self.cameras} | {row.facts.facility for row in self.images.values()}
        named = {facility for key in self.keys.values() for facility in key.facilities}
        return frozenset(places | named | self.policies.keys() | {entry.facility for entry in self.audit})

    def holds_on(self, facts: ImageFacts) -> list[Hold]:
        """Those in force."""
        return [
            hold
            for hold in self.holds
            if hold.lifted_at is None and hold.facility == facts.facility and hold.scope.covers(facts)
        ]

    def is_there(self, image_id: ImageId) -> bool | None:
        """See `StoredOriginal.there`."""
        if image_id in self.erasing:
            return None
        return not self.is_erased(image_id)

    def is_erased(self, image_id: ImageId) -> bool:
        """Whether its picture is, though the file may be there still."""
        return Part.ORIGINAL in self.erasures.get(image_id, {})

    def faults_of(self, facility: FacilityId, camera: CameraId) -> tuple[str, ...]:
        """In the order of their names."""
        health = self.health.get((facility, camera))
        return tuple(sorted(map(str, health.faults))) if health is not None else ()

    def until(self, lease: timedelta) -> float:
        """When a lease that starts now ends."""
        return self.clock.monotonic() + lease.total_seconds()

    def record(self, facility: FacilityId, actor: str, action: str, what: str, body: Mapping[str, Any]) -> None:
        """Appends to the audit."""
        self.audit.append(
            AuditEntry(len(self.audit) + 1, uuid4(), facility, actor, action, what, dict(body), self.now())
        )

    def record_once(
        self, facility: FacilityId, actor: str, action: str, what: str, body: Mapping[str, Any], within: timedelta
    ) -> bool:
        """See `AuditLog.add_once`."""
        since, same = self.now() - within, (facility, actor, action, what, body)
        lately = (entry for entry in self.audit if entry.at > since)
        if any((one.facility, one.actor, one.action, one.object, one.body) == same for one in lately):
            return False
        self.record(facility, actor, action, what, body)
        return True

    def emit(self, row: ImageRow, trace: str = "") -> None:
        """Sends the message that makes `row` move on; without `trace`, in the image's own."""
        kind = MESSAGE_FOR[row.state]
        message = kind(row.facts.facility, row.facts.image_id, row.look, row.facts.lane, trace or row.new.trace)
        row.issued_at, row.moved_at = self.now(), self.clock.monotonic()
        self.queue.send(queue_of(row.state, row.facts.lane), [encode(message)])

    def end(self, row: ImageRow, outcome: Outcome, reused_from: ImageId | None = None) -> None:
        """Ends `row` with everything that belongs to it."""
        if row.end is not None:
            raise ValueError(f"image {row.facts.image_id} has an outcome already")
        row.state = outcome.state
        row.end = EndRow(len(self.ends) + 1, outcome, self.now(), reused_from)
        row.timeline["decided"] = row.end.at
        self.ends.append(row.facts.image_id)
        body = {
            "state": str(outcome.state),
            "verdict": outcome.verdict and str(outcome.verdict),
            "reason": outcome.reason,
        }
        self.record(row.facts.facility, "framegate", "image.ended", str(row.facts.image_id), body)
        origin = item_of(row.facts.image_id, outcome, self.sample if reused_from is None else 0.0)
        if origin is not None and outcome.verdict is not None:
            weight = SAMPLE_WEIGHT if origin is Origin.SAMPLE else outcome.weight
            self.ask_people(row, origin, outcome.verdict, weight)

    def ask_people(self, row: ImageRow, origin: Origin, automatic: Verdict, weight: float) -> None:
        """Opens an item at the review desk."""
        facility, image_id = row.facts.facility, row.facts.image_id
        self.reviews[image_id] = ReviewRow(facility, image_id, origin, automatic, weight, self.now())

    def may_be_asked(self, image_id: ImageId) -> bool:
        """Whether there is a picture to look at, and no item yet."""
        return image_id not in self.reviews and not self.is_erased(image_id)

    def is_overturned(self, facility: FacilityId, sha256: str) -> bool:
        """Whether people decided otherwise about these bytes."""
        rows = [self.images[row.image_id] for row in self.reviews.values() if _is_overturned(row)]
        return any((row.facts.facility, row.facts.sha256) == (facility, sha256) for row in rows)


def _is_overturned(row: ReviewRow) -> bool:
    return effective(row.automatic, row.reviews) is not row.automatic


def queue_of(state: ImageState, lane: Lane) -> str:
    """The queue in which the message for an image in `state` waits."""
    return f"{MESSAGE_FOR[state].name}-{lane}"
