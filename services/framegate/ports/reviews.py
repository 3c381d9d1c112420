"""The review desk: what waits for people, in whose hands it is, and what they decided.

Every method may raise `DependencyUnavailable`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.inspection import Alert
from framegate.kernel.reviews import Box, Choice, Decision, Origin, Review, ReviewConflict, ReviewRefused, Tally
from framegate.kernel.states import Verdict
from framegate.ports.store import ImageRecord


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """An image that waits for people, or was decided by them. An image is one item, whose id is the image's."""

    facility: FacilityId
    image_id: ImageId
    camera: CameraId
    sha256: str  #: of the original: what a decision must have been made on
    width: int  #: of the upright picture
    height: int
    origin: Origin
    automatic: Verdict
    opened_at: datetime
    version: int  #: rises with every lease, decision, skip, release and undo
    is_open: bool
    verdict: Verdict | None  #: of the last review that stands
    leased_by: str | None
    leased_until: datetime | None
    detections: tuple[tuple[str, float, Box], ...] = ()

    def check(self, version: int, shown_sha256: str, decision: Decision, actor: str, now: datetime) -> None:
        """Raises `ReviewConflict` or `ReviewRefused` where this decision cannot be taken."""
        if not self.is_open:
            raise ReviewConflict("this image was decided meanwhile: ask for the next one")
        if self.leased_by not in (None, actor) and self.leased_until is not None and self.leased_until > now:
            raise ReviewConflict("this image is in somebody else's hands: ask for the next one")
        if self.version != version:
            raise ReviewConflict(f"this item is at version {self.version} and not {version} any more: ask for it again")
        if decision.choice is not Choice.SKIP and shown_sha256 != self.sha256:
            raise ReviewRefused(
                "review-not-shown", "the picture on the screen was not this image's: load it, look, and decide again"
            )
        decision.check_boxes(self.width, self.height)

    def audited_refusal(self, version: int, shown_sha256: str, decision: Decision, why: Exception) -> dict[str, Any]:
        """The body of the entry that says so in the audit."""
        return {
            "choice": str(decision.choice),
            "version": version,
            "holds": self.version,
            "shown": shown_sha256,
            "why": str(why),
        }


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits, as a gauge."""

    open: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class ReviewStats:
    """What became of it."""

    open: int
    leased: int
    oldest_at: datetime | None
    reviewers: Mapping[str, Mapping[str, int]]  #: decisions of the last 30 days that were not taken back
    tallies: Sequence[Tally]  #: of sampled passes


@dataclass(frozen=True, slots=True)
class DecidedFilter:
    """All given conditions hold. `before` is the keyset cursor: images strictly older than this id."""

    facility: FacilityId
    camera: CameraId | None = None
    received_since: datetime | None = None
    received_until: datetime | None = None
    before: ImageId | None = None


@dataclass(frozen=True, slots=True)
class DecidedImage:
    """An image about which people said something that cannot be taken back any more."""

    record: ImageRecord
    origin: Origin
    review: Review  #: pass, fail or cannot-tell


#: The alerts that a person's fail raises; asks nobody.
Tell = Callable[[DecidedImage], Sequence[Alert]]


class Reviews(Protocol):
    """Items are made by the statement that writes an outcome. Every step is audited; so is a decision that came second."""

    def lease(self, facilities: frozenset[FacilityId], actor: str, limit: int, lease: timedelta) -> list[ReviewItem]:
        """Up to `limit` open items for `actor` alone until the lease ends: first those already in `actor`'s hands, whose
        lease starts anew and whose version stays; then others by falling risk, those that `actor` skipped last.
        """
        ...

    def item(self, facilities: frozenset[FacilityId], image_id: ImageId) -> ReviewItem | None:
        """None also for another facility's."""
        ...

    def items(self, facilities: frozenset[FacilityId], limit: int) -> list[ReviewItem]:
        """The open ones by falling risk; takes none of them."""
        ...

    def release(self, facilities: frozenset[FacilityId], image_id: ImageId, actor: str) -> bool | None:
        """Gives an item back undecided. False: it is not in `actor`'s hands; None: there is none."""
        ...

    def decide(
        self,
        facilities: frozenset[FacilityId],
        image_id: ImageId,
        version: int,
        shown_sha256: str,
        decision: Decision,
        actor: str,
        undo: timedelta,
    ) -> Review | None:
        """Appends a decision, or a skip, for which nothing needs to have been shown. None: there is no such item.

        Raises `ReviewConflict` when the item is not at `version` any more, is decided, or is in another's hands; and
        `ReviewRefused` when `shown_sha256` is not the original's, or a box lies outside. What follows from a decision
        waits for `undo` to pass. The same decision sent again by the same actor is answered with the first one.
        """
        ...

    def undo(self, facilities: frozenset[FacilityId], review_id: UUID, actor: str, lease: timedelta) -> Review | None:
        """Takes back `actor`'s own decision while it is the item's last and its window is open; the item is in `actor`'s
        hands again. None: there is no such review. Raises `ReviewRefused` otherwise.
        """
        ...

    def settle(self, limit: int, tell: Tell) -> int:
        """Lets follow what decisions lead to whose window has passed: alerts for a fail, and items for images that
        copied another verdict of the same bytes. At most `limit` decisions or items, in one transaction: what is left stays
        due. How many decisions were worked on; 0: nothing is due, or others are at it.
        """
        ...

    def backfill(self, facility: FacilityId, actor: str, limit: int) -> int:
        """Opens items for up to `limit` images, the oldest first, that ended as `review` and have none: they ended before
        there was a desk. Their age counts from now on. How many it was; 0: all have one. Audited.
        """
        ...

    def decided(self, where: DecidedFilter, limit: int) -> list[DecidedImage]:
        """Newest image first."""
        ...

    def backlog(self) -> Backlog:
        """Of all facilities."""
        ...

    def escapes(self) -> list[Tally]:
        """What people said about passes that were sampled within `LATELY`: for each model, of all facilities together."""
        ...

    def latest(self, facilities: frozenset[FacilityId], limit: int) -> list[Review]:
        """What people decided, skipped or took back last, newest first."""
        ...

    def stats(self, facilities: frozenset[FacilityId]) -> ReviewStats:
        """Of these facilities together."""
        ...
