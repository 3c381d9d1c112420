"""Reading images: first which ones, by an index, then everything about those."""

from typing import Any

from sqlalchemy import Connection, select

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.database import Database, Raw
from framegate.adapters.postgres.records import records_of
from framegate.adapters.postgres.searching import matching
from framegate.adapters.postgres.settled import OUTCOMES, Settled
from framegate.adapters.postgres.statements import statement
from framegate.kernel.ids import FacilityId, ImageId
from framegate.ports.store import ImageFilter, ImageRecord


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
        query = matching(where, limit)

        def work(connection: Connection) -> list[tuple[FacilityId, ImageId]]:
            return [(FacilityId(facility), ImageId(image)) for facility, image in connection.execute(query)]

        chosen = self._database.page(work)
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
