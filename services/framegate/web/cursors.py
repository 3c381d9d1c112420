"""Page cursors: opaque, signed, bound to the query they belong to, and good for a day."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class PageOfImages:
    """Which of the images that were found are on the page, and the cursors of its neighbours."""

    items: slice
    next: str | None
    previous: str | None


class ImageCursors:
    """Of one listing of images, newest first, in both directions. A cursor to newer ones begins with `~`."""

    def __init__(self, cursors: Cursors, listing: str, now: datetime) -> None:
        """`listing`: see `Cursors`."""
        self._cursors, self._now = cursors, now
        self._older, self._newer = listing, f"~{listing}"

    def open(self, text: str | None) -> tuple[ImageId | None, ImageId | None]:
        """(before, after) of an `ImageFilter`. Raises `Problem`."""
        if text is None:
            return None, None
        if text.startswith("~"):
            return None, self._cursors.open(text[1:], self._newer, self._now)
        return self._cursors.open(text, self._older, self._now), None

    def page(self, found: Sequence[ImageId], limit: int, before: ImageId | None, after: ImageId | None) -> PageOfImages:
        """`found`: up to one more than `limit`, newest first; before `before` or after `after`."""
        more = len(found) > limit
        items = slice(1, None) if more and after is not None else slice(limit)
        shown = found[items]
        if not shown:
            return PageOfImages(items, None, None)
        older = self._cursors.seal(shown[-1], self._older, self._now) if more or after is not None else None
        newer = f"~{self._cursors.seal(shown[0], self._newer, self._now)}"
        is_first = before is None if after is None else not more
        return PageOfImages(items, older, None if is_first else newer)
