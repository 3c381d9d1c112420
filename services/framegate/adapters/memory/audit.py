"""The audit in memory."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from framegate.adapters.memory.state import MemoryState
from framegate.kernel.audit import AuditEntry, Seal, seal_entries
from framegate.kernel.ids import FacilityId
from framegate.ports.audit import AuditFilter


class MemoryAuditLog:
    """`AuditLog`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def add(self, facility: FacilityId, actor: str, action: str, what: str, body: Mapping[str, Any]) -> AuditEntry:
        """See the port."""
        with self._state.lock:
            self._state.record(facility, actor, action, what, body)
            return self._state.audit[-1]

    def add_once(
        self, facility: FacilityId, actor: str, action: str, what: str, body: Mapping[str, Any], within: timedelta
    ) -> bool:
        """See the port."""
        with self._state.lock:
            return self._state.record_once(facility, actor, action, what, body, within)

    def entries(self, where: AuditFilter, limit: int, *, newest: bool = False) -> list[AuditEntry]:
        """See the port."""
        with self._state.lock:
            found = [entry for entry in self._state.audit if _fits(entry, where)]
            return (found[::-1] if newest else found)[:limit]

    def seals(self, after: int, limit: int) -> list[Seal]:
        """See the port."""
        with self._state.lock:
            return [seal for seal in self._state.seals if seal.number > after][:limit]

    def seal_of(self, sequence: int) -> Seal | None:
        """See the port."""
        with self._state.lock:
            return next((seal for seal in self._state.seals if seal.first <= sequence <= seal.last), None)

    def seal(self, limit: int) -> int:
        """See the port; here every entry is final at once."""
        with self._state.lock:
            entries = self._unsealed()[:limit]
            if entries:
                before = self._state.seals[-1] if self._state.seals else None
                self._state.seals.append(seal_entries(before, entries, self._state.now()))
            return len(entries)

    def unsealed_s(self) -> float:
        """See the port."""
        with self._state.lock:
            entries = self._unsealed()
            return (self._state.now() - entries[0].at).total_seconds() if entries else 0.0

    def _unsealed(self) -> list[AuditEntry]:
        last = self._state.seals[-1].last if self._state.seals else 0
        return [entry for entry in self._state.audit if entry.sequence > last]


def _fits(entry: AuditEntry, where: AuditFilter) -> bool:
    return (
        (where.facilities is None or entry.facility in where.facilities)
        and where.object in (None, entry.object)
        and where.actor in (None, entry.actor)
        and where.id in (None, entry.id)
        and (where.since is None or entry.at >= where.since)
        and entry.sequence > where.after
        and (where.until is None or entry.sequence <= where.until)
    )
