"""Legal holds in memory."""

from dataclasses import replace
from uuid import UUID, uuid4

from framegate.adapters.memory.state import MemoryState, Walk
from framegate.kernel.holds import Hold, HoldScope
from framegate.kernel.ids import FacilityId
from framegate.ports.retention import Covered


class MemoryHolds:
    """`Holds`. Safe for use from several threads."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def place(self, facility: FacilityId, scope: HoldScope, reason: str, actor: str) -> Hold:
        """See the port."""
        with self._state.lock:
            known = self._state.images.get(scope.image_id) if scope.image_id is not None else None
            if scope.image_id is not None and (known is None or known.facts.facility != facility):
                raise ValueError(f"there is no image {scope.image_id} at {facility}")
            hold = Hold(uuid4(), facility, scope, reason, self._state.now(), actor)
            self._state.holds.append(hold)
            self._state.record(facility, actor, "hold.placed", str(hold.hold_id), scope.audited() | {"reason": reason})
            return hold

    def holds(self, facilities: frozenset[FacilityId] | None, *, lifted: bool = False) -> list[Hold]:
        """See the port."""
        with self._state.lock:
            found = [hold for hold in self._state.holds if lifted or hold.lifted_at is None]
            return [hold for hold in reversed(found) if facilities is None or hold.facility in facilities]

    def lift(self, hold_id: UUID, reason: str, actor: str) -> Hold | None:
        """See the port."""
        with self._state.lock:
            at = next((n for n, hold in enumerate(self._state.holds) if hold.hold_id == hold_id), None)
            if at is None or self._state.holds[at].lifted_at is not None:
                return None if at is None else self._state.holds[at]
            now = self._state.now()
            hold = replace(self._state.holds[at], lifted_at=now, lifted_by=actor, lift_reason=reason)
            self._state.holds[at] = hold
            self._state.walks[hold.facility] = Walk(now)
            self._state.record(hold.facility, actor, "hold.lifted", str(hold_id), {"reason": reason})
            return hold

    def covered(self, hold: Hold) -> Covered:
        """See the port."""
        with self._state.lock:
            rows = [row.facts for row in self._state.images.values() if row.facts.facility == hold.facility]
            images = [facts.image_id for facts in rows if hold.scope.covers(facts)]
            erased = sum(map(self._state.is_erased, images))
            return Covered(len(images), erased)
