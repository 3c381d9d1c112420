"""Items and reviews of the review desk, and the rows they are kept in."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, text

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.rows import decision_from_row, storable
from framegate.adapters.postgres.statements import statement
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.reviews import HEAD_START_S, Origin, Review
from framegate.kernel.states import Verdict
from framegate.ports.reviews import ReviewItem

_REVIEWS = schema.reviews


def is_open() -> Any:
    """In the words of the partial index. Whose picture was erased meanwhile nobody can decide about."""
    return text(
        "review_items.state = 'open' and not exists (select from erasures e where e.part = 'original'"
        " and e.facility_id = review_items.facility_id and e.image_id = review_items.image_id)"
    )


def review_items(
    connection: Connection, keys: Sequence[tuple[FacilityId, ImageId]], actor: str | None = None
) -> list[ReviewItem]:
    """Those that exist, by falling risk; those that `actor` skipped last."""
    parameters = {
        "facilities": [facility for facility, _ in keys],
        "images": [image for _, image in keys],
        "actor": actor,
        "head_start": HEAD_START_S,
    }
    return [_item(row) for row in connection.exec_driver_sql(statement("review_items"), parameters)] if keys else []


def _item(row: Row[Any]) -> ReviewItem:
    width, height = (row.width, row.height) if row.orientation < 5 else (row.height, row.width)
    return ReviewItem(
        FacilityId(row.facility_id),
        ImageId(row.image_id),
        CameraId(row.camera_id),
        row.sha256,
        width,
        height,
        Origin(row.origin),
        Verdict(row.automatic),
        row.opened_at,
        row.version,
        row.state == "open",
        None if row.verdict is None else Verdict(row.verdict),
        row.leased_by,
        row.leased_until,
        tuple((name, confidence, (b[0], b[1], b[2], b[3])) for name, confidence, b in row.detections or ()),
    )


def append_review(connection: Connection, review: Review) -> None:
    """In the transaction that changes its item."""
    said = review.decision
    row = {
        "review_id": review.review_id,
        "facility_id": review.facility,
        "image_id": review.image_id,
        "choice": said.choice,
        "class": storable(said.name),
        "boxes": [[storable(drawn.name), list(drawn.box)] for drawn in said.boxes],
        "note": storable(said.note),
        "reviewer": review.reviewer,
        "at": review.at,
        "version": review.version,
        "shown_sha256": review.shown_sha256,
        "undoes": review.undoes,
        "undo_until": review.undo_until,
    }
    connection.execute(insert(_REVIEWS), row)


def reviews_of(connection: Connection, item: Row[Any]) -> list[Review]:
    """Oldest first."""
    query = select(_REVIEWS).where(_REVIEWS.c.facility_id == item.facility_id, _REVIEWS.c.image_id == item.image_id)
    return [_review(row) for row in connection.execute(query.order_by(_REVIEWS.c.sequence))]


def latest_reviews(connection: Connection, facilities: frozenset[FacilityId], limit: int) -> list[Review]:
    """Newest first. A query for each facility, so that each is read from the end of its index."""
    newest = _REVIEWS.c.at.desc(), _REVIEWS.c.sequence.desc()
    found = [
        row
        for facility in sorted(facilities)
        for row in connection.execute(
            select(_REVIEWS).where(_REVIEWS.c.facility_id == facility).order_by(*newest).limit(limit)
        )
    ]
    return [_review(row) for row in sorted(found, key=lambda row: (row.at, row.sequence), reverse=True)[:limit]]


def _review(row: Row[Any]) -> Review:
    return Review(
        row.review_id,
        FacilityId(row.facility_id),
        ImageId(row.image_id),
        decision_from_row(row.choice, row._mapping["class"], row.boxes, row.note),
        row.reviewer,
        row.at,
        row.version,
        row.shown_sha256,
        row.undoes,
        row.undo_until,
    )
