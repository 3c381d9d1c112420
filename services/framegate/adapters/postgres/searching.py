"""Which images match a filter: a query of which every part is read from an index, newest first."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import REAL, ColumnElement, Select, Table, cast, literal_column, select, union_all

from framegate.adapters.postgres import schema
from framegate.kernel.ids import FacilityId, new_uuid7
from framegate.kernel.states import TERMINAL, ImageState, Verdict
from framegate.ports.store import ImageFilter

_IMAGES, _PROGRESS, _OUTCOMES = schema.images, schema.progress, schema.outcomes
_DETECTIONS, _ITEMS = schema.detections, schema.review_items
_ASKED: Final = _ITEMS.alias("asked")
_IN_FLIGHT: Final = frozenset(ImageState) - TERMINAL
#: How far the moment in an id may lie from when the image was received: an announced upload has an hour, clocks differ.
_SLACK_S: Final = timedelta(days=1).total_seconds()
_NOTHING: Final[ColumnElement[Any]] = literal_column("'{}'::jsonb")
_Conditions = dict[Table, list[ColumnElement[bool]]]


def matching(where: ImageFilter, limit: int) -> Select[Any]:
    """(facility, image): of each facility the first ones, and of those the first."""
    conditions = _conditions(where)
    ways = [conditions] if where.effective is None else _effectively(where.effective, conditions)
    each = [
        select(_in_facility(where, facility, way, limit).subquery())
        for facility in sorted(where.facilities)
        for way in ways
    ]
    found = union_all(*each).subquery()
    chosen = select(found).order_by(_order(where, found.c.image_id)).limit(limit)
    if where.after is None:
        return chosen
    nearest = chosen.subquery()
    return select(nearest).order_by(nearest.c.image_id.desc())


def _in_facility(where: ImageFilter, facility: FacilityId, way: _Conditions, limit: int) -> Select[Any]:
    first, *others = way or {_IMAGES: []}
    query = select(first.c.facility_id, first.c.image_id)
    for table in others:
        query = query.join(table, (table.c.facility_id == facility) & (table.c.image_id == first.c.image_id))
    for table in (first, *others):
        # Said of every table: it limits whichever of the indexes is read.
        query = query.where(table.c.facility_id == facility, *_bounds(where, table.c.image_id), *way.get(table, ()))
    return query.order_by(_order(where, first.c.image_id)).limit(limit)


def _order(where: ImageFilter, image_id: Any) -> Any:
    return image_id.desc() if where.after is None else image_id.asc()


def _bounds(where: ImageFilter, image_id: Any) -> list[ColumnElement[bool]]:
    since, until = where.received_since, where.received_until
    return [
        *([image_id < where.before] if where.before is not None else []),
        *([image_id > where.after] if where.after is not None else []),
        *([image_id >= _least(since.timestamp() - _SLACK_S)] if since is not None else []),
        *([image_id < _least(until.timestamp() + _SLACK_S)] if until is not None else []),
    ]


def _least(moment_s: float) -> UUID:
    """Below every id of that moment and later."""
    return UUID(int=new_uuid7(max(0.0, moment_s)).int >> 80 << 80)


def _conditions(where: ImageFilter) -> _Conditions:
    image, ended, item = _IMAGES.c, _OUTCOMES.c, _ITEMS.c
    conditions: _Conditions = {
        _PROGRESS: _equal((_PROGRESS.c.state, where.state)) if where.state in _IN_FLIGHT else [],
        _DETECTIONS: _seen(where),
        _ITEMS: [item.state == "decided"] if where.reviewed else [],
        _OUTCOMES: [
            *_equal((ended.verdict, where.verdict), (ended.reason, where.reason), (ended.model, where.model)),
            *(_equal((ended.state, where.state)) if where.state in TERMINAL else []),
        ],
        _IMAGES: [
            *_equal((image.camera_id, where.camera), (image.lane, where.lane), (image.sha256, where.sha256)),
            *([image.received_at >= where.received_since] if where.received_since else []),
            *([image.received_at < where.received_until] if where.received_until else []),
            # The second is what the index asks for, which leaves out images without metadata.
            *([image.metadata.contains(dict(where.metadata)), image.metadata != _NOTHING] if where.metadata else []),
        ],
    }
    used = {table: those for table, those in conditions.items() if those}
    if _DETECTIONS in used and where.max_confidence is not None:
        used[_DETECTIONS].append(_in_range(where))
    if where.reviewed is False:
        anchor = next(iter(used), _IMAGES)
        used.setdefault(anchor, []).append(~_item_of(anchor, _ASKED.c.state == "decided"))
    return used


def _seen(where: ImageFilter) -> list[ColumnElement[bool]]:
    """Of one row for each image: the most confident detection of the class, or of all. It is in every image in which
    another one is as wanted.
    """
    found = _DETECTIONS.c
    if where.detected is not None:
        these: list[ColumnElement[bool]] = [found["class"] == where.detected, found.leads]
    elif where.min_confidence is not None or where.max_confidence is not None:
        these = [found.ordinal == 1]
    else:
        return []
    return [*these, *([found.confidence >= _real(where.min_confidence)] if where.min_confidence is not None else [])]


def _in_range(where: ImageFilter) -> ColumnElement[bool]:
    found, other = _DETECTIONS.c, _DETECTIONS.alias("other").c
    query = select(1).where(other.facility_id == found.facility_id, other.image_id == found.image_id)
    query = query.where(other.confidence <= _real(where.max_confidence), *_equal((other["class"], where.detected)))
    if where.min_confidence is not None:
        query = query.where(other.confidence >= _real(where.min_confidence))
    return query.exists()


def _effectively(wanted: Verdict, conditions: _Conditions) -> Sequence[_Conditions]:
    """Two ways, each with an index: the outcome says so and nobody otherwise; or people say so, of another outcome."""
    by_rule = [_OUTCOMES.c.verdict == wanted, ~_item_of(_OUTCOMES, _ASKED.c.verdict != wanted)]
    by_people = [_ITEMS.c.verdict == wanted, _ITEMS.c.automatic != wanted]
    return [
        {**conditions, _OUTCOMES: [*conditions.get(_OUTCOMES, []), *by_rule]},
        {_ITEMS: [*conditions.get(_ITEMS, []), *by_people], **{t: c for t, c in conditions.items() if t is not _ITEMS}},
    ]


def _item_of(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    same = (_ASKED.c.facility_id == table.c.facility_id, _ASKED.c.image_id == table.c.image_id)
    return select(1).where(*same, *conditions).exists()


def _real(confidence: float | None) -> Any:
    return cast(confidence, REAL)


def _equal(*pairs: tuple[Any, Any]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in pairs if value is not None]
