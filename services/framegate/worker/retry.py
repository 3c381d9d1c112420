"""What follows a failed attempt: backoff with full jitter, dead letters, and in the end `failed`."""

import random
from datetime import timedelta
from enum import Enum, auto

from framegate.kernel.inspection import Failed
from framegate.kernel.states import Stage
from framegate.ports.progress import CONVICTING_CRASHES, Claim, PrepareAgain, Result

_FIRST_S = 0.5
_LONGEST_S = 60.0
#: Attempts after which a missing original is believed to be gone, and looks after which a prepared frame is.
_MISSING_ATTEMPTS = 3
_MISSING_LOOKS = 5


class Next(Enum):
    """What becomes of a message after a failed attempt."""

    RETRY = auto()
    DEAD_LETTER = auto()  #: an alarm; the sweeper brings the image back
    FAIL = auto()  #: the image ends


def backoff(attempt: int, longest_s: float = _LONGEST_S) -> timedelta:
    """Full jitter: uniform between 0 and min(longest, 0.5 s * 2^attempt).

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    ceiling = min(longest_s, _FIRST_S * 2.0 ** min(attempt, 20))
    return timedelta(seconds=random.uniform(0, ceiling))  # noqa: S311 (spreads load, guards nothing)


def after_error(claim: Claim, max_attempts: int, last_attempt: int) -> Next:
    """The attempt of `claim` failed with an error of its own."""
    # The gate sees no picture: what fails there is the policy or the code, and only the gate can end an image.
    if claim.attempt >= last_attempt and claim.stage is not Stage.GATE:
        return Next.FAIL
    return Next.DEAD_LETTER if claim.attempt == max_attempts else Next.RETRY


def after_crash(claim: Claim) -> Next:
    """A process died with this image alone in flight."""
    return Next.FAIL if claim.crashes + 1 >= CONVICTING_CRASHES else Next.RETRY


def convicted(claim: Claim) -> bool:
    """Whether processes died often enough; at the gate that is already part of what was found."""
    return claim.crashes >= CONVICTING_CRASHES and claim.stage is not Stage.GATE


def after_missing_blob(claim: Claim) -> Result | None:
    """The input is not in the blob store. None: try again later."""
    if claim.stage is Stage.INFERENCE and claim.message.look < _MISSING_LOOKS:
        return PrepareAgain("the prepared frame is gone")
    if claim.stage is Stage.INFERENCE or claim.attempt >= _MISSING_ATTEMPTS:
        return Failed("input-missing", "the stored file of this image cannot be found in the blob store")
    return None


def poison(claim: Claim) -> Failed:
    """The verdict on an image that killed its worker too often."""
    return Failed("poison", f"processes died {claim.crashes} times or more while {claim.stage} had only this image")
