"""Previews: made once for everybody who asks meanwhile, and kept in memory if small."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from framegate.ingest.pictures import LARGE, SMALL, render
from framegate.kernel.errors import BlobMissing
from framegate.kernel.states import ImageState
from framegate.observability.logs import get_log
from framegate.ports.blobs import Blobs
from framegate.ports.store import ImageRecord
from framegate.web.pool import BoundedPool
from framegate.web.problems import Problem

#: Running and waiting; a page has some dozens of small ones.
MOST_SMALL: Final = 300
MOST_LARGE: Final = 32
_KEPT_BYTES: Final = 32 << 20
_CROWDED: Final = "Too many pictures at once."

_log = get_log(stage="ingest", component="previews")


class Size(StrEnum):
    """How large, at most."""

    SMALL = "small"
    LARGE = "large"
    FULL = "full"


_LONGEST: Final[Mapping[Size, int | None]] = {Size.SMALL: SMALL, Size.LARGE: LARGE, Size.FULL: None}


class Previews:
    """For one event loop; `close` it."""

    def __init__(self, blobs: Blobs, version: str, kept_bytes: int = _KEPT_BYTES) -> None:
        """`version`: of the program, another one may draw otherwise. `kept_bytes`: of small ones, together."""
        self._blobs, self._version, self._room = blobs, version, kept_bytes
        self.small = BoundedPool("previews", 2, MOST_SMALL, _CROWDED, 1)
        # One after the other: a large one takes 150 MiB while it is drawn.
        self.drawing = BoundedPool("drawing", 1, MOST_LARGE, _CROWDED, 2)
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._making: dict[str, asyncio.Task[bytes]] = {}

    def etag(self, record: ImageRecord, size: Size, *, boxes: bool) -> str:
        """A strong one, known without making the preview. Raises `Problem` where there can be none.

        This process decodes no file that has not been decoded before: a decided image was, completely and strictly, by a
        child process that may die of it.
        """
        if record.state is not ImageState.DECIDED:
            raise Problem("preview-unavailable")
        facts = record.facts
        drawn = record.detections if boxes else None
        made_of = (self._version, facts.sha256, facts.orientation, str(size), drawn)
        return f'"{hashlib.sha256(repr(made_of).encode()).hexdigest()}"'

    async def jpeg(self, record: ImageRecord, size: Size, *, boxes: bool) -> bytes:
        """Raises `Problem`, also when too many are being made."""
        # With the blob's key: what is shown was read from this image's own file, also where others have the same bytes.
        key = record.facts.blob_key + self.etag(record, size, boxes=boxes)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.ensure_future(self._make(key, record, size, boxes))
            # Nobody may be left to hear how it ended.
            making.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(making)

    async def _make(self, key: str, record: ImageRecord, size: Size, boxes: bool) -> bytes:
        pool = self.small if size is Size.SMALL else self.drawing
        try:
            made = await pool.run(_render, self._blobs, record, size, boxes)
            if size is Size.SMALL:
                self._keep(key, made)
            return made
        finally:
            del self._making[key]

    def _keep(self, key: str, made: bytes) -> None:
        self._kept[key] = made
        self._room -= len(made)
        while self._room < 0:
            _, oldest = self._kept.popitem(last=False)
            self._room += len(oldest)

    def close(self) -> None:
        """Blocks until what runs has ended."""
        self.small.close()
        self.drawing.close()


def _render(blobs: Blobs, record: ImageRecord, size: Size, boxes: bool) -> bytes:
    """Reads the original here and not before, so that what waits needs no memory."""
    facts = record.facts
    try:
        data = blobs.get(facts.blob_key)
    except BlobMissing:
        raise Problem("content-gone") from None
    if hashlib.sha256(data).hexdigest() != facts.sha256:
        _log.error(
            "an original is not the one that came in",
            action="content_changed",
            image=str(facts.image_id),
            facility=facts.facility,
        )
        raise Problem("content-changed")
    detections = record.detections if boxes else ()
    made = render(data, facts.orientation, _LONGEST[size], detections, (facts.width, facts.height))
    if made is None:
        raise Problem("preview-unavailable")
    return made
