"""Retention in memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from framegate.adapters.memory.state import EndRow, ImageRow, MemoryState, Walk
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.incidents import SYSTEM
from framegate.kernel.retention import (
    Days,
    Due,
    Ended,
    ErasedFiles,
    Erasure,
    ErasureRefused,
    Part,
    RetentionClass,
    due_parts,
)
from framegate.kernel.reviews import standing
from framegate.kernel.states import Verdict
from framegate.ports.retention import Walked

_AGAIN = timedelta(days=1)


class MemoryRetention:
    """`Retention`. Safe for use from several threads."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def days(self, facility: FacilityId) -> Days:
        """See the port."""
        with self._state.lock:
            return dict(sorted(self._state.days.get(facility, {}).items()))

    def keep(self, facility: FacilityId, changes: Mapping[RetentionClass, int | None], actor: str) -> Days:
        """See the port."""
        with self._state.lock:
            held = self._state.days.setdefault(facility, {})
            changed = {kind: days for kind, days in changes.items() if held.get(kind) != days}
            for kind, days in changed.items():
                body = {"days": days, "before": held.pop(kind, None)}
                if days is not None:
                    held[kind] = days
                self._state.record(facility, actor, "retention.set", str(kind), body)
            if changed:
                self._state.walks[facility] = Walk(self._state.now())
            return self.days(facility)

    def walk(self, now: datetime, limit: int) -> Walked | None:
        """See the port."""
        with self._state.lock:
            turns = [
                (walk.began_at, facility)
                for facility, walk in self._state.walks.items()
                if walk.after is not None or walk.began_at <= now - _AGAIN
            ]
            if not turns:
                return None
            _, facility = min(turns)
            days = self.days(facility)
            if not days:
                del self._state.walks[facility]
                return Walked(facility, 0, {})
            return self._step(facility, days, now, limit)

    def _step(self, facility: FacilityId, days: Days, now: datetime, limit: int) -> Walked:
        walk = self._state.walks[facility]
        youngest = now - timedelta(days=min(days.values()))
        rows = [(number, self._state.images[image_id]) for number, image_id in enumerate(self._state.ends, 1)]
        old = [
            (number, row)
            for number, row in rows
            if number > (walk.after or 0) and row.facts.facility == facility and _end(row).at <= youngest
        ][:limit]
        erased = [part for _, row in old for part in self._erase(row, due_parts([self._ended(row)], days, now), SYSTEM)]
        began_at = walk.began_at if walk.after else now
        self._state.walks[facility] = Walk(began_at, old[-1][0] if len(old) == limit else None)
        return Walked(facility, len(old), Counter(erased))

    def _ended(self, row: ImageRow) -> Ended:
        end, item = _end(row), self._state.reviews.get(row.facts.image_id)
        outcome = end.outcome
        said = standing(item.reviews) if item is not None else None
        there = {Part.ORIGINAL: not self._state.is_erased(row.facts.image_id), Part.METADATA: bool(row.facts.metadata)}
        return Ended(
            row.facts.image_id,
            outcome.state,
            outcome.verdict,
            Verdict(said.decision.choice) if said is not None else None,
            item is not None and item.decided is None,
            end.at,
            frozenset(part for part, is_there in there.items() if is_there),
        )

    def _erase(self, row: ImageRow, due: Sequence[Due], actor: str) -> list[Part]:
        facts, body = row.facts, dict[str, object]()
        if self._state.holds_on(facts):
            return []
        gone = self._state.erasures.setdefault(facts.image_id, {})
        for one in due:
            if one.part in gone or (one.part is Part.METADATA and not facts.metadata):
                continue
            gone[one.part] = Erasure(one.part, self._state.now(), actor, one.reason)
            if one.part is Part.METADATA:
                body[one.part] = {"reason": one.reason, "names": sorted(facts.metadata)}
                row.facts, row.new = replace(facts, metadata={}), replace(row.new, metadata={})
            else:
                body[one.part] = {"reason": one.reason, "sha256": facts.sha256}
                self._state.erasing[facts.image_id] = ErasedFiles(facts.facility, facts.image_id, (facts.blob_key,))
        if body:
            self._state.record(facts.facility, actor, "image.erased", str(facts.image_id), body)
        return [Part(part) for part in body]

    def erase(self, facility: FacilityId, image_id: ImageId, reason: str, actor: str) -> tuple[Erasure, ...]:
        """See the port."""
        with self._state.lock:
            row = self._state.images.get(image_id)
            if row is None or row.facts.facility != facility:
                raise ErasureRefused(f"there is no image {image_id} at {facility}")
            if row.end is None:
                raise ErasureRefused(f"image {image_id} is still being inspected: erase it when it has ended")
            self._erase(row, [Due(image_id, part, reason) for part in Part], actor)
            gone = self._state.erasures.get(image_id, {})
            if Part.ORIGINAL not in gone:
                raise ErasureRefused(f"image {image_id} is under legal hold and is not erased")
            return tuple(gone[part] for part in Part if part in gone)

    def overdue_s(self, now: datetime) -> float:
        """See the port."""
        with self._state.lock:
            walks = self._state.walks.values()
            turns = [walk.began_at + _AGAIN if walk.after is None else walk.began_at for walk in walks]
            erased = [self._state.erasures[image_id][Part.ORIGINAL].at for image_id in self._state.erasing]
            return max(0.0, (now - min([now, *turns, *erased])).total_seconds())

    def unfinished(self, limit: int) -> list[ErasedFiles]:
        """See the port."""
        with self._state.lock:
            return list(self._state.erasing.values())[:limit]

    def finish(self, erased: Sequence[ErasedFiles]) -> None:
        """See the port."""
        with self._state.lock:
            for one in erased:
                self._state.erasing.pop(one.image_id, None)


def _end(row: ImageRow) -> EndRow:
    assert row.end is not None  # noqa: S101 (only such are asked about)
    return row.end
