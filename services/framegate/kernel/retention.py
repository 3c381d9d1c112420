"""What of an image may be erased, and when: the picture and what came with it.

That the image was there, its digest, its outcome and its audit stay: that is what `verify` counts and what is proved.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from framegate.kernel.errors import FramegateError
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.states import ImageState, Verdict

#: How long anything can be told to be kept; ten times what any law asks for, and no overflow of dates.
MOST_DAYS: Final = 36_500


class RetentionClass(StrEnum):
    """What is kept for a time of its own."""

    PASS = "originals.pass"  # noqa: S105 (a class of data)
    FAIL = "originals.fail"
    REVIEW = "originals.review"
    REJECTED = "originals.rejected"
    FAILED = "originals.failed"
    METADATA = "metadata"


#: Those of pictures.
ORIGINALS: Final = tuple(kind for kind in RetentionClass if kind is not RetentionClass.METADATA)


class Part(StrEnum):
    """What is erased by itself."""

    ORIGINAL = "original"  #: the picture, in every form in which it is stored
    METADATA = "metadata"  #: what the sender said of it


#: Absent: for ever.
Days = Mapping[RetentionClass, int]


class ErasureRefused(FramegateError):
    """The image cannot be erased now: see what the message says."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """A part of an image that was erased."""

    part: Part
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An image that ended, as far as its retention goes."""

    image_id: ImageId
    state: ImageState
    verdict: Verdict | None
    human: Verdict | None  #: of the last review that stands
    waiting: bool  #: for people to decide
    ended_at: datetime
    parts: frozenset[Part]  #: that are still there


@dataclass(frozen=True, slots=True)
class Due:
    """A part whose time is over."""

    image_id: ImageId
    part: Part
    reason: str


@dataclass(frozen=True, slots=True)
class ErasedFiles:
    """What is still to be deleted of an image whose picture was erased."""

    facility: FacilityId
    image_id: ImageId
    keys: tuple[str, ...]


def due_parts(ended: Iterable[Ended], days: Days, now: datetime) -> list[Due]:
    """Nothing of what waits for people: they are to see it."""
    found = []
    for one in ended:
        for part in Part:
            kept = _kept(one, part, days) if part in one.parts and not one.waiting else None
            if kept is not None and one.ended_at <= now - timedelta(days=kept[1]):
                found.append(Due(one.image_id, part, f"retention: {kept[0]} for {kept[1]} days"))
    return found


def _kept(one: Ended, part: Part, days: Days) -> tuple[RetentionClass, int] | None:
    """Where people decided otherwise, the longer time of both verdicts; None: for ever."""
    kinds = {RetentionClass.METADATA}
    if part is Part.ORIGINAL:
        kinds = {_class_of(one.state, verdict) for verdict in (one.verdict, one.human or one.verdict)}
    if any(kind not in days for kind in kinds):
        return None
    return max(((kind, days[kind]) for kind in sorted(kinds)), key=lambda kept: kept[1])


def _class_of(state: ImageState, verdict: Verdict | None) -> RetentionClass:
    return RetentionClass(f"originals.{verdict if verdict is not None else state}")
