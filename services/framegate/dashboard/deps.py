"""What the pages are made of; whoever puts the program together fills it in."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from framegate.kernel.drift_state import DriftLimits
from framegate.kernel.policies import Change, PolicyInWords
from framegate.ports.audit import AuditLog
from framegate.ports.camera_health import CameraHealths
from framegate.ports.clock import Clock
from framegate.ports.deliveries import Deliveries, Endpoints
from framegate.ports.drift import Drifts
from framegate.ports.incidents import Incidents
from framegate.ports.overview import Overview
from framegate.ports.people import Logins, Passwords, People
from framegate.ports.queue import DeadLetters
from framegate.ports.registry import Registry, Shadows
from framegate.ports.reviews import Reviews
from framegate.ports.store import Cameras, Keys, Policies, Results, Workers


class PolicyWords(Protocol):
    """What the gate says about policies that are stored."""

    def compare(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[Change]:
        """Two documents, entry by entry."""
        ...

    def written(self, document: Mapping[str, Any]) -> str:
        """As YAML."""
        ...

    def told(self, document: Mapping[str, Any]) -> PolicyInWords:
        """For people. Raises `ConfigurationError` for what this release cannot read."""
        ...


@dataclass(frozen=True, slots=True)
class PageDependencies:
    """`pepper` is the secret under which tokens are hashed; `public_url` is where people reach the pages.

    Pages only read, but for logins: what people do, their browser asks of the API.
    """

    people: People
    logins: Logins
    passwords: Passwords
    clock: Clock
    pepper: bytes
    public_url: str
    results: Results
    overview: Overview
    cameras: Cameras
    camera_healths: CameraHealths
    drifts: Drifts
    incidents: Incidents
    reviews: Reviews
    endpoints: Endpoints
    deliveries: Deliveries
    dead_letters: Callable[[], AbstractContextManager[DeadLetters]]  #: a client of the queue, opened where it is needed
    registry: Registry
    shadows: Shadows
    policies: Policies
    rules: PolicyWords
    workers: Workers
    audit: AuditLog
    keys: Keys
    drift_limits: DriftLimits = field(default_factory=DriftLimits)
    #: How many listen to `/live` now.
    tell_viewers: Callable[[int], None] = lambda _: None
