"""Buckets in memory."""

import base64
import hashlib
from datetime import timedelta
from urllib.parse import quote

from framegate.kernel.errors import BlobMissing
from framegate.ports.clock import Clock
from framegate.ports.objects import PresignedPost


class MemoryObjects:
    """`Objects`, and in `store` and `post` the others who put something there."""

    def __init__(self, clock: Clock, bucket: str = "framegate") -> None:
        """`bucket` is the blob store's own."""
        self._clock, self._bucket = clock, bucket
        self._versions: dict[tuple[str, str], dict[str, bytes]] = {}

    def presign_post(
        self, key: str, *, media_type: str, size_bytes: int, sha256: bytes, expires_in: timedelta
    ) -> PresignedPost:
        """The fields are the conditions themselves: nothing is signed."""
        fields = {
            "key": key,
            "Content-Type": media_type,
            "x-amz-checksum-sha256": base64.b64encode(sha256).decode(),
            "size": str(size_bytes),
        }
        return PresignedPost(f"memory://{self._bucket}", fields, self._clock.now() + expires_in)

    def presign_get(self, key: str, *, file_name: str, media_type: str, expires_in: timedelta) -> str:
        """Leads nowhere."""
        return f"memory://{self._bucket}/{quote(key)}?file={quote(file_name)}&type={quote(media_type)}"

    def read(self, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        """Without `version` the newest."""
        versions = self._versions.get((bucket or self._bucket, key), {})
        wanted = version if version is not None else next(reversed(versions), "")
        if wanted not in versions:
            raise BlobMissing(f"there is no object {key} in the bucket {bucket or self._bucket}")
        return versions[wanted][: limit_bytes + 1]

    def remove(self, bucket: str, key: str) -> None:
        """With all its versions."""
        self._versions.pop((bucket or self._bucket, key), None)

    def store(self, bucket: str, key: str, data: bytes, version: str = "1") -> None:
        """As somebody does who may write to `bucket`; the same `version` again replaces it."""
        self._versions.setdefault((bucket or self._bucket, key), {})[version] = data

    def post(self, fields: dict[str, str], data: bytes) -> None:
        """As a client does with the form of `presign_post`. Raises ValueError when `data` does not fit it."""
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        if (digest, str(len(data))) != (fields["x-amz-checksum-sha256"], fields["size"]):
            raise ValueError("these are not the bytes that the form was made for")
        self.store("", fields["key"], data)
