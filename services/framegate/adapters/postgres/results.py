"""Reading images: first which ones, by an index, then everything about those."""

from typing import Any, Final

from sqlalchemy import Connection, Select, Table, select, union_all

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.database import Database, Raw
from framegate.adapters.postgres.records import records_of
from framegate.adapters.postgres.settled import OUTCOMES, Settled
from framegate.adapters.postgres.statements import statement
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.states import TERMINAL, ImageState
from framegate.ports.store import ImageFilter, ImageRecord

_IMAGES, _PROGRESS, _OUTCOMES, _DETECTIONS = schema.images, schema.progress, schema.outcomes, schema.detections
_IN_FLIGHT: Final = frozenset(ImageState) - TERMINAL


class PostgresResults:
    """`Results`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database, self._settled = database, Settled(OUTCOMES)

    def image(self, facilities: frozenset[FacilityId], image_id: ImageId) -> ImageRecord | None:
        """None also for another facility's image."""
        found = self._database.run(lambda c: records_of(c, [(facility, image_id) for facility in facilities]))
        return found[0] if found else None

    def linked_image(self, image_id: ImageId) -> ImageRecord | None:
        """See the port. Images are found by facility and id, and there are few facilities."""
        enabled = select(schema.facilities.c.id).where(schema.facilities.c.enabled)
        facilities = self._database.core(lambda connection: connection.execute(enabled).scalars().all())
        return self.image(frozenset(map(FacilityId, facilities)), image_id)

    def images(self, where: ImageFilter, limit: int) -> list[ImageRecord]:
        """Newest first, which is by falling id."""
        if not where.facilities:
            return []
        query = _matching(where, limit)

        def work(connection: Connection) -> list[tuple[FacilityId, ImageId]]:
            return [(FacilityId(facility), ImageId(image)) for facility, image in connection.execute(query)]

        chosen = self._database.core(work)
        return self._database.run(lambda c: records_of(c, chosen))

    def outcomes_after(
        self, facilities: frozenset[FacilityId], sequence: int, limit: int
    ) -> list[tuple[int, ImageRecord]]:
        """What was committed a moment ago may be told a moment later: nothing is ever told out of order."""
        name = "results_newest" if sequence < 0 else "results_after"
        parameters: dict[str, Any] = {"facilities": sorted(facilities), "sequence": sequence, "max": limit}

        def work(connection: Raw) -> list[tuple[int, ImageRecord]]:
            parameters["settled"] = self._settled.upto(connection)
            rows = connection.execute(statement(name), parameters).fetchall()
            records = records_of(connection, [(facility, image) for _, facility, image in rows])
            return [(row[0], found) for row, found in zip(rows, records, strict=True)]

        return self._database.run(work) if facilities else []


def _matching(where: ImageFilter, limit: int) -> Select[Any]:
    """The newest of each facility, from an index in that order, and of those the newest."""
    each = [select(_in_facility(where, facility, limit).subquery()) for facility in sorted(where.facilities)]
    found = union_all(*each).subquery()
    return select(found).order_by(found.c.image_id.desc()).limit(limit)


def _in_facility(where: ImageFilter, facility: FacilityId, limit: int) -> Select[Any]:
    anchor = _anchor(where)
    query = select(anchor.c.facility_id, anchor.c.image_id).where(anchor.c.facility_id == facility)
    if where.before is not None:
        query = query.where(anchor.c.image_id < where.before)
    for table, conditions in _conditions(where).items():
        if table is not anchor:
            query = query.join(
                table, (table.c.facility_id == anchor.c.facility_id) & (table.c.image_id == anchor.c.image_id)
            )
        query = query.where(*conditions)
    return query.order_by(anchor.c.image_id.desc()).limit(limit)


def _anchor(where: ImageFilter) -> Table:
    """The table whose index finds the fewest images that do not match."""
    if where.state in _IN_FLIGHT:
        return _PROGRESS
    if where.detected is not None:
        return _DETECTIONS
    if where.verdict is not None or where.state in (ImageState.REJECTED, ImageState.FAILED):
        return _OUTCOMES
    return _IMAGES


def _conditions(where: ImageFilter) -> dict[Table, list[Any]]:
    image, ended = _IMAGES.c, _OUTCOMES.c
    found = {
        _IMAGES: [
            *_equal((image.camera_id, where.camera), (image.lane, where.lane), (image.sha256, where.sha256)),
            *([image.received_at >= where.received_since] if where.received_since else []),
            *([image.received_at < where.received_until] if where.received_until else []),
            *([image.metadata.contains(dict(where.metadata))] if where.metadata else []),
        ],
        _PROGRESS: _equal((_PROGRESS.c.state, where.state)) if where.state in _IN_FLIGHT else [],
        _OUTCOMES: [
            *_equal((ended.verdict, where.verdict)),
            *(_equal((ended.state, where.state)) if where.state in TERMINAL else []),
        ],
        _DETECTIONS: [_DETECTIONS.c["class"] == where.detected, _DETECTIONS.c.leads] if where.detected else [],
    }
    return {table: conditions for table, conditions in found.items() if conditions}


def _equal(*pairs: tuple[Any, Any]) -> list[Any]:
    return [column == value for column, value in pairs if value is not None]
