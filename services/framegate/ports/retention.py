"""How long pictures and metadata are kept, and erasing them. Every method may raise `DependencyUnavailable`.

An erasure is recorded and audited first, then the files are deleted, then it is noted that they are: whoever dies in
between leaves an erasure that the next round finishes, never a picture that is gone for no reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from framegate.kernel.holds import Hold, HoldScope
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.retention import Days, ErasedFiles, Erasure, Part, RetentionClass


@dataclass(frozen=True, slots=True)
class Walked:
    """One step through the ended images of a facility."""

    facility: FacilityId
    looked_at: int
    erased: Mapping[Part, int]


class Retention(Protocol):
    """For the sweeper and operators."""

    def days(self, facility: FacilityId) -> Days:
        """What was set; what is absent is kept for ever."""
        ...

    def keep(self, facility: FacilityId, changes: Mapping[RetentionClass, int | None], actor: str) -> Days:
        """Days after the end of an image, None: for ever. Audited where it changes something; what holds then."""
        ...

    def walk(self, now: datetime, limit: int) -> Walked | None:
        """Looks at the next `limit` ended images of a facility whose turn it is, and records the erasure of what is due.

        Each facility is walked through once a day, and at once after a change of its settings or the lifting of a hold.
        None: none has its turn, or others are at it.
        """
        ...

    def erase(self, facility: FacilityId, image_id: ImageId, reason: str, actor: str) -> tuple[Erasure, ...]:
        """Records the erasure of everything of an ended image; what was erased before stays as it was.

        Raises `ErasureRefused` for an image that is unknown, in flight or held.
        """
        ...

    def overdue_s(self, now: datetime) -> float:
        """For how long the oldest of what is to be erased has been due: a walk that has its turn or has not come to its end,
        or the files of an erasure. 0: nothing is. What becomes due between two walks waits for the next one besides.
        """
        ...

    def unfinished(self, limit: int) -> list[ErasedFiles]:
        """Erasures whose files may still be there, oldest first."""
        ...

    def finish(self, erased: Sequence[ErasedFiles]) -> None:
        """Their files are gone."""
        ...


@dataclass(frozen=True, slots=True)
class Covered:
    """What a hold covers now."""

    images: int
    erased: int  #: of them, those whose picture was erased before


class Holds(Protocol):
    """Of two who erase and hold at once, one comes second: what is held is not erased any more."""

    def place(self, facility: FacilityId, scope: HoldScope, reason: str, actor: str) -> Hold:
        """Audited. Raises ValueError for an image that is not there."""
        ...

    def holds(self, facilities: frozenset[FacilityId] | None, *, lifted: bool = False) -> list[Hold]:
        """Newest first; with `lifted` also those that are not in force any more. None: of all facilities."""
        ...

    def lift(self, hold_id: UUID, reason: str, actor: str) -> Hold | None:
        """Audited, once: the first lifting stays. What is due by then is erased. None: there is no such hold."""
        ...

    def covered(self, hold: Hold) -> Covered:
        """Counted from the rows; also of one that was lifted."""
        ...
