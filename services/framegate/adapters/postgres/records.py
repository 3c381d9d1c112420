"""From the rows of `results_records.sql` to what the API tells."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from framegate.adapters.postgres.database import Raw
from framegate.adapters.postgres.rows import decision_from_row, labels_from_row, looks_from_row
from framegate.adapters.postgres.statements import statement
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.inspection import ImageFacts
from framegate.kernel.retention import Erasure, Part
from framegate.kernel.reviews import Review
from framegate.kernel.states import CameraStatus, ImageState, Lane, Verdict
from framegate.ports.store import ImageRecord

_STAGES: Final = (("preprocess", "received"), ("inference", "prepared"), ("gate", "inspected"))


def records_of(connection: Raw, images: Sequence[tuple[FacilityId, ImageId]]) -> list[ImageRecord]:
    """Everything about these images, in their order."""
    if not images:
        return []
    parameters = {"facilities": [facility for facility, _ in images], "images": [image for _, image in images]}
    return [_record(row) for row in connection.execute(statement("results_records"), parameters).fetchall()]


def _record(row: Sequence[Any]) -> ImageRecord:
    """Columns by position, in the order of the statement."""
    facts = ImageFacts(
        FacilityId(row[0]), ImageId(row[1]), CameraId(row[2]), CameraStatus(row[3]), Lane(row[4]), *row[5:14]
    )
    captured_at, duplicate_of, state, look = row[14:18]
    verdict, reason, detail, policy_version, reused_from, decided_at = row[18:24]
    model, model_sha256, engine, prepared, attempts, history = row[24:30]
    moments, work_ms, detections = row[30:35], row[35:38], row[38]
    return ImageRecord(
        facts=facts,
        captured_at=captured_at,
        metadata=facts.metadata,
        state=ImageState(state),
        look=look,
        verdict=None if verdict is None else Verdict(verdict),
        reason=reason,
        detail=detail,
        detections=tuple((d[0], d[1], (d[2], d[3], d[4], d[5])) for d in detections or ()),
        labels=labels_from_row(row[39]),
        model=model,
        model_sha256=model_sha256,
        engine=engine,
        policy_version=policy_version,
        quality=None if prepared is None else prepared["quality"],
        prepared=prepared,
        duplicate_of=None if duplicate_of is None else ImageId(duplicate_of),
        reused_from=None if reused_from is None else ImageId(reused_from),
        attempts=attempts,
        history=tuple(history),
        timings=_timings(facts.received_at, moments, decided_at, work_ms),
        decided_at=decided_at,
        looks=looks_from_row(row[40]),
        reviews=tuple(_review(facts, values) for values in row[42] or ()),
        effective_verdict=None if verdict is None else Verdict(row[41] or verdict),
        erasures=tuple(_erasure(values) for values in row[43] or ()),
        trace=row[44] or "",
    )


def _erasure(row: Sequence[Any]) -> Erasure:
    return Erasure(Part(row[0]), datetime.fromisoformat(row[1]), row[2], row[3])


def _review(facts: ImageFacts, row: Sequence[Any]) -> Review:
    at, undo_until = (None if row[n] is None else datetime.fromisoformat(row[n]) for n in (6, 10))
    assert at is not None  # noqa: S101 (not null in the table)
    return Review(
        UUID(row[0]),
        facts.facility,
        facts.image_id,
        decision_from_row(row[1], row[2], row[3], row[4]),
        row[5],
        at,
        row[7],
        row[8],
        None if row[9] is None else UUID(row[9]),
        undo_until,
    )


def _timings(
    received_at: datetime,
    moments: Sequence[datetime | None],
    decided_at: datetime | None,
    work_ms: Sequence[float | None],
) -> dict[str, Any]:
    names = ("preprocess_claimed", "prepared", "inference_claimed", "inspected", "gate_claimed")
    known = {name: at for name, at in zip(names, moments, strict=True) if at is not None}
    at = {"received": received_at, **known}
    if decided_at is not None:
        at["decided"] = decided_at
    timings: dict[str, Any] = {f"{name}_at": moment.isoformat() for name, moment in at.items()}
    for (stage, waits_since), spent_ms in zip(_STAGES, work_ms, strict=True):
        claimed = at.get(f"{stage}_claimed")
        if claimed is not None and waits_since in at:
            timings[f"{stage}_wait_ms"] = _ms(claimed, at[waits_since])
        if spent_ms is not None:
            timings[f"{stage}_ms"] = round(spent_ms, 3)
    if decided_at is not None:
        timings["accept_to_verdict_ms"] = _ms(decided_at, received_at)
    return timings


def _ms(end: datetime, start: datetime) -> float:
    return round((end - start).total_seconds() * 1000, 3)
