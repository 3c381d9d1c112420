"""Reading an object of S3: whole, verified, and within a total time."""

import base64
import hashlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from framegate.adapters.aws.client import Resource, asking, code_of
from framegate.kernel.errors import BlobMissing, DependencyUnavailable

_TRIES: Final = 4
_PIECE: Final = 1 << 20
#: Bytes/s; what is large may take longer than the deadline, at this rate.
_SLOWEST: Final = 2_000_000
#: MethodNotAllowed is the answer for a version that marks a deletion.
_NO_OBJECT: Final = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed"})

Sleep = Callable[[float], None]


def tries(sleep: Sleep) -> Iterator[bool]:
    """Whether this try is the last, for what botocore does not try again; sleeps between them with full jitter."""
    for number in range(1, _TRIES + 1):
        yield number == _TRIES
        if number < _TRIES:
            sleep(random.uniform(0, 0.1 * 2**number))  # noqa: S311 - no secret


def fetch(
    client: Any, resource: Resource, request: dict[str, Any], permission: str, *, deadline_s: float, sleep: Sleep
) -> bytes:
    """`request` is `get_object`'s. Raises `BlobMissing`, and `DependencyUnavailable` after `deadline_s` at the latest.

    A body that is cut off, altered or slow is asked for again: botocore tries again only what comes before it.
    """
    started = time.monotonic()
    for last in tries(sleep):
        with asking(resource, permission):
            try:
                answer = client.get_object(**request)
            except ClientError as error:
                if code_of(error) == "InvalidRange":
                    return b""  # from the first byte on: there is none
                if code_of(error) in _NO_OBJECT:
                    raise BlobMissing(f"there is no {request['Key']} in the {resource.name}") from None
                raise
        allowed_s = max(deadline_s, answer["ContentLength"] / _SLOWEST)
        try:
            return _read(answer, started + allowed_s)
        except _Torn as torn:
            if last or time.monotonic() - started > allowed_s:
                raise DependencyUnavailable(
                    f"{resource.name}: {request['Key']} {torn}: check the network to it, and whether it is overloaded"
                ) from torn
    raise AssertionError("the last try returns or raises")


class _Torn(Exception):
    """A body did not come as it should; the message says what it did."""


def _read(answer: dict[str, Any], until: float) -> bytes:
    pieces, size = [], 0
    with answer["Body"] as raw:  # urllib3's response; botocore's own wrapper has only `read`
        try:
            # One recv at a time: `read` waits until it has all it was asked for, for as long as anything drips in.
            while piece := raw.read1(_PIECE):
                pieces.append(piece)
                size += len(piece)
                if time.monotonic() > until:
                    raise _Torn(f"comes too slowly ({size} of {answer['ContentLength']} bytes so far)")
        except (HTTPError, OSError) as error:
            raise _Torn(f"broke off after {size} of {answer['ContentLength']} bytes") from error
    data = b"".join(pieces)
    if size != answer["ContentLength"]:
        raise _Torn(f"ended after {size} of {answer['ContentLength']} bytes")
    # Absent on servers that keep no checksums; not that of the bytes where an object came in parts ("...-3") or as a range.
    stored = answer.get("ChecksumSHA256", "")
    if stored and "-" not in stored and "ContentRange" not in answer and stored != sha256_base64(data):
        raise _Torn("arrived with other bytes than were stored (SHA-256)")
    return data


def sha256_base64(data: bytes | memoryview) -> str:
    """As S3 wants it in a header."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")
