"""Cameras, and the facilities that they stand in."""

from typing import Any

from sqlalchemy import Connection, Row, Select, func, lateral, select, true, update
from sqlalchemy.dialects.postgresql import insert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.database import Database
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.states import CameraStatus
from framegate.ports.store import Camera

_CAMERAS, _IMAGES = schema.cameras, schema.images


def ensure_facility(connection: Connection, facility: FacilityId) -> None:
    """Creates it, enabled, when it does not exist."""
    row = {"id": facility, "name": facility, "enabled": True, "created_at": func.clock_timestamp()}
    connection.execute(insert(schema.facilities).values(row).on_conflict_do_nothing())


class PostgresCameras:
    """`Cameras`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def cameras(self, facilities: frozenset[FacilityId] | None = None) -> list[Camera]:
        """Ordered by facility and id."""
        query = _with_last_image()
        if facilities is not None:
            query = query.where(_CAMERAS.c.facility_id.in_(sorted(facilities)))
        query = query.order_by(_CAMERAS.c.facility_id, _CAMERAS.c.id)
        return [_camera(row) for row in self._database.core(lambda c: c.execute(query).all())]

    def confirm_camera(self, facility: FacilityId, camera: CameraId, actor: str) -> Camera:
        """Confirming twice changes nothing and is not audited again."""

        def work(connection: Connection) -> Camera:
            ensure_facility(connection, facility)
            here = (_CAMERAS.c.facility_id == facility) & (_CAMERAS.c.id == camera)
            values = {"facility_id": facility, "id": camera, "created_at": func.clock_timestamp()}
            connection.execute(
                insert(_CAMERAS).values(**values, status=CameraStatus.UNCONFIRMED).on_conflict_do_nothing()
            )
            unconfirmed = here & (_CAMERAS.c.status != CameraStatus.CONFIRMED)
            if connection.execute(update(_CAMERAS).where(unconfirmed).values(status=CameraStatus.CONFIRMED)).rowcount:
                record(connection, facility, actor, "camera.confirmed", camera)
            return _camera(connection.execute(_with_last_image().where(here)).one())

        return self._database.core(work)


def _with_last_image() -> Select[Any]:
    # Looked up by index and not kept on the camera's row, which every upload of the camera would have to lock.
    newest = lateral(
        select(_IMAGES.c.received_at)
        .where(_IMAGES.c.facility_id == _CAMERAS.c.facility_id, _IMAGES.c.camera_id == _CAMERAS.c.id)
        .order_by(_IMAGES.c.image_id.desc())
        .limit(1)
    )
    return select(_CAMERAS, newest.c.received_at).select_from(_CAMERAS).outerjoin(newest, true())


def _camera(row: Row[Any]) -> Camera:
    return Camera(
        FacilityId(row.facility_id), CameraId(row.id), CameraStatus(row.status), row.created_at, row.received_at
    )
