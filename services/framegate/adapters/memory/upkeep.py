"""Upkeep in memory."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

from framegate.adapters.memory.state import TAKES, ImageRow, MemoryState, queue_of
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.states import ImageState, Verdict
from framegate.ports.overview import Stock
from framegate.ports.progress import CONVICTING_CRASHES, Ending
from framegate.ports.upkeep import Check, Conservation, Overdue, StoredOriginal

#: The pause before a message is sent again doubles each time, up to this factor.
_LONGEST_PAUSE = 64


class MemoryUpkeep:
    """`Upkeep`. Safe for use from several threads."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def reissue_overdue(
        self,
        idle: Mapping[ImageState, timedelta],
        limit: int,
        ready: Mapping[str, int] | None = None,
    ) -> list[Overdue]:
        """Leaves alone what only waits its turn: while a message as old as the image's own is still ready in its queue,
        the workers are behind and a second message would not help. Longest idle first.
        """
        with self._state.lock:
            overdue = [row for row in self._state.images.values() if row.state in idle and self._is_due(row, idle)]
            overdue.sort(key=lambda row: row.moved_at)
            return [self._reissue(row) for row in overdue[:limit]]

    def _is_due(self, row: ImageRow, idle: Mapping[ImageState, timedelta]) -> bool:
        since = max(row.moved_at, row.lease.until if row.lease else 0.0)
        pause_s = idle[row.state].total_seconds() * min(2**row.reissues, _LONGEST_PAUSE)
        if row.ended or self._state.clock.monotonic() - since < pause_s:
            return False
        oldest = self._state.queue.oldest_ready(queue_of(row.state, row.facts.lane))
        return oldest is None or oldest > row.issued_at

    def _reissue(self, row: ImageRow) -> Overdue:
        row.reissues += 1
        self._state.emit(row)
        facts = row.facts
        moved = row.state, row.attempts, row.reissues
        return Overdue(facts.facility, facts.image_id, row.look, facts.lane, *moved, row.new.trace)

    def waiting_s(self) -> Mapping[str, float]:
        """Those that a living worker has claimed do not wait."""
        now, waiting = self._state.clock.monotonic(), dict[str, float]()
        with self._state.lock:
            for row in self._state.images.values():
                since = max(row.moved_at, row.lease.until if row.lease else 0.0)
                if not row.ended and since <= now:
                    queue = queue_of(row.state, row.facts.lane)
                    waiting[queue] = max(waiting.get(queue, 0.0), now - since)
        return waiting

    def in_flight(self) -> int:
        """The images without an end."""
        with self._state.lock:
            return sum(not row.ended for row in self._state.images.values())

    def conservation(self, facility: FacilityId | None = None) -> Conservation:
        """Counted from the rows."""
        with self._state.lock:
            rows = [r for r in self._state.images.values() if facility is None or r.facts.facility == facility]
            states = Counter(row.state for row in rows)
            verdicts = Counter(str(row.end.outcome.verdict) for row in rows if row.end and row.end.outcome.verdict)
        ends = (states[ImageState.DECIDED], states[ImageState.REJECTED], states[ImageState.FAILED])
        in_flight = sum(states[state] for state in TAKES.values())
        lost = len(rows) - sum(ends) - in_flight
        return Conservation(len(rows), *ends, in_flight, lost, {str(v): verdicts[str(v)] for v in Verdict})

    def take_stock(self) -> Conservation:
        """See the port."""
        with self._state.lock:
            for facility in self._state.facilities:
                self._state.stock[facility] = Stock(facility, self._state.now(), self.conservation(facility))
            return self.conservation()

    def check_invariants(self) -> list[Check]:
        """What SQL would check."""
        with self._state.lock:
            rows = list(self._state.images.values())
            checks = [_check(name, meaning, rows, violates) for name, meaning, violates in _INVARIANTS]
            twice = [str(image) for image, n in Counter(self._state.ends).items() if n > 1]
        meaning = "no image has more than one outcome"
        return [*checks, Check("one-outcome", meaning, len(twice), tuple(twice[:10]))]

    def blob_keys(self, after: ImageId | None, limit: int) -> list[StoredOriginal]:
        """In id order."""
        with self._state.lock:
            ids = sorted(i for i in self._state.images if after is None or i > after)
            news = [self._state.images[image_id].new for image_id in ids[:limit]]
            return [
                StoredOriginal(new.image_id, new.blob_key, new.sha256, self._state.is_there(new.image_id))
                for new in news
            ]


def _check(name: str, meaning: str, rows: list[ImageRow], violates: Callable[[ImageRow], bool]) -> Check:
    found = [str(row.facts.image_id) for row in rows if violates(row)]
    return Check(name, meaning, len(found), tuple(found[:10]))


def _unproved_poison(row: ImageRow) -> bool:
    if row.end is None or row.end.outcome.reason != "poison":
        return False
    return sum(entry["ending"] == Ending.CRASH for entry in row.history) < CONVICTING_CRASHES


_INVARIANTS: tuple[tuple[str, str, Callable[[ImageRow], bool]], ...] = (
    ("ended-has-outcome", "every ended image has an outcome", lambda r: r.ended and r.end is None),
    (
        "outcome-has-ended",
        "every image with an outcome is in the state that its outcome names",
        lambda r: r.end is not None and r.end.outcome.state is not r.state,
    ),
    ("ended-is-free", "no ended image is claimed", lambda r: r.ended and r.lease is not None),
    (
        "inspected-has-finding",
        "every image at the gate has a finding",
        lambda r: r.state is ImageState.INSPECTED and r.finding is None,
    ),
    (
        "prepared-has-frame",
        "every image that waits for inference has a prepared frame",
        lambda r: r.state is ImageState.PREPARED and r.prepared is None,
    ),
    ("poison-has-crashes", "no image is convicted without three crashes alone", _unproved_poison),
)
