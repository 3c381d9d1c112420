"""What an upload's header says, checked before a byte of the body is read."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers

from framegate.ingest.multipart import FIELDS_BYTES
from framegate.ingest.sink import too_large
from framegate.kernel.imagefile import MediaType
from framegate.kernel.tracecontext import read_traceparent
from framegate.web.problems import Problem, invalid

_RAW: Final = frozenset(MediaType)
_FORM: Final = "multipart/form-data"
_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))\s*(?:;|$)', re.IGNORECASE)
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")
_HEX_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_SHA256_FIELD: Final = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([^:]*):")


@dataclass(frozen=True, slots=True)
class UploadHeader:
    """`declared` is the media type of a raw body, `boundary` that of a form; exactly one is set."""

    declared: str | None
    boundary: bytes | None
    announced_bytes: int | None
    idempotency_key: str | None
    image_sha256: bytes | None  #: X-Content-SHA256, of the image
    content_sha256: bytes | None  #: Content-Digest, of the body: for a raw body the same
    trace: str = ""  #: W3C traceparent; empty when there is none that is well formed


def read_header(headers: Headers, max_bytes: int) -> UploadHeader:
    """Raises `Problem`."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Problem("unsupported-encoding", headers={"Accept-Encoding": "identity"})
    content_type = headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    boundary = _boundary(content_type) if media_type == _FORM else None
    if boundary is None and media_type not in _RAW:
        raise Problem(
            "unsupported-media-type",
            "Declare Content-Type as image/jpeg, image/png, or multipart/form-data with a part named image.",
            headers={"Accept-Post": f"image/jpeg, image/png, {_FORM}"},
        )
    announced = _length(headers)
    if announced is not None and announced > max_bytes + (FIELDS_BYTES * 2 if boundary else 0):
        raise too_large(max_bytes)
    return UploadHeader(
        declared=None if boundary else media_type,
        boundary=boundary,
        announced_bytes=announced,
        idempotency_key=_idempotency_key(headers),
        image_sha256=_hex_digest(headers),
        content_sha256=_content_digest(headers),
        trace=_trace(headers),
    )


def _trace(headers: Headers) -> str:
    """What is malformed, or there twice, is ignored, as the Recommendation demands (W3C Trace Context, 4.3)."""
    values = headers.getlist("traceparent")
    return read_traceparent(values[0].strip(" \t")) if len(values) == 1 else ""


def _length(headers: Headers) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None


def _boundary(content_type: str) -> bytes:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise Problem("malformed-request", "The form's Content-Type has no usable boundary.")
    return (found[1] or found[2]).encode("latin-1")


def _idempotency_key(headers: Headers) -> str | None:
    values = headers.getlist("idempotency-key")
    if not values:
        return None
    if len(values) > 1 or not _IDEMPOTENCY_KEY.fullmatch(values[0]):
        raise Problem("invalid-idempotency-key")
    return values[0]


def _hex_digest(headers: Headers) -> bytes | None:
    text = headers.get("x-content-sha256")
    if text is None:
        return None
    if not _HEX_SHA256.fullmatch(text):
        raise invalid("X-Content-SHA256", "is not a SHA-256 in hexadecimal")
    return bytes.fromhex(text)


def _content_digest(headers: Headers) -> bytes | None:
    """The sha-256 of RFC 9530; other algorithms are passed over, as the RFC allows."""
    found = _SHA256_FIELD.search(headers.get("content-digest", ""))
    if found is None:
        return None
    try:
        digest = base64.b64decode(found[1], validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise invalid("Content-Digest", "holds no sha-256 in base64")
    return digest
