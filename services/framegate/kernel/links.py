"""Links to an image that open without a key until they expire: signed, for people who come from a message."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from framegate.kernel.ids import ImageId

#: Longer than the last attempt of a delivery is away.
VALID: Final = timedelta(days=7)
_PURPOSE: Final = b"framegate image link v1"


def image_link(base_url: str, pepper: bytes, image_id: ImageId, now: datetime) -> tuple[str, datetime]:
    """(URL of the original, when it expires). `base_url` is where people reach the API, without a slash at its end."""
    expires = (now + VALID).astimezone(UTC).replace(microsecond=0)
    stamp = int(expires.timestamp())
    query = urlencode({"expires": stamp, "signature": _signature(pepper, image_id, stamp)})
    return f"{base_url}/v1/images/{image_id}/content?{query}", expires


def link_holds(pepper: bytes, image_id: ImageId, expires: int, signature: str, now: datetime) -> bool:
    """Whether it was made by the holder of `pepper` and has not expired. In constant time."""
    same = hmac.compare_digest(_signature(pepper, image_id, expires).encode(), signature.encode())
    return same and now.timestamp() < expires


def _signature(pepper: bytes, image_id: ImageId, expires: int) -> str:
    key = hmac.digest(pepper, _PURPOSE, hashlib.sha256)
    return hmac.digest(key, f"{image_id}.{expires}".encode(), hashlib.sha256).hex()
