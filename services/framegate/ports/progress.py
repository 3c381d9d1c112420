"""The narrow door through which workers move images forward: `claim` before the work, `complete` after it.

Progress is ordered by (look, stage) and never goes back; every move is fenced by the claim's token, so a worker that lost
its claim changes nothing. All times are the database's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from framegate.kernel.geometry import Region
from framegate.kernel.inspection import (
    Failed,
    Finding,
    FirstLook,
    ImageFacts,
    Inspected,
    Outcome,
    Prepared,
    Refused,
)
from framegate.kernel.messages import Message
from framegate.kernel.states import Stage

#: Crashes with nothing else in flight that convict an image.
CONVICTING_CRASHES = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on one image in one stage, until its lease ends."""

    token: UUID
    stage: Stage
    message: Message
    image: ImageFacts
    attempt: int  #: of this stage and look, this one included: counted before the work starts
    crashes: int  #: so far, alone in flight
    solo: bool  #: a crash happened around it: handle it with nothing else in flight
    prepared: Prepared | None  #: known from inference on
    finding: Finding | None  #: known at the gate
    claimed_at: datetime
    timeline: dict[str, datetime] = field(default_factory=dict)  #: received, prepared, inspected: when
    first: FirstLook | None = None  #: set from the moment on when the gate asked for a second look


class Denied(StrEnum):
    """Why there is no claim."""

    STALE = "stale"  #: this step is done or overtaken: acknowledge the message
    BUSY = "busy"  #: another worker has it: release the message with a delay
    UNKNOWN = "unknown"  #: no such image: a dead letter


class Ending(StrEnum):
    """How an attempt ended that did not complete."""

    RELEASED = "released"  #: not started (shutdown): not charged
    DEPENDENCY = "dependency"  #: something else was not available: not charged
    ERROR = "error"  #: the work failed: charged
    CRASH = "crash"  #: a process died with this image alone in flight: charged, and counted towards a conviction


@dataclass(frozen=True, slots=True)
class PrepareAgain:
    """The prepared frame is gone: a new look starts from the original."""

    reason: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The gate is unsure of a region: what was found becomes the first look, and a new look at the region begins.

    Only for an image that was inspected and has no first look yet.
    """

    region: Region


#: What stages complete with; which one with what, `check_completion` says.
Result = Prepared | Finding | Outcome | PrepareAgain | LookAgain


@dataclass(frozen=True, slots=True)
class Completion:
    """A claim and what became of it. `work_ms` is the time the stage itself took."""

    claim: Claim
    result: Result
    work_ms: float = 0.0
    trace: str = ""  #: W3C traceparent of the message that follows; empty: that of the claim's


def check_completion(completion: Completion) -> None:
    """For adapters. Raises ValueError for a result that the claim cannot have."""
    claim, result = completion.claim, completion.result
    match claim.stage:
        case Stage.PREPROCESS:
            fits = isinstance(result, Prepared | Refused | Failed)
        case Stage.INFERENCE:
            fits = isinstance(result, Inspected | Refused | Failed | PrepareAgain)
        case _ if isinstance(result, LookAgain):
            fits = isinstance(claim.finding, Inspected) and claim.first is None
        case _:
            fits = isinstance(result, Outcome | PrepareAgain)
    if not fits:
        raise ValueError(f"{claim.stage} cannot complete with {type(result).__name__}")


class Progress(Protocol):
    """Every method may raise `DependencyUnavailable`; then nothing of that call has happened, or (a lost connection
    during commit) all of it: calling again with the same arguments is always safe.
    """

    def claim(self, stage: Stage, messages: Sequence[Message], owner: str, lease: timedelta) -> list[Claim | Denied]:
        """One answer for each message, in order. Counts the attempt durably before it returns.

        Taking over a claim whose lease ran out (its worker died) marks the image for a solo run; if that claim was a solo
        run of inference, it counts as a crash.
        """
        ...

    def extend(self, claims: Sequence[Claim], lease: timedelta) -> list[Claim]:
        """Counted from now; returns the claims that are lost."""
        ...

    def complete(self, completions: Sequence[Completion]) -> list[bool]:
        """In one transaction: moves each image forward and makes the message that follows durable; an Outcome also writes
        detections, audit and alerts and ends the image. False where the claim was lost: nothing was changed there, unless
        the same completion had been made before (then True). Raises ValueError, and changes nothing, for a result that the
        claim cannot have.

        A first look stays on the image's row until the image ends, whatever is prepared again meanwhile. Of an outcome
        with `found`, that is written, and the frame is the one of the first look, where there is one.
        """
        ...

    def give_back(self, claims: Sequence[Claim], ending: Ending, cause: str) -> None:
        """Ends the claims without a result. `cause` is kept in the image's history, except for RELEASED."""
        ...

    def recover(self, owner: str) -> int:
        """Ends the lease of what a dead predecessor named `owner` still claims; says how many."""
        ...
