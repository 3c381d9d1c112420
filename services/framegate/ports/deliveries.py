"""Endpoints of receivers, and what is to be delivered to them. Every method may raise `DependencyUnavailable`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, Self
from uuid import UUID

from framegate.kernel.ids import FacilityId, ImageId, new_uuid7
from framegate.kernel.inspection import Alert
from framegate.ports.hooks import Attempt, HookKind, HookMessage


def shown_target(kind: HookKind, target: str) -> str:
    """Without what is a secret: all but the host of a Slack URL, and maybe the query of any other."""
    head, query, _ = target.partition("?")
    if kind is HookKind.SLACK:
        return "/".join(head.split("/")[:3]) + "/..."
    return f"{head}?..." if query else head


@dataclass(frozen=True, slots=True)
class Subscription:
    """An endpoint as it is stored. Its signing secrets are not: they follow from its id and `generation`."""

    endpoint_id: UUID
    facility: FacilityId
    kind: HookKind
    target: str
    changes: frozenset[str]  #: types of messages that it wants; empty: all
    min_severity: str  #: warning: all; critical: only those
    enabled: bool
    reason: str  #: why it is disabled
    generation: int  #: of its secret, from 1
    rotated_at: datetime | None  #: the secret before is good for a day from then
    created_at: datetime
    created_by: str
    failing_since: datetime | None = None  #: the first failure since the last success
    failures: int = 0  #: since then
    last_success_at: datetime | None = None

    @classmethod
    def new(
        cls,
        facility: FacilityId,
        kind: HookKind,
        target: str,
        now: datetime,
        by: str,
        *,
        changes: Iterable[str] = (),
        min_severity: str = "warning",
    ) -> Self:
        """One that begins now."""
        return cls(
            endpoint_id=new_uuid7(now.timestamp()),
            facility=facility,
            kind=kind,
            target=target,
            changes=frozenset(map(str, changes)),
            min_severity=min_severity,
            enabled=True,
            reason="",
            generation=1,
            rotated_at=None,
            created_at=now,
            created_by=by,
        )

    @property
    def shown_target(self) -> str:
        """Without what is a secret."""
        return shown_target(self.kind, self.target)

    def wants(self, message: HookMessage) -> bool:
        """Whether it is to hear of this."""
        severe = self.min_severity == "warning" or message.severity == "critical"
        return self.enabled and severe and (not self.changes or message.type in self.changes)


class DeliveryState(StrEnum):
    """How far a message has come on its way to one endpoint."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"  #: given up; can be replayed


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one endpoint, in the hands of a worker."""

    delivery_id: int
    subscription: Subscription
    message: HookMessage
    attempts: int  #: made before
    owner: str  #: whose claim this is
    token: UUID  #: of the claim
    due_at: datetime  #: when this attempt was to be made
    said_at: datetime  #: when what the message tells of happened


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt means for its delivery and its endpoint."""

    state: DeliveryState
    delay_s: float | None = None  #: until the next attempt, of a pending one
    reason: str = ""  #: of a dead one
    disable: str = ""  #: why the endpoint is disabled from now on; its other deliveries die with it
    alert: Alert | None = None  #: that tells of the disabling


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery as people look at it."""

    delivery_id: int
    endpoint_id: UUID
    message_id: str
    type: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    due_at: datetime | None  #: of a pending one
    ended_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class LoggedAttempt:
    """A line of the delivery log."""

    delivery_id: int
    attempt: int
    at: datetime
    worker: str
    result: Attempt


@dataclass(frozen=True, slots=True)
class Told:
    """A message that an image's alert gave rise to, on its way to one endpoint."""

    record: DeliveryRecord
    kind: HookKind
    shown_target: str
    attempts: tuple[LoggedAttempt, ...]  #: oldest first


class Endpoints(Protocol):
    """Every change is audited, without what could be secret in a target."""

    def add_endpoint(self, new: Subscription, actor: str) -> None:
        """Creates its facility when it does not exist."""
        ...

    def endpoint(self, facilities: frozenset[FacilityId], endpoint_id: UUID) -> Subscription | None:
        """None also for another facility's."""
        ...

    def endpoints(self, facilities: frozenset[FacilityId] | None = None) -> list[Subscription]:
        """Oldest first; None: of all facilities."""
        ...

    def rotate(self, endpoint_id: UUID, actor: str) -> Subscription | None:
        """The next generation of its secret."""
        ...

    def enable(self, endpoint_id: UUID, actor: str) -> Subscription | None:
        """From now on; what died meanwhile stays dead until it is replayed."""
        ...

    def remove(self, endpoint_id: UUID, actor: str) -> bool:
        """With all that was to be delivered to it, and its log."""
        ...


class Deliveries(Protocol):
    """Claims are fenced by tokens, and end by themselves."""

    def claim(self, owner: str, lease: timedelta, slots: int, busy: Mapping[UUID, int], most: int) -> list[Delivery]:
        """What is due, longest first, for each enabled endpoint at most `slots` less what of it is `busy` in this worker.

        At most `most` in all.
        """
        ...

    def settle(self, delivery: Delivery, attempt: Attempt, settlement: Settlement) -> bool:
        """Logs the attempt and settles the delivery; False, and only the log, where the claim was lost."""
        ...

    def recover(self, owner: str) -> int:
        """Frees what a predecessor of that name held."""
        ...

    def dead(self, facilities: frozenset[FacilityId] | None, limit: int) -> list[DeliveryRecord]:
        """Newest first."""
        ...

    def replay(
        self,
        facilities: frozenset[FacilityId] | None,
        *,
        delivery_id: int | None = None,
        endpoint_id: UUID | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """Makes dead deliveries of enabled endpoints due at once, with a fresh schedule and the same message; how many.

        All given conditions hold; `since` and `until` are about when the message was made.
        """
        ...

    def deliveries(self, endpoint_id: UUID, limit: int) -> list[DeliveryRecord]:
        """Newest first."""
        ...

    def about(self, facility: FacilityId, image_id: ImageId) -> list[Told]:
        """Who was told because of this image, oldest first; not of what was forgotten or whose endpoint is gone."""
        ...

    def log(self, endpoint_id: UUID, limit: int) -> Sequence[LoggedAttempt]:
        """Newest first."""
        ...

    def waiting(self) -> tuple[int, float]:
        """How many deliveries are due, and for how long the oldest has been, seconds."""
        ...

    def forget(self, ended_before: timedelta, limit: int) -> int:
        """Deletes up to `limit` deliveries that ended that long ago, with their log; how many."""
        ...
