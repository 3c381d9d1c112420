"""Why an image ended as it did, in words for who was not there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from framegate.dashboard.demands import Demands
from framegate.dashboard.findings import ClassRow, class_rows
from framegate.kernel.chain import UNAVAILABLE
from framegate.kernel.inspection import LOOK_FAILED
from framegate.kernel.reviews import Review, standing
from framegate.kernel.states import TERMINAL, ImageState, Verdict
from framegate.ports.store import ImageRecord

_HEADLINES: Final[Mapping[str, str]] = {
    "pass": "Passed: nothing on this picture counts against the goods.",
    "fail": "Failed: the goods on this picture are damaged.",
    "review": "Left to people: the pipeline could not decide by itself.",
    "rejected": "Refused: this file cannot be inspected.",
    "failed": "Not inspected, through a fault of ours and not of the image.",
}
_IN_FLIGHT: Final[Mapping[str, str]] = {
    "received": "Being inspected: received, and waiting to be prepared.",
    "prepared": "Being inspected: prepared, and waiting for the model.",
    "inspected": "Being inspected: the model has looked, and the policy decides next.",
}
_REASONS: Final[Mapping[str, str]] = {
    "clear": "no detection reached its threshold, and nothing else spoke against it",
    "damage": "a defect was found with a confidence from which the policy fails an image",
    "uncertain": "a detection lies between the two thresholds of its class",
    "quality": "the picture is not good enough to rely on",
    "subject-missing": "what the policy wants to see is not in the picture",
    "camera-unconfirmed": "nobody has confirmed this camera yet, so nothing of it passes by itself",
    "camera-fault": "the camera had a fault, so nothing of it passed by itself",
    UNAVAILABLE: "a classifier that the policy asks for had no answer",
    "second-look-uncertain": "a second, closer look left a doubt as well",
    "looks-disagree": "the second, closer look did not say the same as the first",
    LOOK_FAILED: "a second, closer look was wanted and came to nothing",
}
_CHOICES: Final[Mapping[str, str]] = {
    "pass": "passed it", "fail": "failed it", "cannot-tell": "could not tell", "skip": "left it to somebody else",
    "undo": "took back their decision",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """A step of a person. `taken_back`: it does not count any more."""

    who: str
    what: str
    at: datetime
    note: str
    about: str  #: the class of the damage
    taken_back: bool
    stands: bool


@dataclass(frozen=True, slots=True)
class Story:
    """The verdict, and why. `end` is what the image counts as now."""

    end: str
    automatic: str
    headline: str
    why: str
    detail: str
    mattered: Sequence[ClassRow]  #: the classes that count against it, or could have
    closest: ClassRow | None  #: of a pass: what came nearest to its threshold
    overruled: Said | None  #: by whom the automatic verdict was replaced
    people: Sequence[Said]
    over: bool


def story_of(record: ImageRecord, demands: Demands) -> Story:
    """Of an image in any state."""
    end = str(record.effective_verdict or record.verdict or record.state)
    mattered = [row for row in class_rows(record, demands) if row.limits.matter]
    people = [_said(review, record.reviews) for review in record.reviews]
    overruled = next((said for said in people if said.stands), None)
    return Story(
        end=end,
        automatic=str(record.verdict or record.state),
        headline=_headline(record, end, overruled),
        why=_REASONS.get(record.reason or "", ""),
        detail=record.detail or "",
        mattered=mattered,
        closest=_closest(mattered) if record.verdict is Verdict.PASS else None,
        overruled=overruled,
        people=people,
        over=record.state in TERMINAL,
    )


def _closest(rows: Sequence[ClassRow]) -> ClassRow | None:
    seen = [(row.highest / row.limits.least, row) for row in rows if row.highest is not None]
    return max(seen, key=lambda pair: pair[0])[1] if seen else None


def _headline(record: ImageRecord, end: str, overruled: Said | None) -> str:
    if record.state not in TERMINAL:
        return _IN_FLIGHT[record.state]
    if overruled is None or record.state is not ImageState.DECIDED:
        return _HEADLINES[end]
    decided = "Passed" if end == Verdict.PASS else "Failed"
    if record.verdict is Verdict.REVIEW:
        return f"{decided} by {overruled.who}, to whom the pipeline had left it."
    if str(record.verdict) == end:
        return f"{decided}, as {overruled.who} confirmed."
    return f"{decided} by {overruled.who}, who overruled the pipeline: it had decided {record.verdict}."


def _said(review: Review, reviews: Sequence[Review]) -> Said:
    last, gone = standing(reviews), {each.undoes for each in reviews}
    return Said(
        who=review.reviewer,
        what=_CHOICES[review.decision.choice],
        at=review.at,
        note=review.decision.note,
        about=review.decision.name,
        taken_back=review.review_id in gone,
        stands=last is not None and last.review_id == review.review_id,
    )
