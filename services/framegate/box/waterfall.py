"""What happened to one image and how long each part took, from the rows alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from framegate.dashboard.demands import Demands
from framegate.dashboard.steps import STAGES, events_of, moment
from framegate.dashboard.telling import story_of
from framegate.kernel.incidents import RaisedAlert
from framegate.kernel.states import Stage, Verdict
from framegate.kernel.tracecontext import context_of, is_sampled
from framegate.ports.deliveries import DeliveryState, Told
from framegate.ports.hooks import Ending
from framegate.ports.store import ImageRecord

Kind = Literal["wait", "work", "event", "failed"]

_BY: Final = dict(zip(STAGES, (Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE), strict=True))


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time, or a moment where both ends are the same. `end` None: it still goes on."""

    what: str
    kind: Kind
    start: datetime
    end: datetime | None
    detail: str = ""

    def to_json(self, since: datetime) -> dict[str, Any]:
        """With its place after `since` and its length, ms."""
        return {
            "what": self.what,
            "kind": self.kind,
            "start": self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
            "offset_ms": _ms(self.start - since),
            "duration_ms": None if self.end is None else _ms(self.end - self.start),
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Waterfall:
    """`bars` in the order in which they began; those after the outcome are on a scale of their own."""

    record: ImageRecord
    bars: Sequence[Bar]

    @property
    def trace_id(self) -> str | None:
        """Also of a trace that is not recorded."""
        return context_of(self.record.trace).trace_id if self.record.trace else None

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        facts, record = self.record.facts, self.record
        return {
            "image": str(facts.image_id),
            "facility": facts.facility,
            "camera": facts.camera,
            "state": str(record.state),
            "verdict": None if record.verdict is None else str(record.verdict),
            "reason": record.reason,
            "trace_id": self.trace_id,
            "recorded": is_sampled(record.trace),
            "received_at": facts.received_at.isoformat(),
            "decided_at": record.decided_at and record.decided_at.isoformat(),
            "bars": [bar.to_json(facts.received_at) for bar in self.bars],
        }


def waterfall(
    record: ImageRecord, alerts: Sequence[tuple[RaisedAlert, UUID | None]], told: Sequence[Told]
) -> Waterfall:
    """Of an image in any state."""
    bars = [*_events(record), *_stages(record), *_review(record), *_alerts(alerts)]
    for one in told:
        bars += _deliveries(one)
    return Waterfall(record, sorted(bars, key=lambda bar: bar.start))


def _stages(record: ImageRecord) -> Iterator[Bar]:
    """Of the last look; what is known of an earlier one is its time, as the claims of a stage overwrite each other."""
    for row, stage in _BY.items():
        since, claimed, done = (moment(record.timings, name) for name in row[1:4])
        if since is None:
            return
        again = record.look > 1 and stage is Stage.PREPROCESS
        what = f"{stage}: {'earlier looks, then ' if again else ''}waiting"
        if claimed is None or claimed < since or (done is None and _is_of_before(record, stage, claimed)):
            if record.decided_at is None:
                yield Bar(what, "wait", since, None)
            return
        yield Bar(what, "wait", since, claimed)
        spent_ms = record.timings.get(row[4])
        if done is None and (failed := _given_up(record, stage, claimed)) is not None:
            yield Bar(f"{stage}: waiting for the next attempt", "wait", failed, None)
        elif done is not None or record.decided_at is None:
            work = "" if spent_ms is None else f"{spent_ms:.1f} ms of work, its share of the batches"
            yield Bar(str(stage), "work", claimed, done, work)


def _is_of_before(record: ImageRecord, stage: Stage, claimed: datetime) -> bool:
    """Whether a later stage had the image since: then an earlier look claimed it, and the one of now waits."""
    later = list(_BY.items())[list(_BY.values()).index(stage) + 1 :]
    return any((at := moment(record.timings, row[2])) is not None and at > claimed for row, _ in later)


def _given_up(record: ImageRecord, stage: Stage, claimed: datetime) -> datetime | None:
    """When the attempt that was claimed then ended without a result; None: it has not, as far as is known."""
    ends = (moment(entry, "at") for entry in record.history if entry.get("stage") == stage)
    return max((at for at in ends if at is not None and at >= claimed), default=None)


def _events(record: ImageRecord) -> Iterator[Bar]:
    for event in events_of(record, story_of(record, Demands()).people):
        if event.what not in ("prepared", "inspected", "taken"):  # ends of bars; and another clock's
            failed = "did not complete" in event.what
            yield Bar(event.what, "failed" if failed else "event", event.at, event.at, event.more)


def _review(record: ImageRecord) -> Iterator[Bar]:
    if record.verdict is not Verdict.REVIEW or record.decided_at is None:
        return
    decided = min((review.at for review in record.reviews), default=None)
    yield Bar("review: waiting for people", "wait", record.decided_at, decided)


def _alerts(alerts: Sequence[tuple[RaisedAlert, UUID | None]]) -> Iterator[Bar]:
    for raised, incident in alerts:
        taken = f"incident {incident}" if incident is not None else "no incident has it yet"
        what = f"alert: {raised.alert.rule} ({raised.alert.severity})"
        yield Bar(what, "event", raised.at, raised.at, f"{raised.alert.subject}: {taken}")


def _deliveries(told: Told) -> Iterator[Bar]:
    record, since = told.record, told.record.created_at
    name = f"{told.kind} {told.shown_target}"
    for line in told.attempts:
        result = line.result
        began = max(since, line.at - timedelta(milliseconds=result.elapsed_ms))
        yield Bar(f"hook: waiting for attempt {line.attempt}", "wait", since, began, name)
        kind: Kind = "work" if result.ending is Ending.DELIVERED else "failed"
        yield Bar(f"hook: {record.type}", kind, began, line.at, f"{name}: {result.detail}")
        since = line.at
    if record.state is DeliveryState.PENDING:
        yield Bar("hook: waiting for the next attempt", "wait", since, None, name)
    elif record.state is DeliveryState.DEAD and record.ended_at is not None:
        yield Bar("hook: given up", "failed", record.ended_at, record.ended_at, f"{name}: {record.reason}")


def _ms(length: timedelta) -> float:
    return round(length.total_seconds() * 1000, 3)
