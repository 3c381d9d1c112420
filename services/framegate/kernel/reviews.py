"""What people decide about images, in which order they are asked, and what their answers say about automatic passes."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from framegate.kernel.errors import FramegateError
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.inspection import Outcome
from framegate.kernel.states import Verdict

Box = tuple[float, float, float, float]

#: Added to the age of every item, so that what is grave comes first among those that have only just come.
HEAD_START_S: Final = 60.0
#: Of a sampled pass: a middling doubt, so that its place in the queue does not betray it.
SAMPLE_WEIGHT: Final = 0.5
#: Fewer judged passes than this say nothing worth a number: even without an escape the rate may be above 6 %.
LEAST_JUDGED: Final = 60
CONFIDENCE: Final = 0.95
#: For how long decisions are counted for their reviewers, and sampled passes for the metrics.
LATELY: Final = timedelta(days=30)
LONGEST_NOTE: Final = 2000
MOST_BOXES: Final = 100


class Choice(StrEnum):
    """What one key press says."""

    PASS = "pass"  # noqa: S105 (a verdict)
    FAIL = "fail"
    CANNOT_TELL = "cannot-tell"  #: nobody could, from this picture: the automatic verdict stands
    SKIP = "skip"  #: somebody else shall decide; the item stays open
    UNDO = "undo"  #: takes back an earlier one


class Origin(StrEnum):
    """Why an image is for people. Reviewers are not told."""

    VERDICT = "verdict"  #: the gate could not decide
    SAMPLE = "sample"  #: a blind check of an automatic pass
    DUPLICATE = "duplicate"  #: its copied verdict was overturned for the same bytes


class ReviewConflict(FramegateError):
    """Somebody else has this item, or it changed meanwhile: ask for the next one."""


class ReviewRefused(FramegateError):
    """The decision cannot be taken: see what the message says."""

    def __init__(self, slug: str, message: str) -> None:
        super().__init__(message)
        self.slug = slug  #: review-not-shown, review-final, review-box-outside


@dataclass(frozen=True, slots=True)
class Redrawn:
    """A box that a person drew, in pixels of the upright original."""

    name: str  #: the class
    box: Box


@dataclass(frozen=True, slots=True)
class Decision:
    """One key press."""

    choice: Choice
    name: str = ""  #: the class of the damage, of a fail
    boxes: tuple[Redrawn, ...] = ()  #: instead of those that were found; empty: they stand
    note: str = ""

    def __post_init__(self) -> None:
        """Refuses what no reviewer can mean."""
        if (self.choice is Choice.FAIL) != bool(self.name):
            raise ValueError("a fail, and only a fail, names the class of the damage")
        if self.boxes and self.choice is not Choice.FAIL:
            raise ValueError("boxes belong to a fail")

    def check_boxes(self, width: int, height: int) -> None:
        """Raises `ReviewRefused` for one that is not in the upright picture of this size."""
        for n, drawn in enumerate(self.boxes):
            x1, y1, x2, y2 = drawn.box
            if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
                raise ReviewRefused(
                    "review-box-outside", f"box {n} is not inside the upright picture, {width} x {height} pixels"
                )


@dataclass(frozen=True, slots=True)
class Review:
    """An accepted decision, or the taking back of one; appended, never changed."""

    review_id: UUID
    facility: FacilityId
    image_id: ImageId
    decision: Decision
    reviewer: str
    at: datetime
    version: int  #: of the item that was decided
    shown_sha256: str  #: of the picture that was on the screen; empty where nothing had to be
    undoes: UUID | None = None
    undo_until: datetime | None = None  #: None: cannot be taken back

    def is_repeated(self, version: int, shown_sha256: str, decision: Decision, actor: str) -> bool:
        """Whether this is what is sent once more."""
        sent = (version, shown_sha256, decision, actor)
        return sent == (self.version, self.shown_sha256, self.decision, self.reviewer)

    def undo_fault(self, actor: str, *, in_time: bool) -> str | None:
        """Why `actor` cannot take it back; None: it can. `in_time`: it is its item's last, and its window is open."""
        if not in_time:
            return "its time for that is over"
        return None if self.reviewer == actor else "only its own reviewer can take it back"

    def audited(self) -> dict[str, Any]:
        """The body of its entry in the audit."""
        if self.undoes is not None:
            return {"review": str(self.review_id), "undoes": str(self.undoes)}
        return {
            "review": str(self.review_id),
            "choice": str(self.decision.choice),
            "version": self.version,
            "shown": self.shown_sha256,
        }


def effective(automatic: Verdict | None, reviews: Iterable[Review]) -> Verdict | None:
    """The last pass or fail of a person that was not taken back, else the outcome's verdict. `reviews`: oldest first."""
    last = standing(reviews)
    return automatic if last is None else Verdict(last.decision.choice)


def standing(reviews: Iterable[Review]) -> Review | None:
    """The review that gives the effective verdict."""
    said = [review for review in upheld(reviews) if review.decision.choice in (Choice.PASS, Choice.FAIL)]
    return said[-1] if said else None


def upheld(reviews: Iterable[Review]) -> list[Review]:
    """In their order, without those that were taken back, and without the takings back."""
    found = list(reviews)
    gone = {review.undoes for review in found}
    return [r for r in found if r.decision.choice is not Choice.UNDO and r.review_id not in gone]


def weigh(doubts: Sequence[float], severity: float) -> float:
    """Uncertainty x severity. Each doubt is 0..1, how near it is to a defect; uncertainty = 1 - product of (1 - doubt), so
    that more doubts and nearer ones weigh more. Severity is 1 (nobody is told of such damage) to 3 (critical).
    """
    return (1 - math.prod(1 - min(max(doubt, 0.05), 0.95) for doubt in doubts)) * severity


def risk(weight: float, age_s: float) -> float:
    """What the queue is ordered by, highest first: uncertainty x severity x (age + `HEAD_START_S`)."""
    return weight * (max(0.0, age_s) + HEAD_START_S)


def is_sampled(image_id: ImageId, share: float) -> bool:
    """Whether an automatic pass is checked: by a hash of its id, so the same answer every time, and no sender can choose."""
    return int.from_bytes(sha256(b"review-sample:" + image_id.bytes).digest()[:8]) < share * 2**64


def item_of(image_id: ImageId, outcome: Outcome, share: float) -> Origin | None:
    """Why people are asked about an image that ends so; None: they are not."""
    if outcome.verdict is Verdict.REVIEW:
        return Origin.VERDICT
    sampled = outcome.verdict is Verdict.PASS and is_sampled(image_id, share)
    return Origin.SAMPLE if sampled else None


@dataclass(frozen=True, slots=True)
class Tally:
    """What people said about sampled passes of one kind."""

    kind: str  #: all, camera, class, model
    name: str
    judged: int  #: said to be pass or fail
    escaped: int  #: said to be fail
    unclear: int = 0  #: nobody could tell

    @property
    def is_enough(self) -> bool:
        """Whether the rate is worth saying."""
        return self.judged >= LEAST_JUDGED

    @property
    def rate(self) -> float | None:
        """The share of automatic passes that should have failed; None: too few were judged."""
        return self.escaped / self.judged if self.is_enough else None

    @property
    def interval(self) -> tuple[float, float]:
        """See `clopper_pearson`; wide while few were judged."""
        return clopper_pearson(self.escaped, self.judged, CONFIDENCE)


def clopper_pearson(hits: int, trials: int, confidence: float) -> tuple[float, float]:
    """The exact interval for a share (Clopper and Pearson 1934): it holds the truth at least as often as `confidence`."""
    if not 0 <= hits <= trials:
        raise ValueError(f"{hits} hits of {trials}")
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _root(lambda p: (1 - _at_most(hits - 1, trials, p)) - tail)
    high = 1.0 if hits == trials else _root(lambda p: tail - _at_most(hits, trials, p))
    return low, high


def _at_most(hits: int, trials: int, p: float) -> float:
    """The chance of so many hits or fewer, 0 < p < 1."""
    ways = math.lgamma(trials + 1)
    return math.fsum(
        math.exp(
            ways - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * math.log(p) + (trials - k) * math.log1p(-p)
        )
        for k in range(hits + 1)
    )


def _root(rising: Callable[[float], float]) -> float:
    """Where a function that rises from below 0 to above it on 0..1 is 0, by halving."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
