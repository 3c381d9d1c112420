"""Announced uploads in memory."""

from collections.abc import Sequence

from framegate.kernel.ids import FacilityId, ImageId
from framegate.ports.uploads import NewUpload


class MemoryUploads:
    """`Uploads`. Safe for use from several threads."""

    def __init__(self) -> None:
        self._uploads: dict[ImageId, NewUpload] = {}

    def announce(self, uploads: Sequence[NewUpload]) -> None:
        """The first announcement of an id stays."""
        for upload in uploads:
            self._uploads.setdefault(upload.upload_id, upload)

    def upload(self, upload_id: ImageId) -> NewUpload | None:
        """Also one that has expired."""
        return self._uploads.get(upload_id)

    def ensure_facility(self, facility: FacilityId) -> None:
        """Facilities need no row of their own here."""
