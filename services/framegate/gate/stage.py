"""The gate as a stage."""

from collections.abc import Mapping, Sequence
from typing import Any

from framegate.gate.decide import decide
from framegate.gate.policy import Policy
from framegate.kernel.errors import FramegateError
from framegate.kernel.ids import FacilityId
from framegate.kernel.states import Stage
from framegate.ports.clock import Clock
from framegate.ports.progress import Claim, Result
from framegate.ports.store import Policies, PolicyConflict, PolicyVersion

#: How long a new policy version may go unnoticed.
_FRESH_S = 2.0


class GateHandler:
    """Jobs are the claims themselves: all that a decision rests on is on the progress row."""

    stage = Stage.GATE

    def __init__(self, policies: Policies, first_policy: Mapping[str, Any], clock: Clock) -> None:
        self._policies, self._first_policy, self._clock = policies, first_policy, clock
        self._known: dict[FacilityId, tuple[float, Policy]] = {}

    def load(self, claim: Claim) -> Claim:
        """Makes sure that the facility's policy is at hand."""
        self._policy(claim.image.facility)
        return claim

    def handle(self, jobs: Sequence[Claim]) -> list[Result]:
        """One outcome each."""
        return [self._decide(claim) for claim in jobs]

    def _decide(self, claim: Claim) -> Result:
        if claim.finding is None:
            raise FramegateError(f"image {claim.image.image_id} came to the gate without a finding")
        # Both moments are the database's.
        waited_s = (claim.claimed_at - claim.image.received_at).total_seconds()
        return decide(self._policy(claim.image.facility), claim.image, claim.prepared, claim.finding, waited_s)

    def _policy(self, facility: FacilityId) -> Policy:
        since, policy = self._known.get(facility, (float("-inf"), None))
        if policy is None or self._clock.monotonic() - since > _FRESH_S:
            stored = self._policies.current_policy(facility) or self._first(facility)
            if policy is None or policy.version != stored.version:
                policy = Policy.parse(stored.version, stored.document)
            self._known[facility] = (self._clock.monotonic(), policy)
        return policy

    def _first(self, facility: FacilityId) -> PolicyVersion:
        """What somebody applied in the same moment comes before what the model's maker suggests."""
        try:
            return self._policies.add_policy(facility, self._first_policy, "framegate", expected=0)
        except PolicyConflict:
            stored = self._policies.current_policy(facility)
            if stored is None:
                raise
            return stored

    def settled(self, jobs: Sequence[Claim]) -> None:
        """Nothing to clean up."""

    def close(self) -> None:
        """Nothing to close."""
