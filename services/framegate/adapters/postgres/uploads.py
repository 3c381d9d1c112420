"""Announced uploads."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.cameras import ensure_facility
from framegate.adapters.postgres.database import Database
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.states import Lane
from framegate.ports.uploads import NewUpload

_UPLOADS = schema.uploads


class PostgresUploads:
    """`Uploads`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def announce(self, uploads: Sequence[NewUpload]) -> None:
        """One transaction."""
        if rows := [_row(upload) for upload in uploads]:
            self._database.core(lambda c: c.execute(insert(_UPLOADS).on_conflict_do_nothing(), rows))

    def upload(self, upload_id: ImageId) -> NewUpload | None:
        """Also one that has expired."""
        query = select(_UPLOADS).where(_UPLOADS.c.upload_id == upload_id)
        found = self._database.core(lambda c: c.execute(query).one_or_none())
        return None if found is None else _upload(found)

    def ensure_facility(self, facility: FacilityId) -> None:
        """Cheap when it exists."""
        self._database.core(lambda c: ensure_facility(c, facility))


def _row(upload: NewUpload) -> dict[str, Any]:
    return {
        "facility_id": upload.facility,
        "upload_id": upload.upload_id,
        "key_id": upload.key_id,
        "camera_id": upload.camera,
        "lane": upload.lane,
        "captured_at": upload.captured_at,
        "metadata": dict(upload.metadata),
        "media_type": upload.media_type,
        "sha256": upload.sha256,
        "size_bytes": upload.size_bytes,
        "created_at": upload.created_at,
        "expires_at": upload.expires_at,
    }


def _upload(row: Row[Any]) -> NewUpload:
    return NewUpload(
        ImageId(row.upload_id),
        FacilityId(row.facility_id),
        row.key_id,
        CameraId(row.camera_id),
        Lane(row.lane),
        row.captured_at,
        row.metadata,
        row.media_type,
        row.sha256,
        row.size_bytes,
        row.created_at,
        row.expires_at,
    )
