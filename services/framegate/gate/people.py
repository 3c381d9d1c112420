"""Whom a person's fail is told to: as the facility's policy says, like the gate's own."""

from framegate.gate.alerting import DEFAULT_ALERTS, Occurrence, alerts_about
from framegate.gate.policy import Policy
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import FacilityId
from framegate.kernel.inspection import Alert
from framegate.kernel.states import ImageState, Verdict
from framegate.ports.clock import Clock
from framegate.ports.reviews import DecidedImage, Tell
from framegate.ports.store import Policies, PolicyVersion

#: How long a new policy version may go unnoticed.
_FRESH_S = 5.0
#: No rule waits for it: what a person decided is a fail like any other.
_REASON = "decided-by-people"


class AlertsOfPeople:
    """Knows the rules of every facility. For one thread."""

    def __init__(self, policies: Policies, clock: Clock) -> None:
        self._policies, self._clock = policies, clock
        self._read_at = float("-inf")
        self._known: dict[FacilityId, Policy | None] = {}

    def rules(self) -> Tell:
        """By the policies that hold now; asks nobody any more, so that it can be called within a transaction."""
        if self._clock.monotonic() - self._read_at > _FRESH_S:
            self._known = {stored.facility: _parsed(stored) for stored in self._policies.current_policies()}
            self._read_at = self._clock.monotonic()
        known = self._known
        return lambda decided: alerts_of(known.get(decided.record.facts.facility), decided)


def alerts_of(policy: Policy | None, decided: DecidedImage) -> tuple[Alert, ...]:
    """Of a fail. The class that the person named comes first, then those of the boxes; None: the rules without a policy."""
    facts, said = decided.record.facts, decided.review.decision
    rules = DEFAULT_ALERTS if policy is None else policy.for_camera(facts.camera).alerts
    classes = tuple(dict.fromkeys((said.name, *(drawn.name for drawn in said.boxes))))
    detail = f"{said.name}, as {decided.review.reviewer} decided"
    return alerts_about(rules, facts, Occurrence(ImageState.DECIDED, Verdict.FAIL, (_REASON,), detail, classes))


def _parsed(stored: PolicyVersion) -> Policy | None:
    """None for one that this release cannot read: a fail must be told all the same."""
    try:
        return Policy.parse(stored.version, stored.document)
    except ConfigurationError:
        return None
