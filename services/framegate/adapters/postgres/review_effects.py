"""What came of the review desk: decisions that are final, and what follows from them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, func, or_, select, update

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.incidents import raise_alert
from framegate.adapters.postgres.records import records_of
from framegate.adapters.postgres.statements import statement
from framegate.kernel.ids import FacilityId
from framegate.kernel.incidents import SYSTEM
from framegate.kernel.reviews import SAMPLE_WEIGHT, Choice, Origin
from framegate.ports.reviews import DecidedFilter, DecidedImage, Tell

_ITEMS = schema.review_items


def final_items(where: DecidedFilter, limit: int) -> Select[Any]:
    """What `decided_images` needs of each item, newest image first."""
    item, image = _ITEMS.c, schema.images.c
    same = (image.facility_id == item.facility_id) & (image.image_id == item.image_id)
    conditions = [
        item.facility_id == where.facility,
        item.state == "decided",
        or_(item.settle_at.is_(None), item.settle_at <= func.clock_timestamp()),
        *([item.image_id < where.before] if where.before else []),
        *([item.camera_id == where.camera] if where.camera else []),
        *([image.received_at >= where.received_since] if where.received_since else []),
        *([image.received_at < where.received_until] if where.received_until else []),
    ]
    query: Select[Any] = select(item.image_id, item.origin, item.review_id).join(schema.images, same)
    return query.where(*conditions).order_by(item.image_id.desc()).limit(limit)


def decided_images(connection: Connection, facility: FacilityId, items: Sequence[Row[Any]]) -> list[DecidedImage]:
    """In the order of `items`, in the transaction of the connection."""
    raw: Any = connection.connection.driver_connection
    records = records_of(raw, [(facility, item.image_id) for item in items])
    return [
        DecidedImage(one, Origin(item.origin), next(r for r in one.reviews if r.review_id == item.review_id))
        for item, one in zip(items, records, strict=True)
    ]


def settle_item(connection: Connection, item: Row[Any], most: int, tell: Tell) -> int:
    """How many images people are asked about again; where that is `most`, the item stays due for the others."""
    body: dict[str, Any] = {"review": str(item.review_id)}
    if item.choice == Choice.FAIL:
        for alert in tell(decided_images(connection, item.facility_id, [item])[0]):
            raise_alert(connection, FacilityId(item.facility_id), alert, item.image_id, body)
    asked = _ask_again(connection, item, most) if item.choice in (Choice.PASS, Choice.FAIL) else []
    body |= {"asked_again": asked} if asked else {}
    object_ = str(item.image_id)
    if len(asked) == most:
        record(connection, item.facility_id, SYSTEM, "review.asked-again", object_, body)
        return most
    which = (_ITEMS.c.facility_id == item.facility_id, _ITEMS.c.image_id == item.image_id)
    connection.execute(update(_ITEMS).where(*which).values(settle_at=None))
    record(connection, item.facility_id, SYSTEM, "review.settled", object_, {**body, "choice": item.choice})
    return len(asked)


def _ask_again(connection: Connection, item: Row[Any], most: int) -> list[str]:
    parameters = {
        "facility": item.facility_id,
        "camera": item.camera_id,
        "sha256": item.sha256,
        "said": item.choice,
        "weight": SAMPLE_WEIGHT,
        "max": most,
    }
    return sorted(connection.exec_driver_sql(statement("review_duplicates"), parameters).scalars())
