"""Drift in memory."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

from framegate.adapters.memory.results import recorded
from framegate.adapters.memory.state import ImageRow, MemoryState
from framegate.kernel.drift import alert_about, follow, learn_anew
from framegate.kernel.drift_features import Kind, Part, Seen, merge
from framegate.kernel.drift_reference import Block, Reference, Score
from framegate.kernel.drift_state import Drift, DriftChange, DriftLimits, Finding, Hour, Subject, Window
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.incidents import SYSTEM, RaisedAlert
from framegate.kernel.states import Lane
from framegate.ports.drift import TakenIn


class MemoryShelf:
    """`Shelf`."""

    def __init__(self) -> None:
        self.drifts: dict[Subject, Drift] = {}
        self.references: dict[tuple[Subject, Part], Reference] = {}
        self.kept: dict[tuple[Subject, Part], list[Block]] = defaultdict(list)
        self.hours: dict[tuple[Subject, datetime], Hour] = {}
        self.findings: dict[UUID, Finding] = {}

    def drift(self, subject: Subject) -> Drift:
        """See `Shelf`."""
        return self.drifts.setdefault(subject, Drift())

    def subjects(self) -> int:
        """See `Shelf`."""
        return len(self.drifts)

    def add_block(self, subject: Subject, part: Part, block: Block) -> None:
        """See `Shelf`."""
        self.kept[subject, part].append(block)

    def blocks(self, subject: Subject, part: Part) -> list[Block]:
        """See `Shelf`."""
        return self.kept[subject, part]

    def reference(self, subject: Subject, part: Part) -> Reference | None:
        """See `Shelf`."""
        return self.references.get((subject, part))

    def freeze(self, subject: Subject, part: Part, reference: Reference | None) -> None:
        """See `Shelf`."""
        self.kept.pop((subject, part), None)
        self.references.pop((subject, part), None)
        if reference is not None:
            self.references[subject, part] = reference

    def add_hour(self, subject: Subject, window: Window, scores: Sequence[Score]) -> None:
        """See `Shelf`."""
        if window.began_at is not None:
            at = window.began_at.replace(minute=0, second=0, microsecond=0)
            hour = self.hours.setdefault((subject, at), Hour(at))
            hour.images += window.images
            merge(hour.counts, window.counts)
            hour.scores |= {one.feature: one.level for one in scores}

    def again(self, subject: Subject, window: Window) -> list[Seen]:
        """See `Shelf`."""
        return []

    def begin(self, finding: Finding) -> None:
        """See `Shelf`."""
        self.findings[finding.finding_id] = finding

    def end(self, finding_id: UUID, at: datetime) -> None:
        """See `Shelf`."""
        self.findings[finding_id] = replace(self.findings[finding_id], ended_at=at)


class _Shelf(MemoryShelf):
    def __init__(self, state: MemoryState) -> None:
        super().__init__()
        self._state = state
        self.seen: dict[Subject, datetime] = {}  #: when it was last asked for

    def drift(self, subject: Subject) -> Drift:
        self.seen[subject] = self._state.now()
        return super().drift(subject)

    def forget(self, subject: Subject) -> None:
        del self.drifts[subject], self.seen[subject]
        for part in Part:
            self.freeze(subject, part, None)
        self.hours = {key: hour for key, hour in self.hours.items() if key[0] != subject}
        self.findings = {key: one for key, one in self.findings.items() if one.subject != subject}

    def again(self, subject: Subject, window: Window) -> list[Seen]:
        ended = [self._state.images[image] for image in self._state.ends[window.first - 1 : window.last]]
        return [seen for row in reversed(ended) if (seen := _seen(self._state, row)) and _is_of(subject, seen)]


class MemoryDrifts:
    """`Drifts`. Safe for use from several threads."""

    def __init__(self, state: MemoryState) -> None:
        self._state, self._shelf, self._taken = state, _Shelf(state), 0

    def follow(self, limits: DriftLimits, limit: int) -> TakenIn:
        """See the port."""
        with self._state.lock:
            upto = min(self._state.judged, self._taken + limit)
            ended = [self._state.images[image] for image in self._state.ends[self._taken : upto]]
            images = [seen for row in ended if (seen := _seen(self._state, row))]
            changes = follow(images, self._shelf, limits)
            for change in changes:
                self._tell(change, SYSTEM)
            self._taken += len(ended)
            return TakenIn(len(ended), changes)

    def _tell(self, change: DriftChange, actor: str) -> None:
        facility, now = change.subject.facility, self._state.now()
        if (alert := alert_about(change)) is not None:
            self._state.alerts.append(RaisedAlert(uuid4(), facility, None, alert, now))
        began = [finding.feature for finding in change.began]
        body = {"began": began, "ended": list(change.ended)}
        self._state.record(facility, actor, "drift.found" if began else "drift.over", str(change.subject), body)

    def known(
        self, facilities: frozenset[FacilityId] | None = None, *, compared: bool = False
    ) -> Mapping[Subject, Drift]:
        """See the port."""
        with self._state.lock:
            return {
                subject: Drift.from_json(drift.to_json())
                for subject, drift in sorted(self._shelf.drifts.items())
                if (facilities is None or subject.facility in facilities) and (drift.scores or not compared)
            }

    def drift(self, subject: Subject) -> Drift | None:
        """See the port."""
        return self.known(frozenset({subject.facility})).get(subject)

    def reference(self, subject: Subject, part: Part) -> Reference | None:
        """See the port."""
        with self._state.lock:
            return self._shelf.reference(subject, part)

    def hours(self, subject: Subject, since: datetime) -> list[Hour]:
        """See the port."""
        with self._state.lock:
            found = (hour for (one, at), hour in self._shelf.hours.items() if one == subject and at >= since)
            return sorted((replace(hour) for hour in found), key=lambda hour: hour.at)

    def findings(
        self,
        facilities: frozenset[FacilityId] | None,
        since: datetime | None = None,
        subject: Subject | None = None,
        limit: int = 100,
    ) -> list[Finding]:
        """See the port."""
        with self._state.lock:
            found = [
                one
                for one in self._shelf.findings.values()
                if (facilities is None or one.subject.facility in facilities)
                and (subject is None or one.subject == subject)
                and (one.ended_at is None or (since is not None and one.ended_at >= since))
            ]
            return sorted(found, key=lambda one: (one.began_at, one.finding_id), reverse=True)[:limit]

    def freeze(self, subject: Subject, actor: str) -> bool:
        """See the port."""
        with self._state.lock:
            if subject not in self._shelf.drifts:
                return False
            drift = self._shelf.drift(subject)
            change = learn_anew(drift, subject, self._shelf, tuple(map(Part, drift.parts)), self._state.now())
            if change is not None and (alert := alert_about(change)) is not None:
                self._state.alerts.append(RaisedAlert(uuid4(), subject.facility, None, alert, self._state.now()))
            body = {"ended": list(change.ended) if change else []}
            self._state.record(subject.facility, actor, "drift.frozen", str(subject), body)
            return True

    def forget(self, before: datetime, limit: int) -> int:
        """See the port."""
        with self._state.lock:
            hours = sorted(key for key in self._shelf.hours if key[1] < before)[:limit]
            for key in hours:
                del self._shelf.hours[key]
            old = [key for key, one in self._shelf.findings.items() if one.ended_at and one.ended_at < before]
            old = old[: limit - len(hours)]
            for finding in old:
                del self._shelf.findings[finding]
            gone = [subject for subject, at in self._shelf.seen.items() if at < before]
            gone = gone[: limit - len(hours) - len(old)]
            for subject in gone:
                self._shelf.forget(subject)
            return len(hours) + len(old) + len(gone)


def _seen(state: MemoryState, row: ImageRow) -> Seen | None:
    """None: of no matter here."""
    facts, end = row.facts, row.end
    if end is None or facts.lane is not Lane.LIVE:
        return None
    record = recorded(state, row)
    prepared = row.first.prepared if row.first is not None and end.outcome.found is not None else row.prepared
    faulty = bool(state.faults_of(facts.facility, facts.camera))
    return Seen(
        end.sequence, facts.facility, facts.camera, ImageId(facts.image_id), facts.received_at,
        str(record.verdict or record.state), record.model, prepared, record.detections, tuple(record.metadata), faulty,
    )  # fmt: skip


def _is_of(subject: Subject, seen: Seen) -> bool:
    name = seen.camera if subject.kind is Kind.CAMERA else seen.model
    return (seen.facility, name) == (subject.facility, subject.name)
