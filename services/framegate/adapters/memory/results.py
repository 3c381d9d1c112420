"""Results in memory."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from framegate.adapters.memory.state import ImageRow, MemoryState
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.inspection import Failed, Inspected, Label
from framegate.kernel.retention import Part
from framegate.kernel.reviews import Choice, effective, upheld
from framegate.ports.store import ImageFilter, ImageRecord


class MemoryResults:
    """`Results`. Safe for use from several threads."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def image(self, facilities: frozenset[FacilityId], image_id: ImageId) -> ImageRecord | None:
        """None also for another facility's image."""
        with self._state.lock:
            row = self._state.images.get(image_id)
            return recorded(self._state, row) if row is not None and row.facts.facility in facilities else None

    def linked_image(self, image_id: ImageId) -> ImageRecord | None:
        """See the port."""
        with self._state.lock:
            row = self._state.images.get(image_id)
            return None if row is None else recorded(self._state, row)

    def images(self, where: ImageFilter, limit: int) -> list[ImageRecord]:
        """Newest first, which is by falling id."""
        with self._state.lock:
            rows = sorted(self._state.images.values(), key=lambda row: row.facts.image_id, reverse=True)
            found = [record for row in rows if _matches(row, where, record := recorded(self._state, row))]
            return found[-limit:] if where.after is not None else found[:limit]

    def outcomes_after(
        self, facilities: frozenset[FacilityId], sequence: int, limit: int
    ) -> list[tuple[int, ImageRecord]]:
        """See the port."""
        with self._state.lock:
            ended = [
                row for row in map(self._state.images.__getitem__, self._state.ends) if row.facts.facility in facilities
            ]
            found = [(row.end.sequence, row) for row in ended if row.end is not None and row.end.sequence > sequence]
            chosen = found[-1:] if sequence < 0 else found[:limit]
            return [(number, recorded(self._state, row)) for number, row in chosen]


def recorded(state: MemoryState, row: ImageRow) -> ImageRecord:
    """Everything about one image."""
    erasures = state.erasures.get(row.facts.image_id, {})
    found = replace(_record(row), erasures=tuple(erasures[part] for part in Part if part in erasures))
    item = state.reviews.get(row.facts.image_id)
    if item is None:
        return replace(found, effective_verdict=found.verdict)
    return replace(found, reviews=tuple(item.reviews), effective_verdict=effective(found.verdict, item.reviews))


def _matches(row: ImageRow, where: ImageFilter, record: ImageRecord) -> bool:
    facts = row.facts
    wanted = (
        (where.camera, facts.camera),
        (where.state, row.state),
        (where.verdict, record.verdict),
        (where.effective, record.effective_verdict),
        (where.reason, record.reason),
        (where.model, record.model if row.end else None),
        (where.reviewed, _is_reviewed(record)),
        (where.lane, facts.lane),
        (where.sha256, facts.sha256),
    )
    return (
        facts.facility in where.facilities
        and all(value is None or value == actual for value, actual in wanted)
        and _is_seen(record, where)
        and (where.received_since is None or facts.received_at >= where.received_since)
        and (where.received_until is None or facts.received_at < where.received_until)
        and where.metadata.items() <= row.new.metadata.items()
        and (where.before is None or facts.image_id < where.before)
        and (where.after is None or facts.image_id > where.after)
    )


def _is_reviewed(record: ImageRecord) -> bool:
    return any(review.decision.choice is not Choice.SKIP for review in upheld(record.reviews))


def _is_seen(record: ImageRecord, where: ImageFilter) -> bool:
    """Whether a detection is as wanted. Confidences are kept with single precision, so they are compared with it."""
    low, high = (None if x is None else np.float32(x) for x in (where.min_confidence, where.max_confidence))
    if where.detected is None and low is None and high is None:
        return True
    return any(
        (where.detected is None or name == where.detected)
        and (low is None or np.float32(confidence) >= low)
        and (high is None or np.float32(confidence) <= high)
        for name, confidence, _ in record.detections
    )


def _detections(row: ImageRow) -> tuple[tuple[str, float, tuple[float, float, float, float]], ...]:
    if not isinstance(row.finding, Inspected) or row.end is None:
        return ()
    pairs = zip(row.finding.classes, row.finding.detections, strict=True)
    return tuple((name, confidence, box) for name, (_, confidence, box) in pairs)


def _labels(row: ImageRow) -> tuple[Label, ...]:
    return row.finding.labels if isinstance(row.finding, Inspected) and row.end is not None else ()


def _record(row: ImageRow) -> ImageRecord:
    outcome = row.end.outcome if row.end else None
    seen = row.finding if isinstance(row.finding, Inspected | Failed) else None
    return ImageRecord(
        facts=row.facts,
        captured_at=row.new.captured_at,
        metadata=dict(row.new.metadata),
        state=row.state,
        look=row.look,
        verdict=outcome.verdict if outcome else None,
        reason=outcome.reason if outcome else None,
        detail=outcome.detail if outcome else None,
        detections=_detections(row),
        labels=_labels(row),
        model=seen.model if seen else None,
        model_sha256=seen.model_sha256 if seen else None,
        engine=seen.engine if seen else None,
        policy_version=outcome.policy_version if outcome else None,
        quality=row.prepared.quality.to_json() if row.prepared else None,
        prepared=row.prepared.to_json() if row.prepared else None,
        duplicate_of=row.duplicate_of,
        reused_from=row.end.reused_from if row.end else None,
        attempts=row.attempts_ever,
        history=tuple(dict(entry) for entry in row.history),
        timings=_timings(row),
        decided_at=row.end.at if row.end else None,
        looks=outcome.looks if outcome else (),
        trace=row.new.trace,
    )


def _timings(row: ImageRow) -> Mapping[str, Any]:
    moments = {f"{name}_at": at.isoformat() for name, at in row.timeline.items()}
    durations = {f"{stage}_ms": round(ms, 3) for stage, ms in row.work_ms.items()}
    if row.end is not None:
        durations["total_ms"] = round((row.end.at - row.facts.received_at).total_seconds() * 1000, 3)
    return moments | durations
