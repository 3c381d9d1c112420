"""What a contract suite needs from an adapter family beside the ports: time that passes, and eyes on what was written."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from framegate.adapters.memory import FakeClock, MemoryQueue, MemoryStore
from framegate.kernel.messages import Message, decode
from framegate.pipeline import ALL_QUEUES
from framegate.ports.audit import AuditLog
from framegate.ports.camera_health import CameraHealths
from framegate.ports.deliveries import Deliveries, Endpoints
from framegate.ports.drift import Drifts
from framegate.ports.incidents import Incidents
from framegate.ports.overview import Overview
from framegate.ports.people import Logins, People
from framegate.ports.progress import Progress
from framegate.ports.queue import DeadLetters, Queue
from framegate.ports.registry import Registry, Shadows
from framegate.ports.retention import Holds, Retention
from framegate.ports.reviews import Reviews
from framegate.ports.store import Cameras, ImageRecord, Intake, Keys, NewImage, Policies, Results, Workers
from framegate.ports.upkeep import Upkeep
from framegate.ports.uploads import Uploads


class PeopleAndLogins(People, Logins, Protocol):
    """Both, over the same people."""


class LettersQueue(Queue, DeadLetters, Protocol):
    """A queue with its dead letters."""


@dataclass(frozen=True)
class Audited:
    """One audit entry, as far as the contract goes."""

    facility: str
    actor: str
    action: str
    object: str


@dataclass(frozen=True)
class Raised:
    """One alert that waits to be told."""

    image_id: str
    rule: str
    severity: str
    subject: str


class Harness(Protocol):
    """One adapter family over one empty store."""

    name: str
    max_receives: int

    @property
    def queue(self) -> LettersQueue: ...

    @property
    def progress(self) -> Progress: ...

    @property
    def intake(self) -> Intake: ...

    @property
    def uploads(self) -> Uploads: ...

    @property
    def results(self) -> Results: ...

    @property
    def reviews(self) -> Reviews: ...

    @property
    def overview(self) -> Overview: ...

    @property
    def cameras(self) -> Cameras: ...

    @property
    def camera_healths(self) -> CameraHealths: ...

    @property
    def drifts(self) -> Drifts: ...

    @property
    def policies(self) -> Policies: ...

    @property
    def registry(self) -> Registry: ...

    @property
    def shadows(self) -> Shadows: ...

    @property
    def workers(self) -> Workers: ...

    @property
    def upkeep(self) -> Upkeep: ...

    @property
    def keys(self) -> Keys: ...

    @property
    def people(self) -> PeopleAndLogins: ...

    @property
    def endpoints(self) -> Endpoints: ...

    @property
    def deliveries(self) -> Deliveries: ...

    @property
    def incidents(self) -> Incidents: ...

    @property
    def retention(self) -> Retention: ...

    @property
    def holds(self) -> Holds: ...

    @property
    def audit_log(self) -> AuditLog: ...

    def queue_of(self, owner: str) -> LettersQueue:
        """The same queues in the hands of another worker."""
        ...

    def sampling(self, share: float) -> Progress:
        """A progress that has people check this share of the passes."""
        ...

    def advance(self, seconds: float) -> None:
        """Lets time pass for leases, delays, ages and idleness."""
        ...

    def purge(self) -> None:
        """Deletes every message of every queue, as an operator's mistake would."""
        ...

    def forget_items(self) -> None:
        """As if there had been no review desk when images ended."""
        ...

    def audit(self) -> list[Audited]:
        """Oldest first."""
        ...

    def alerts(self) -> list[Raised]:
        """Oldest first."""
        ...

    def close(self) -> None:
        """Frees connections."""
        ...


class MemoryHarness:
    """The in-memory family with a clock of its own."""

    name = "memory"
    max_receives = 5

    def __init__(self) -> None:
        self.clock = FakeClock(blocking=True)
        self._memory_queue = MemoryQueue(self.clock, "first", max_receives=self.max_receives)
        self.queue: LettersQueue = self._memory_queue
        store = MemoryStore(self.clock, self._memory_queue)
        self._state = store.state
        self.progress, self.intake, self.results = store.progress, store.intake, store.results
        self.cameras, self.policies, self.registry = store.cameras, store.policies, store.registry
        self.camera_healths, self.reviews = store.camera_healths, store.reviews
        self.drifts = store.drifts
        self.shadows, self.uploads = store.shadows, store.uploads
        self.workers, self.upkeep, self.keys = store.workers, store.upkeep, store.keys
        self.audit_log, self.people, self.overview = store.audit, store.people, store.overview
        self.retention, self.holds = store.retention, store.holds
        self.endpoints, self.deliveries, self.incidents = store.endpoints, store.deliveries, store.incidents

    def queue_of(self, owner: str) -> LettersQueue:
        return self._memory_queue.as_owner(owner)

    def sampling(self, share: float) -> Progress:
        self._state.sample = share
        return self.progress

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def purge(self) -> None:
        for message in ("frame-submitted", "frame-prepared", "frame-inspected"):
            for lane in ("live", "bulk"):
                self._memory_queue.purge(f"{message}-{lane}")

    def forget_items(self) -> None:
        self._state.reviews.clear()

    def audit(self) -> list[Audited]:
        return [Audited(e.facility, e.actor, e.action, e.object) for e in self._state.audit]

    def alerts(self) -> list[Raised]:
        found = ((str(r.image_id), r.alert) for r in self._state.alerts)
        return [Raised(image, alert.rule, alert.severity, alert.subject) for image, alert in found]

    def close(self) -> None:
        pass


def seconds(value: float) -> timedelta:
    """Short for the many durations in the suites."""
    return timedelta(seconds=value)


def record(harness: Harness, image: NewImage) -> ImageRecord:
    """What is told about `image`, which must be known."""
    found = harness.results.image(frozenset({image.facility}), image.image_id)
    assert found is not None
    return found


def waiting(harness: Harness) -> list[tuple[str, Message]]:
    """Takes every ready message out of every queue: (queue, message)."""
    taken: list[tuple[str, Message]] = []
    for queue in ALL_QUEUES:
        while deliveries := harness.queue.receive([queue], 100, seconds(0), seconds(60)):
            harness.queue.acknowledge(deliveries)
            taken += [(d.queue, decode(d.body)) for d in deliveries]
    return taken
