"""Objects that others put into a bucket, and the signed links and forms that let them."""

import base64
import re
import time
import weakref
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from framegate.adapters.aws.client import Resource, asking
from framegate.adapters.aws.transfer import Sleep, fetch
from framegate.kernel.errors import ConfigurationError
from framegate.ports.objects import PresignedPost

_LONGEST_POST: Final = timedelta(hours=1)
_LONGEST_GET: Final = timedelta(seconds=300)
_NOT_IN_NAMES: Final = re.compile(r"[\x00-\x1f\x7f/\\]")
_NOT_IN_QUOTES: Final = re.compile(r"[^ !#-\[\]-~]|[%;]")


class S3Objects:
    """`Objects`. Safe for use from several threads.

    Links and forms end with the credentials that signed them, too: those of a role live for hours, renewed before their end.
    """

    def __init__(
        self, client: Any, bucket: str, prefix: str, *, deadline_s: float = 20, sleep: Sleep = time.sleep
    ) -> None:
        """Takes over `client`. Keys in `bucket`, the blob store's own, lie below `prefix`; without one, nothing is signed."""
        self._client, self._bucket, self._prefix = client, bucket, prefix
        self._deadline_s, self._sleep = deadline_s, sleep
        self._closing = weakref.finalize(self, client.close)

    def close(self) -> None:
        """Closes the connections. Otherwise they are closed with the last reference."""
        self._closing()

    def presign_post(
        self, key: str, *, media_type: str, size_bytes: int, sha256: bytes, expires_in: timedelta
    ) -> PresignedPost:
        """At most an hour. S3 itself compares size and SHA-256 with what arrives, and answers 201."""
        _check_time(expires_in, _LONGEST_POST)
        resource, bucket, path = self._place("", key)
        fields = {
            "Content-Type": media_type,
            "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": base64.b64encode(sha256).decode("ascii"),
            "success_action_status": "201",
        }
        # boto3 adds the conditions on bucket and key. Every field needs one, or S3 refuses the form.
        conditions: list[Any] = [{name: value} for name, value in fields.items()]
        expires_at = datetime.now(UTC) + expires_in
        with asking(resource, "s3:PutObject"):
            signed = self._client.generate_presigned_post(
                bucket,
                path,
                Fields=fields,
                Conditions=[*conditions, ["content-length-range", size_bytes, size_bytes]],
                ExpiresIn=int(expires_in.total_seconds()),
            )
        return PresignedPost(signed["url"], signed["fields"], expires_at)

    def presign_get(self, key: str, *, file_name: str, media_type: str, expires_in: timedelta) -> str:
        """At most 300 s. Whatever the object says of itself, it is saved and not shown by a browser."""
        _check_time(expires_in, _LONGEST_GET)
        resource, bucket, path = self._place("", key)
        request = {
            "Bucket": bucket,
            "Key": path,
            "ResponseContentDisposition": attachment(file_name),
            "ResponseContentType": media_type,
        }
        with asking(resource, "s3:GetObject"):
            return str(
                self._client.generate_presigned_url("get_object", request, ExpiresIn=int(expires_in.total_seconds()))
            )

    def read(self, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        """A key in a named bucket is taken as it is, without our prefix."""
        resource, place, path = self._place(bucket, key)
        request = {"Bucket": place, "Key": path, "Range": f"bytes=0-{limit_bytes}"}
        if version is not None:
            request["VersionId"] = version
        permission = "s3:GetObject" if version is None else "s3:GetObjectVersion"
        return fetch(self._client, resource, request, permission, deadline_s=self._deadline_s, sleep=self._sleep)

    def remove(self, bucket: str, key: str) -> None:
        """A key in a named bucket is taken as it is. With versions, the bytes stay until the bucket's lifecycle."""
        resource, place, path = self._place(bucket, key)
        with asking(resource, "s3:DeleteObject"):
            self._client.delete_object(Bucket=place, Key=path)

    def _place(self, bucket: str, key: str) -> tuple[Resource, str, str]:
        if bucket:
            return Resource(f"S3 bucket {bucket}", "the bucket's policy"), bucket, key
        if not self._bucket:
            raise ConfigurationError("there is no bucket for uploads: set FRAMEGATE_BLOBS__BUCKET")
        return Resource(f"S3 bucket {self._bucket}", "FRAMEGATE_BLOBS__BUCKET"), self._bucket, self._prefix + key


def attachment(file_name: str) -> str:
    """A Content-Disposition of printable ASCII: a plain name for old clients, the real one in UTF-8 (RFC 6266, 8187)."""
    name = _NOT_IN_NAMES.sub("_", file_name).strip() or "file"
    return f"attachment; filename=\"{_NOT_IN_QUOTES.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}"


def _check_time(wanted: timedelta, longest: timedelta) -> None:
    if not timedelta(0) < wanted <= longest:
        raise ValueError(f"signed for {wanted}, must be more than nothing and at most {longest}")
