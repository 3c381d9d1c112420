"""Uploads that were announced and go to the bucket without passing the API. Every method may raise `DependencyUnavailable`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.states import Lane


@dataclass(frozen=True, slots=True)
class NewUpload:
    """An announced upload: an image that may reach the bucket until `expires_at` without passing the API."""

    upload_id: ImageId  #: the image's id, when it comes
    facility: FacilityId
    key_id: str  #: of the API key
    camera: CameraId
    lane: Lane
    captured_at: datetime | None
    metadata: Mapping[str, str]
    media_type: str
    sha256: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime


class Uploads(Protocol):
    """What was announced, so that an object in the bucket can be told from a stranger's."""

    def announce(self, uploads: Sequence[NewUpload]) -> None:
        """All of them or none; durable when it returns. A known id changes nothing."""
        ...

    def upload(self, upload_id: ImageId) -> NewUpload | None:
        """Also one that has expired: its event may come late."""
        ...

    def ensure_facility(self, facility: FacilityId) -> None:
        """Creates it, enabled, when it does not exist: objects that nobody announced come before its first API key."""
        ...
