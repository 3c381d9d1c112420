"""What the HTTP API and the pages may ask about policies; see `framegate.kernel.policies` for the answers."""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from framegate.gate.changes import changes
from framegate.gate.desk import PolicyDesk, parsed
from framegate.gate.document import Document, check_document, read_document, write_document
from framegate.gate.policy import Policy
from framegate.gate.simulate import Simulation, ended_since
from framegate.gate.telling import told
from framegate.kernel.ids import FacilityId
from framegate.kernel.policies import (
    UNNAMED,
    Change,
    PolicyCheck,
    PolicyInWords,
    PolicyRefused,
    PolicySource,
    PolicyTrial,
)
from framegate.ports.clock import Clock
from framegate.ports.registry import Registry
from framegate.ports.store import Cameras, Policies, PolicyVersion, Results

#: Images of each kind of flip that are named, and of all kinds together.
_MOST_CHANGED: Final = 50


class PolicyOffice:
    """For several threads. Every method may raise `DependencyUnavailable`."""

    def __init__(
        self, policies: Policies, cameras: Cameras, registry: Registry, results: Results, clock: Clock
    ) -> None:
        self._policies, self._cameras, self._registry, self._results = policies, cameras, registry, results
        self._clock = clock

    def check(self, facility: FacilityId, source: PolicySource) -> PolicyCheck:
        """Whether it could be applied, and what would be otherwise."""
        current = self._policies.current_policy(facility)
        base = current.version if current else None
        try:
            document = _read(source)
        except PolicyRefused as error:
            return PolicyCheck(base, error.faults)
        changed = changes(current.document, document.raw) if current else ()
        try:
            admission = self._desk(facility).admit(document, self._clock.now())
        except PolicyRefused as error:
            return PolicyCheck(base, error.faults, changed)
        return PolicyCheck(base, (), changed, admission.notes, admission.everything)

    def simulate(
        self, facility: FacilityId, source: PolicySource, age: timedelta, limit: int, seconds: float
    ) -> PolicyTrial:
        """At most `limit` of the images that were accepted within `age`, and as many as `seconds` allow, newest first.

        Raises `PolicyRefused`. Names of what is not there are taken: whoever simulates may be ahead of a deployment.
        """
        document, now, until = _read(source), self._clock.now(), time.monotonic() + seconds
        current = self._policies.current_policy(facility)
        base = current.version if current else None
        simulation = Simulation(Policy.parse((base or 0) + 1, document.raw), parsed(current), _MOST_CHANGED)
        looked_at = 0
        for looked_at, record in enumerate(ended_since(self._results, facility, now - age, limit), 1):
            simulation.add(record)
            if time.monotonic() > until:
                limit = looked_at
                break
        changed = [(str(image), *ends) for ends, images in simulation.examples.items() for image in images]
        return PolicyTrial(
            base,
            simulation.replayed,
            0.0 if simulation.oldest is None else (now - simulation.oldest).total_seconds(),
            dict(simulation.decided),
            dict(simulation.candidate.ends),
            dict(simulation.flips),
            sorted(changed, reverse=True)[:_MOST_CHANGED],
            dict(simulation.left_out),
            looked_at >= limit,
        )

    def apply(
        self, facility: FacilityId, source: PolicySource, expected: int, actor: str, *, force: bool
    ) -> PolicyVersion:
        """Raises `PolicyRefused`, `EverythingForPeople` except by force, and `PolicyConflict` as `add_policy` does."""
        admission = self._desk(facility).admit(_read(source), self._clock.now())
        admission.insist(force=force)
        return self._policies.add_policy(facility, admission.document.raw, actor, expected=expected)

    def compare(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[Change]:
        """Two versions, entry by entry."""
        return changes(before, after)

    def written(self, document: Mapping[str, Any]) -> str:
        """As YAML."""
        return write_document(document)

    def told(self, document: Mapping[str, Any]) -> PolicyInWords:
        """For people. Raises `ConfigurationError` for what is no policy."""
        return told(Policy.parse(0, document))

    def _desk(self, facility: FacilityId) -> PolicyDesk:
        return PolicyDesk(facility, self._policies, self._cameras, self._registry, self._results)


def _read(source: PolicySource) -> Document:
    """Raises `PolicyRefused`."""
    return read_document(source, UNNAMED) if isinstance(source, str) else check_document(source, UNNAMED)
