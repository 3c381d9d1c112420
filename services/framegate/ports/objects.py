"""Objects that others put into a bucket: uploads that bypass the API."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PresignedPost:
    """A form that lets whoever has it upload one object, once or again, until `expires_at` (multipart/form-data).

    The part `file` comes last. Source: Amazon S3 API Reference, "POST Object" and "POST Policy".
    """

    url: str
    fields: dict[str, str] = field(repr=False)  #: carries a signature
    expires_at: datetime


class Objects(Protocol):
    """Every method may raise `DependencyUnavailable`."""

    def presign_post(
        self, key: str, *, media_type: str, size_bytes: int, sha256: bytes, expires_in: timedelta
    ) -> PresignedPost:
        """For exactly these bytes in the bucket of the blob store; asks nobody."""
        ...

    def presign_get(self, key: str, *, file_name: str, media_type: str, expires_in: timedelta) -> str:
        """A link that downloads `key` as an attachment; asks nobody."""
        ...

    def read(self, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        """At most `limit_bytes` + 1 bytes, so that what is too large shows. Raises `BlobMissing`.

        `bucket` empty: the blob store's own.
        """
        ...

    def remove(self, bucket: str, key: str) -> None:
        """No error when it is already gone."""
        ...
