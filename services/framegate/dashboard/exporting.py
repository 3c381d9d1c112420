"""Images as a file: CSV for spreadsheets, JSON Lines for programs; never more than a batch of them in memory."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from framegate.dashboard.deps import PageDependencies
from framegate.kernel.ids import FacilityId
from framegate.ports.notices import moment
from framegate.ports.store import ImageFilter, ImageRecord, Results

#: The media type of each format.
FORMATS: Final = {"csv": "text/csv", "json": "application/jsonl"}
_ENDINGS: Final = {"csv": "csv", "json": "jsonl"}
_BATCH: Final = 250
#: A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Row = Mapping[str, Any]


async def as_file(
    deps: PageDependencies, where: ImageFilter, form: str, actor: str, given: Mapping[str, str]
) -> StreamingResponse:
    """Whoever takes it is audited first, in each facility, with the conditions. Raises `TooBroad` before anything is sent."""
    await run_in_threadpool(_audit, deps, where.facilities, actor, {"format": form, "conditions": dict(given)})
    first = await run_in_threadpool(_batch, deps.results, where)
    name = f"inspections-{deps.clock.now().astimezone(UTC):%Y%m%d-%H%M%S}.{_ENDINGS[form]}"
    return StreamingResponse(
        _written(deps.results, where, first, _WRITERS[form]),
        media_type=f"{FORMATS[form]}; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _audit(deps: PageDependencies, facilities: frozenset[FacilityId], actor: str, body: Row) -> None:
    for facility in sorted(facilities):
        deps.audit.add(facility, actor, "images.exported", "images", body)


def _batch(results: Results, where: ImageFilter) -> list[ImageRecord]:
    return results.images(where, _BATCH) if where.facilities else []


async def _written(
    results: Results, where: ImageFilter, found: list[ImageRecord], write: Callable[[Sequence[Row], bool], str]
) -> AsyncIterator[str]:
    """Asks for the next batch when the last was sent; whoever goes away is not written for any more."""
    yield write([row_of(record) for record in found], True)
    while len(found) == _BATCH:
        where = replace(where, before=found[-1].facts.image_id)
        found = await run_in_threadpool(_batch, results, where)
        yield write([row_of(record) for record in found], False)


def row_of(record: ImageRecord) -> Row:
    """What is told of an image in a file."""
    facts = record.facts
    return {
        "id": str(facts.image_id),
        "facility": facts.facility,
        "camera": facts.camera,
        "received_at": moment(facts.received_at),
        "captured_at": moment(record.captured_at),
        "ended_at": moment(record.decided_at),
        "state": str(record.state),
        "verdict": None if record.verdict is None else str(record.verdict),
        "effective_verdict": None if record.effective_verdict is None else str(record.effective_verdict),
        "reason": record.reason,
        "detail": record.detail,
        "detections": [
            {"class": name, "confidence": round(confidence, 4)} for name, confidence, _ in record.detections
        ],
        "model": record.model,
        "policy": record.policy_version,
        "reviewers": list(dict.fromkeys(review.reviewer for review in record.reviews)),
        "metadata": dict(record.metadata),
        "lane": str(facts.lane),
        "sha256": facts.sha256,
    }


def _csv(rows: Sequence[Row], is_first: bool) -> str:
    """RFC 4180."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if is_first:
        writer.writerow(_COLUMNS)
    for row in rows:
        told = {
            **row,
            "detections": "; ".join(f"{each['class']} {each['confidence']:.2f}" for each in row["detections"]),
            "reviewers": "; ".join(row["reviewers"]),
            "metadata": "; ".join(f"{name}={value}" for name, value in sorted(row["metadata"].items())),
            "shipment": row["metadata"].get("shipment"),
            "sscc": row["metadata"].get("sscc"),
        }
        writer.writerow([cell(told[name]) for name in _COLUMNS])
    return text.getvalue()


def cell(value: object) -> str:
    """Text that no spreadsheet runs."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _jsonl(rows: Sequence[Row], is_first: bool) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


_COLUMNS: Final = (
    "id", "facility", "camera", "received_at", "captured_at", "ended_at", "state", "verdict", "effective_verdict", "reason",
    "detail", "detections", "model", "policy", "reviewers", "shipment", "sscc", "metadata", "lane", "sha256",
)  # fmt: skip
_WRITERS: Final[Mapping[str, Callable[[Sequence[Row], bool], str]]] = {"csv": _csv, "json": _jsonl}
