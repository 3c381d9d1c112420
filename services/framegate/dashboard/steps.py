"""The way of one image through the stages, and how long each part took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from framegate.dashboard.telling import Said
from framegate.kernel.retention import Part
from framegate.ports.store import ImageRecord

#: (what was done, what it waited from, when it was taken up, when it was done, the measured work)
STAGES: Final = (
    ("prepared", "received_at", "preprocess_claimed_at", "prepared_at", "preprocess_ms"),
    ("inspected", "prepared_at", "inference_claimed_at", "inspected_at", "inference_ms"),
    ("decided", "inspected_at", "gate_claimed_at", "decided_at", "gate_ms"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """A stage. Waits and work in ms; `from_`, `until` and `taken` are shares of the whole time, 0 to 100."""

    name: str
    waited_ms: float | None
    worked_ms: float | None
    start: float
    taken: float
    end: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the image. `kind` as of a badge."""

    at: datetime
    what: str
    more: str = ""
    kind: str = ""


def spans_of(record: ImageRecord) -> list[Span]:
    """Of the stages that it has passed; of a copied outcome none."""
    timings = record.timings
    began, ended = moment(timings, "received_at"), moment(timings, "decided_at")
    known = [at for *_, done, _ in STAGES if (at := moment(timings, done)) is not None]
    last = ended or max(known, default=None)
    if began is None or last is None or last <= began:
        return []
    whole = (last - began).total_seconds()
    spans = []
    for name, since, claimed, done, work in STAGES:
        moments = [moment(timings, each) for each in (since, claimed, done)]
        if any(at is None for at in moments):
            continue
        start, taken, end = (100 * (at - began).total_seconds() / whole for at in moments if at is not None)
        waited = (taken - start) * whole * 10
        spans.append(Span(name, waited, timings.get(work, (end - taken) * whole * 10), start, taken, end))
    return spans


def events_of(record: ImageRecord, people: Sequence[Said]) -> list[Event]:
    """Everything, oldest first."""
    facts = record.facts
    found = [Event(facts.received_at, "received", f"from {facts.camera}, lane {facts.lane}")]
    if record.captured_at is not None:
        found.append(Event(record.captured_at, "taken", "by the camera's clock"))
    for name, *_, done, _ in STAGES[:2]:
        at = moment(record.timings, done) if name == "prepared" or record.model is not None else None
        found += [Event(at, name)] if at is not None else []
    if record.decided_at is not None:
        end = str(record.verdict or record.state)
        found.append(Event(record.decided_at, end, _end(record), end))
    for attempt in record.history:
        at = moment(attempt, "at")
        if at is not None:
            found.append(Event(at, f"{attempt.get('stage')}: an attempt did not complete", _attempt(attempt), "review"))
    for said in people:
        more = " ".join(part for part in (said.about and f"as {said.about}.", said.note) if part)
        found.append(Event(said.at, f"{said.who} {said.what}", more))
    for erasure in record.erasures:
        what = "picture" if erasure.part is Part.ORIGINAL else "metadata"
        found.append(Event(erasure.at, f"{what} erased", f"by {erasure.actor}: {erasure.reason}", "rejected"))
    return sorted(found, key=lambda event: event.at)


def _end(record: ImageRecord) -> str:
    policy = f"by policy version {record.policy_version}" if record.policy_version is not None else ""
    return "with the outcome of an earlier image with the same bytes" if record.reused_from else policy


def _attempt(attempt: Mapping[str, Any]) -> str:
    return ", ".join(str(attempt[name]) for name in ("ending", "cause", "worker") if attempt.get(name))


def moment(values: Mapping[str, Any], name: str) -> datetime | None:
    """None: it is not known, or not yet."""
    text = values.get(name)
    return None if text is None else text if isinstance(text, datetime) else datetime.fromisoformat(text)
