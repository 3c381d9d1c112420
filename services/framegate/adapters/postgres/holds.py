"""Legal holds. Which images one covers is said once more in SQL, by the function `holds_on`."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, null, select, update
from sqlalchemy.dialects.postgresql import insert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.cameras import ensure_facility
from framegate.adapters.postgres.database import Database, be_analytic
from framegate.adapters.postgres.retention import lock_holds, walk_anew
from framegate.adapters.postgres.rows import storable
from framegate.kernel.holds import Hold, HoldScope
from framegate.kernel.ids import CameraId, FacilityId, ImageId, new_uuid7
from framegate.kernel.retention import Part
from framegate.ports.retention import Covered

_HOLDS, _IMAGES, _ERASURES = schema.holds, schema.images, schema.erasures


class PostgresHolds:
    """`Holds`. Safe for use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def place(self, facility: FacilityId, scope: HoldScope, reason: str, actor: str) -> Hold:
        """See the port. When it returns, no erasure of what it covers can be recorded any more."""

        def work(connection: Connection) -> Hold:
            lock_holds(connection)
            ensure_facility(connection, facility)
            if scope.image_id is not None and not _counted(connection, facility, HoldScope(scope.image_id)).images:
                raise ValueError(f"there is no image {scope.image_id} at {facility}")
            row = {
                "hold_id": new_uuid7(),
                "facility_id": facility,
                "image_id": scope.image_id,
                "metadata": dict(scope.metadata) if scope.metadata else null(),  # SQL's null, not JSON's
                "camera_id": scope.camera,
                "received_from": scope.received_from,
                "received_until": scope.received_until,
                "reason": storable(reason),
                "placed_at": func.clock_timestamp(),
                "placed_by": actor,
            }
            hold = _hold(connection.execute(insert(_HOLDS).values(row).returning(*_HOLDS.c)).one())
            body = scope.audited() | {"reason": hold.reason}
            record(connection, facility, actor, "hold.placed", str(hold.hold_id), body)
            return hold

        return self._database.core(work)

    def holds(self, facilities: frozenset[FacilityId] | None, *, lifted: bool = False) -> list[Hold]:
        """See the port."""
        query = select(_HOLDS).order_by(_HOLDS.c.placed_at.desc(), _HOLDS.c.hold_id.desc())
        if facilities is not None:
            query = query.where(_HOLDS.c.facility_id.in_(sorted(facilities)))
        if not lifted:
            query = query.where(_HOLDS.c.lifted_at.is_(None))
        return [_hold(row) for row in self._database.core(lambda connection: connection.execute(query).all())]

    def lift(self, hold_id: UUID, reason: str, actor: str) -> Hold | None:
        """See the port."""
        here = _HOLDS.c.hold_id == hold_id
        said = {"lifted_at": func.clock_timestamp(), "lifted_by": actor, "lift_reason": storable(reason)}

        def work(connection: Connection) -> Hold | None:
            lifting = update(_HOLDS).where(here, _HOLDS.c.lifted_at.is_(None)).values(said)
            lifted = connection.execute(lifting.returning(_HOLDS.c.facility_id)).scalar_one_or_none()
            if lifted is not None:
                record(connection, lifted, actor, "hold.lifted", str(hold_id), {"reason": storable(reason)})
                walk_anew(connection, FacilityId(lifted))
            found = connection.execute(select(_HOLDS).where(here)).one_or_none()
            return None if found is None else _hold(found)

        return self._database.core(work)

    def covered(self, hold: Hold) -> Covered:
        """See the port. Reads every image that it covers."""

        def work(connection: Connection) -> Covered:
            be_analytic(connection)
            return _counted(connection, hold.facility, hold.scope)

        return self._database.core(work)


def _counted(connection: Connection, facility: FacilityId, scope: HoldScope) -> Covered:
    erased = (
        (_ERASURES.c.facility_id == _IMAGES.c.facility_id)
        & (_ERASURES.c.image_id == _IMAGES.c.image_id)
        & (_ERASURES.c.part == Part.ORIGINAL)
    )
    query = select(func.count(), func.count(_ERASURES.c.image_id)).select_from(_IMAGES.outerjoin(_ERASURES, erased))
    images, gone = connection.execute(query.where(*_conditions(facility, scope))).one()
    return Covered(images, gone)


def _conditions(facility: FacilityId, scope: HoldScope) -> list[ColumnElement[bool]]:
    image = _IMAGES.c
    return [
        image.facility_id == facility,
        *([image.image_id == scope.image_id] if scope.image_id is not None else []),
        *([image.metadata.contains(dict(scope.metadata))] if scope.metadata else []),
        *([image.camera_id == scope.camera] if scope.camera is not None else []),
        *([image.received_at >= scope.received_from] if scope.received_from is not None else []),
        *([image.received_at < scope.received_until] if scope.received_until is not None else []),
    ]


def _hold(row: Any) -> Hold:
    scope = HoldScope(
        None if row.image_id is None else ImageId(row.image_id),
        row.metadata or {},
        None if row.camera_id is None else CameraId(row.camera_id),
        row.received_from,
        row.received_until,
    )
    return Hold(
        row.hold_id,
        FacilityId(row.facility_id),
        scope,
        row.reason,
        row.placed_at,
        row.placed_by,
        row.lifted_at,
        row.lifted_by,
        row.lift_reason,
    )
