"""Bringing back what was lost, and counting what there is. Every method may raise `DependencyUnavailable`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.states import ImageState, Lane


@dataclass(frozen=True, slots=True)
class Overdue:
    """An image in flight that nobody moved for too long."""

    facility: FacilityId
    image_id: ImageId
    look: int
    lane: Lane
    state: ImageState
    attempts: int
    reissues: int
    trace: str = ""  #: W3C traceparent of the image


@dataclass(frozen=True, slots=True)
class StoredOriginal:
    """Where an image's original lies. `there` False: it was erased; None: it is just being erased."""

    image_id: ImageId
    key: str
    sha256: str
    there: bool | None = True


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant, looked at: `violations` of them, with up to ten ids."""

    name: str
    meaning: str
    violations: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conservation:
    """accepted = decided + rejected + failed + in_flight + lost, with lost = 0."""

    accepted: int
    decided: int
    rejected: int
    failed: int
    in_flight: int
    lost: int
    verdicts: Mapping[str, int]


class Upkeep(Protocol):
    """For the sweeper and `verify`."""

    def reissue_overdue(
        self, idle: Mapping[ImageState, timedelta], limit: int, ready: Mapping[str, int] | None = None
    ) -> list[Overdue]:
        """Images in these states that were not moved for that long and are not claimed: sends their message again in the
        same transaction (a longer pause after each time) and returns them. Not while workers are only behind: `ready` says
        how many messages wait in each queue, where the store cannot see that itself.
        """
        ...

    def waiting_s(self) -> Mapping[str, float]:
        """For each queue, how long the image that has waited longest for it has waited, seconds; absent: none waits."""
        ...

    def in_flight(self) -> int:
        """How many images have no outcome yet; cheap, whatever the history."""
        ...

    def conservation(self, facility: FacilityId | None = None) -> Conservation:
        """Counted from the rows themselves."""
        ...

    def take_stock(self) -> Conservation:
        """Counts every facility, keeps that and which images are lost for `Overview` to tell, and gives the sums."""
        ...

    def check_invariants(self) -> list[Check]:
        """Every invariant that SQL can check; none raises."""
        ...

    def blob_keys(self, after: ImageId | None, limit: int) -> list[StoredOriginal]:
        """In id order, to compare with the blob store."""
        ...


class Relay(Protocol):
    """Of messages for a queue that does not share the database's transactions."""

    def relay(self, idle: timedelta, limit: int) -> int:
        """Sends up to `limit` messages that were committed that long ago and not sent; says how many."""
        ...
