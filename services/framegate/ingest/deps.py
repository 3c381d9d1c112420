"""What the API is made of; whoever puts the program together fills it in."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from framegate.ingest.evidence import EvidenceSources
from framegate.ingest.objects import ObjectIntake
from framegate.kernel.drift_state import DriftLimits
from framegate.kernel.ids import FacilityId
from framegate.kernel.imagefile import Limits
from framegate.kernel.policies import Change, PolicyCheck, PolicySource, PolicyTrial
from framegate.kernel.rollout import Rollout
from framegate.kernel.states import Stage
from framegate.observability.tracing import Tracing
from framegate.ports.audit import AuditLog
from framegate.ports.blobs import Blobs
from framegate.ports.camera_health import CameraHealths
from framegate.ports.clock import Clock
from framegate.ports.deliveries import Deliveries, Endpoints
from framegate.ports.drift import Drifts
from framegate.ports.hooks import Hook, HookKind
from framegate.ports.incidents import Announce, Incidents
from framegate.ports.people import Logins, People
from framegate.ports.queue import DeadLetters
from framegate.ports.registry import Deployment, Registry, Shadows
from framegate.ports.reviews import Reviews
from framegate.ports.store import Cameras, Intake, Keys, Policies, PolicyVersion, Results, Workers
from framegate.ports.upkeep import Upkeep


class IngestMetrics(Protocol):
    """Told what was asked and answered. Called from the event loop: must not block."""

    def reviewed(self, decision: str) -> None:
        """A person decided, or was refused."""
        ...

    def refused(self, slug: str) -> None:
        """An upload was answered with a problem."""
        ...

    def accept_seconds(self, seconds: float, trace: str) -> None:
        """From the request's first byte to its 202; `trace`: the W3C traceparent of its image."""
        ...

    def answered(self, route: str, status: int, area: str, seconds: float) -> None:
        """Any request was answered, by the route with this template; from its first byte to the answer's headers.

        `area`: uploads, api, pages or live; empty for a path that no route knows.
        """
        ...


class PolicyRules(Protocol):
    """What the gate says about policies. Every method may block, and raise `DependencyUnavailable`."""

    def check(self, facility: FacilityId, source: PolicySource) -> PolicyCheck:
        """Whether it could be applied, and what would be otherwise."""
        ...

    def simulate(
        self, facility: FacilityId, source: PolicySource, age: timedelta, limit: int, seconds: float
    ) -> PolicyTrial:
        """Of images accepted within `age`; raises `PolicyRefused`. Ends after about `seconds`."""
        ...

    def apply(
        self, facility: FacilityId, source: PolicySource, expected: int, actor: str, *, force: bool
    ) -> PolicyVersion:
        """Raises `PolicyRefused`, `EverythingForPeople` except by force, and `PolicyConflict`."""
        ...

    def compare(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[Change]:
        """Two documents, entry by entry."""
        ...

    def written(self, document: Mapping[str, Any]) -> str:
        """As YAML."""
        ...


class Deploying(Protocol):
    """The way of models into service. Both methods may block, and raise `DependencyUnavailable` or `ModelRefused`."""

    def order(self, rollout: Rollout, actor: str, detail: str) -> Deployment:
        """Once its files are complete and fit; raises `BlobMissing` too."""
        ...

    def conclude(self, deployment: Deployment) -> None:
        """Does what follows when it serves."""
        ...


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """What the API takes on. `None` switches a limit off."""

    image: Limits = field(default_factory=Limits)
    rate_per_s: float | None = None  #: requests of one key
    max_concurrent_uploads: int = 256  #: more are answered with `overloaded`
    upload_threads: int = 4  #: check and store; more than four are slower
    min_free_bytes: int = 1 << 30  #: less free space is answered with `storage-unavailable`
    max_backlog: int | None = None  #: images that wait; more are answered with `overloaded`
    slow_after_s: float = 10.0  #: from then on an upload must have averaged `min_bytes_per_s`
    min_bytes_per_s: int = 8_000
    memory_bytes: int = 1 << 20  #: an upload up to this size is kept in memory ...
    memory_total_bytes: int = 64 << 20  #: ... while all of them together need no more; larger ones are spooled


@dataclass(frozen=True, slots=True)
class Desk:
    """How the review desk works."""

    lease: timedelta = timedelta(seconds=300)  #: how long an item stays with a reviewer who does nothing
    undo: timedelta = timedelta(seconds=30)  #: how long a decision can be taken back


@dataclass(frozen=True, slots=True)
class ApiDependencies:
    """`pepper` is the secret under which keys are hashed, and cursors, links and messages signed.

    `backlog` says how many images wait and may block; None: there is no backlog limit. `watch_failures`: addresses with
    too many failed authentications are slowed down, which a box that listens on loopback only does not need.
    `dead_letters` opens a client of the queue, which is slow and rarely needed.
    `hooks` are those that are installed, and are closed with the API; `public_url` is where people reach it.
    """

    intake: Intake
    results: Results
    cameras: Cameras
    camera_healths: CameraHealths
    drifts: Drifts
    policies: Policies
    rules: PolicyRules
    registry: Registry
    shadows: Shadows
    deploying: Deploying
    audit: AuditLog
    dead_letters: Callable[[], AbstractContextManager[DeadLetters]]
    keys: Keys
    people: People
    workers: Workers
    upkeep: Upkeep
    incidents: Incidents
    reviews: Reviews
    endpoints: Endpoints
    deliveries: Deliveries
    hooks: Mapping[HookKind, Hook]
    announce: Announce
    public_url: str
    blobs: Blobs
    evidence: EvidenceSources
    clock: Clock
    metrics: IngestMetrics
    pepper: bytes
    version: str
    limits: ApiLimits = field(default_factory=ApiLimits)
    desk: Desk = field(default_factory=Desk)
    drift_limits: DriftLimits = field(default_factory=DriftLimits)
    required_stages: frozenset[Stage] = frozenset({Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE})
    backlog: Callable[[], int] | None = None
    watch_failures: bool = True
    logins: Logins | None = None  #: None: nobody can log in, there are only keys
    tracing: Tracing = field(default_factory=Tracing)
    objects: ObjectIntake | None = None  #: None: there is no bucket to upload to
