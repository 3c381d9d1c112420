"""Page cursors: opaque, signed, bound to the query they belong to, and good for a day."""

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Final
from uuid import UUID

from framegate.kernel.ids import ImageId
from framegate.web.problems import Problem

_LIFETIME_S: Final = 24 * 3600
_MAC_LENGTH = 16
_BODY_LENGTH = 16 + 6


class Cursors:
    """`query` is any text that is the same for all pages of one listing (filters and caller)."""

    def __init__(self, pepper: bytes) -> None:
        self._secret = hmac.digest(pepper, b"framegate page cursors v1", hashlib.sha256)

    def seal(self, last: ImageId, query: str, now: datetime) -> str:
        """For the page that follows `last`."""
        body = last.bytes + int(now.timestamp() + _LIFETIME_S).to_bytes(6, "big")
        return base64.urlsafe_b64encode(body + self._mac(body, query)).rstrip(b"=").decode()

    def open(self, text: str, query: str, now: datetime) -> ImageId:
        """Raises `Problem` for one that is forged, stale, or from another listing."""
        try:
            raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise Problem("invalid-cursor") from None
        body, mac = raw[:_BODY_LENGTH], raw[_BODY_LENGTH:]
        if len(raw) != _BODY_LENGTH + _MAC_LENGTH or not hmac.compare_digest(mac, self._mac(body, query)):
            raise Problem("invalid-cursor")
        if int.from_bytes(body[16:], "big") < now.timestamp():
            raise Problem("invalid-cursor", "The cursor is older than a day; start again without it.")
        return ImageId(UUID(bytes=body[:16]))

    def _mac(self, body: bytes, query: str) -> bytes:
        return hmac.digest(self._secret, body + query.encode(), hashlib.sha256)[:_MAC_LENGTH]
