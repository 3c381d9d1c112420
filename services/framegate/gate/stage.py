"""The gate as a stage."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from framegate.gate.alerting import LOOK_UNCERTAIN, LOOKS_DISAGREE
from framegate.gate.budget import LookBudget
from framegate.gate.decide import decide, judge
from framegate.gate.looks import decide_again, doubtful_region, is_only_uncertain
from framegate.gate.policy import Policy, Rules, SecondLook
from framegate.kernel.errors import FramegateError
from framegate.kernel.ids import FacilityId
from framegate.kernel.inspection import LOOK_FAILED, Finding, FirstLook, Inspected, Outcome
from framegate.kernel.states import Stage, Verdict
from framegate.observability.catalogue import SECOND_LOOK_SHARE, SECOND_LOOKS
from framegate.observability.metrics import Metrics
from framegate.ports.clock import Clock
from framegate.ports.progress import Claim, LookAgain, Result
from framegate.ports.store import Policies, PolicyConflict, PolicyVersion

#: How long a new policy version may go unnoticed.
_FRESH_S = 2.0
#: How a review after two looks is counted.
_UNRESOLVED: Final = {LOOK_UNCERTAIN: "uncertain", LOOKS_DISAGREE: "disagree", LOOK_FAILED: "failed"}


class GateHandler:
    """Jobs are the claims themselves: all that a decision rests on is on the progress row."""

    stage = Stage.GATE

    def __init__(
        self, policies: Policies, first_policy: Mapping[str, Any], clock: Clock, metrics: Metrics | None = None
    ) -> None:
        self._policies, self._first_policy, self._clock = policies, first_policy, clock
        self._metrics, self._budget = metrics or Metrics(), LookBudget()
        self._known: dict[FacilityId, tuple[float, Policy]] = {}

    def load(self, claim: Claim) -> Claim:
        """Makes sure that the facility's policy is at hand."""
        self._policy(claim.image.facility)
        return claim

    def handle(self, jobs: Sequence[Claim]) -> list[Result]:
        """One outcome each, or one more look."""
        return [self._decide(claim) for claim in jobs]

    def _decide(self, claim: Claim) -> Result:
        if claim.finding is None:
            raise FramegateError(f"image {claim.image.image_id} came to the gate without a finding")
        policy = self._policy(claim.image.facility)
        # Both moments are the database's.
        waited_s = (claim.claimed_at - claim.image.received_at).total_seconds()
        if claim.first is not None:
            return self._decide_again(policy, claim, claim.first, claim.finding, waited_s)
        outcome = decide(policy, claim.image, claim.prepared, claim.finding, waited_s)
        rules = policy.for_camera(claim.image.camera)
        if rules.second_look is None:
            return outcome
        return self._looked_at_again(rules, rules.second_look, claim, outcome)

    def _looked_at_again(self, rules: Rules, wanted: SecondLook, claim: Claim, outcome: Outcome) -> Outcome | LookAgain:
        """Or `outcome`, which says why not where there is a doubt."""
        facility, found, prepared = claim.image.facility, claim.finding, claim.prepared
        self._budget.note(facility, wanted.max_share)
        result: Outcome | LookAgain = outcome
        if isinstance(found, Inspected) and is_only_uncertain(judge(rules, claim.image, prepared, found)):
            region = None if prepared is None else doubtful_region(rules, prepared, found)
            if region is None:
                told, why = "no-gain", "a second look would not show more of it"
            elif not self._budget.take(facility):
                told, why = "budget", f"no second look: their share of {wanted.max_share:.0%} is used up"
            else:
                told, why, result = "asked", "", LookAgain(region)
            self._metrics.count(SECOND_LOOKS, result=told)
            if why:
                result = replace(outcome, detail=f"{outcome.detail}; {why}")
        self._metrics.set(SECOND_LOOK_SHARE, self._budget.share)
        return result

    def _decide_again(
        self, policy: Policy, claim: Claim, first: FirstLook, finding: Finding, waited_s: float
    ) -> Outcome:
        outcome = decide_again(policy, claim.image, first, claim.prepared, finding, waited_s)
        told = _UNRESOLVED.get(outcome.reason, "other") if outcome.verdict is Verdict.REVIEW else str(outcome.verdict)
        self._metrics.count(SECOND_LOOKS, result=told)
        return outcome

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
