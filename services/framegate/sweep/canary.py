"""Takes a canary back when it leaves the incumbent's bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

from framegate.kernel.rollout import Rollout
from framegate.kernel.states import ImageState, Verdict
from framegate.observability.catalogue import CANARY_ROLLBACKS
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.registry import Registry, Tally

#: Standard errors that a difference must exceed, too: with few images every difference is large.
_CLEARLY: Final = 3.0


@dataclass(frozen=True, slots=True)
class CanaryBounds:
    """How far a canary may be from the incumbent. Shares are of images, 0..1."""

    min_images: int = 100  #: of either model before anything is said about it
    failed: float = 0.02  #: more images that fail
    latency: float = 1.5  #: times the incumbent's mean inference time
    verdicts: float = 0.15  #: difference of the share of any verdict: the cameras differ, too, so this is wide


def beyond(incumbent: Tally | None, canary: Tally | None, bounds: CanaryBounds) -> str:
    """Which bound the canary has left, for people; empty while there is none, or too little to say.

    Differences of shares are judged by the two-proportion z-test with the pooled variance.
    """
    if incumbent is None or canary is None or min(incumbent.images, canary.images) < bounds.min_images:
        return ""
    limits: Mapping[str, float] = {ImageState.FAILED: bounds.failed, **dict.fromkeys(Verdict, bounds.verdicts)}
    for end, limit in limits.items():
        theirs, ours = canary.share(end), incumbent.share(end)
        # Fewer failures are no reason to take it back.
        apart = theirs - ours if end == ImageState.FAILED else abs(theirs - ours)
        if apart > limit and apart > _CLEARLY * _standard_error(incumbent, canary, end):
            return f"{theirs:.1%} of its images end as {end}, of the incumbent's {ours:.1%} (bound: {limit:.1%} apart)"
    if canary.inference_ms > bounds.latency * incumbent.inference_ms:
        return (
            f"it takes {canary.inference_ms:.0f} ms for an image, the incumbent {incumbent.inference_ms:.0f} ms "
            f"(bound: {bounds.latency:g} times)"
        )
    return ""


def _standard_error(one: Tally, other: Tally, end: str) -> float:
    pooled = (one.ends.get(end, 0) + other.ends.get(end, 0)) / (one.images + other.images)
    return sqrt(pooled * (1 - pooled) * (1 / one.images + 1 / other.images))


class CanaryGuard:
    """Looks at the present canary, if there is one."""

    def __init__(self, registry: Registry, bounds: CanaryBounds, metrics: Metrics, log: Log) -> None:
        self._registry, self._bounds, self._metrics, self._log = registry, bounds, metrics, log

    def look(self) -> None:
        """Orders the deployment without the canary when it has left its bounds."""
        active = self._registry.active()
        newest = self._registry.deployment()
        if active is None or active.rollout.canary is None or newest != active:
            return
        canary, rollout = active.rollout.canary, active.rollout
        tallies = self._registry.tally(active.number)
        reason = beyond(tallies.get(rollout.incumbent.ref), tallies.get(canary.ref), self._bounds)
        if reason:
            self._metrics.count(CANARY_ROLLBACKS)
            self._log.error("canary taken back", action="canary_rolled_back", model=canary.ref, reason=reason)
            detail = f"canary {canary.ref} taken back: {reason}"
            self._registry.order(Rollout(rollout.incumbent, shadow=rollout.shadow), "framegate", detail)
