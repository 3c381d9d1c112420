"""Blobs as objects of one S3 bucket, or of a server that speaks its protocol."""

import base64
import errno
import hashlib
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final

from botocore.exceptions import ClientError

from framegate.adapters.aws.client import Resource, asking, at_start, code_of, elsewhere, home_region, is_aws
from framegate.adapters.aws.transfer import Sleep, fetch, sha256_base64, tries
from framegate.kernel.errors import BlobMissing, DependencyUnavailable
from framegate.ports.blobs import BLOB_KEY

_SPOOL: Final = "spool"
#: Another writer of the same key at the same moment, or bytes that changed on their way: the next try may succeed.
_AGAIN: Final = frozenset(
    {
        "ConditionalRequestConflict",
        "OperationAborted",
        "BadDigest",
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
    }
)
_EXISTS: Final = frozenset({"PreconditionFailed", "412"})


class S3Blobs:
    """`Blobs`. Safe for use from several threads and hosts. S3 checks the SHA-256 of every object before it keeps it."""

    def __init__(
        self,
        client: Any,
        bucket: str,
        prefix: str,
        spool: Path,
        *,
        deadline_s: float = 20,
        sleep: Sleep = time.sleep,
    ) -> None:
        """Takes over `client`; asks nobody. Keys lie below `prefix` ("" or "a/"); `spool` is made (0700) when missing.

        `deadline_s` is for reading one object of up to 40 MB, in all; larger ones are given longer.
        """
        self._client, self._bucket, self._prefix, self._spool = client, bucket, prefix, spool
        self._deadline_s, self._sleep = deadline_s, sleep
        self._resource = Resource(f"S3 bucket {bucket}", "FRAMEGATE_BLOBS__BUCKET")
        self._closing = weakref.finalize(self, client.close)
        with self._spooling():
            spool.mkdir(0o700, parents=True, exist_ok=True)

    def close(self) -> None:
        """Closes the connections. Otherwise they are closed with the last reference."""
        self._closing()

    def check(self) -> None:
        """Raises `ConfigurationError`: whether the bucket is there, here, and ours to use."""
        with at_start():
            with self._asking("s3:ListBucket"):
                home = home_region(self._head_bucket())
            # botocore follows the redirect of its own requests. Signed links and forms are made for the wrong region.
            if is_aws(self._client) and home not in ("", self._client.meta.region_name):
                wrong, remedy = elsewhere(home, self._resource)
                raise DependencyUnavailable(f"{self._resource.name}: {wrong}: {remedy}")

    def _head_bucket(self) -> dict[str, Any]:
        try:
            return dict(self._client.head_bucket(Bucket=self._bucket))
        except ClientError as error:
            if code_of(error) in ("400", "403"):
                # An answer to HEAD has no body that says why (the wrong region? an expired token? the clock?). This one
                # has, and needs the same permission.
                self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
            raise

    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        """Raises ValueError when `durable` and the key holds other bytes; what is not durable is replaced."""
        path = self._path(key)
        # A file and not bytes: it is sent in pieces, each of which has the time that bytes would have as a whole.
        self._write(key, path, BytesIO(data), sha256_base64(data), once=durable)

    def adopt(self, key: str, file: Path) -> None:
        """Repeating a call that succeeded is safe. Raises ValueError like `put`."""
        path = self._path(key)
        with self._spooling():
            try:
                opened = file.open("rb")
            except FileNotFoundError:
                if self.exists(key):
                    return
                raise BlobMissing(f"the upload {file.name} is gone: send it again") from None
            with opened:
                digest = hashlib.file_digest(opened, "sha256").digest()
                self._write(key, path, opened, base64.b64encode(digest).decode("ascii"), once=True)
            file.unlink(missing_ok=True)

    def _write(self, key: str, path: str, body: IO[bytes], sha256: str, *, once: bool) -> None:
        condition = {"IfNoneMatch": "*"} if once else {}
        for last in tries(self._sleep):
            body.seek(0)
            with self._asking("s3:PutObject"):
                try:
                    self._client.put_object(
                        Bucket=self._bucket, Key=path, Body=body, ChecksumSHA256=sha256, **condition
                    )
                    return
                except ClientError as error:
                    if code_of(error) not in _EXISTS | _AGAIN or (last and code_of(error) in _AGAIN):
                        raise
                    there = code_of(error) in _EXISTS
            # Perhaps our own bytes: a try whose answer was lost, or an earlier call.
            if there and self._holds(key, sha256):
                return
        raise DependencyUnavailable(f"{self._resource.name}: {key} comes and goes while it is written: try again")

    def _holds(self, key: str, sha256: str) -> bool:
        """False when it was deleted meanwhile."""
        try:
            known = self.get(key)
        except BlobMissing:
            return False
        if sha256_base64(known) != sha256:
            raise ValueError(f"the blob {key} holds other bytes already")
        return True

    def spool_dir(self) -> Path:
        """A local directory: S3 takes an object only as a whole."""
        return self._spool

    def get(self, key: str) -> bytes:
        """Raises `BlobMissing`."""
        request = {"Bucket": self._bucket, "Key": self._path(key), "ChecksumMode": "ENABLED"}
        return fetch(
            self._client, self._resource, request, "s3:GetObject", deadline_s=self._deadline_s, sleep=self._sleep
        )

    def exists(self, key: str) -> bool:
        """Raises `DependencyUnavailable` when the whole bucket is gone."""
        with self._asking("s3:GetObject"):
            try:
                self._client.head_object(Bucket=self._bucket, Key=self._path(key))
                return True
            except ClientError as error:
                if code_of(error) != "404":
                    raise
        with self._asking("s3:ListBucket"):
            self._client.head_bucket(Bucket=self._bucket)
        return False

    def delete(self, key: str) -> None:
        """In a bucket with versions the bytes stay until its lifecycle removes them."""
        with self._asking("s3:DeleteObject"):
            self._client.delete_object(Bucket=self._bucket, Key=self._path(key))

    def free_bytes(self) -> int | None:
        """No limit."""
        return None

    def sweep(self, prefix: str, older_than_s: float) -> int:
        """`prefix` is a directory of keys, or `spool`. Age counts from the last write."""
        directory, limit = prefix.rstrip("/"), time.time() - older_than_s
        if not BLOB_KEY.fullmatch(directory):
            raise ValueError(f"not a prefix of blob keys: {prefix!r}")
        if directory == _SPOOL:
            return self._sweep_spool(limit)
        deleted, refused = 0, []
        with self._asking("s3:ListBucket, s3:DeleteObject"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}{directory}/"
            )
            for page in pages:  # of 1000, as many as one call deletes
                old = [{"Key": o["Key"]} for o in page.get("Contents", ()) if o["LastModified"].timestamp() < limit]
                if old:
                    wanted = {"Objects": old, "Quiet": True}
                    errors = self._client.delete_objects(Bucket=self._bucket, Delete=wanted).get("Errors", [])
                    deleted += len(old) - len(errors)
                    refused += errors
        if refused:
            first = refused[0]
            raise DependencyUnavailable(
                f"{self._resource.name}: {len(refused)} of {deleted + len(refused)} objects below {directory}/ cannot be "
                f"deleted (first {first['Key']}: {first['Code']}): allow s3:DeleteObject to this process's role"
            )
        return deleted

    def _sweep_spool(self, limit: float) -> int:
        deleted = 0
        with self._spooling():
            for file in self._spool.iterdir():
                with suppress(FileNotFoundError):
                    if file.stat().st_mtime < limit:
                        file.unlink()
                        deleted += 1
        return deleted

    def _path(self, key: str) -> str:
        if not BLOB_KEY.fullmatch(key) or key.split("/", 1)[0] == _SPOOL:
            raise ValueError(f"not a blob key: {key!r}")
        return self._prefix + key

    def _asking(self, permission: str) -> AbstractContextManager[None]:
        return asking(self._resource, permission)

    @contextmanager
    def _spooling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = "free space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "check its volume and its owner"
            raise DependencyUnavailable(
                f"cannot use the spool directory {self._spool} ({error.strerror or error}): {remedy}"
            ) from error
