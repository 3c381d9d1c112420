"""What is new, asked once for all who watch and told to each."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from framegate.kernel.errors import Transient
from framegate.kernel.ids import FacilityId
from framegate.observability.logs import get_log
from framegate.web.events import RESET, Event
from framegate.web.problems import Problem

MOST_VIEWERS: Final = 256
MOST_OF_ONE: Final = 8
#: Who comes back and is further behind loads the page anew. It fits into the queue.
MOST_BEHIND: Final = 400
QUEUE: Final = 512
BATCH: Final = 200
_EVERY_S: Final = 0.25
_PATIENCE_S: Final = 5.0
_MOST_BACKOFF_S: Final = 10.0
_RETRY_AFTER_S: Final = "10"
_TROUBLE: Final = Event("trouble").encode()
_RECOVERED: Final = Event("recovered").encode()

_log = get_log(component="fanout")


@dataclass(frozen=True, slots=True)
class News:
    """For those who watch the facility. The event's id is its sequence."""

    facility: FacilityId
    sequence: int
    name: str
    data: str

    def encode(self) -> bytes:
        """As an event."""
        return Event(self.name, self.data, self.sequence).encode()


#: (facilities, sequence, limit) -> what came after it, in order; with -1 only the newest. Blocks; see
#: `Results.outcomes_after`.
Source = Callable[[frozenset[FacilityId], int, int], Sequence[News]]


class Viewer:
    """Somebody who watches."""

    def __init__(self, facilities: frozenset[FacilityId], after: int | None) -> None:
        self.facilities = facilities
        #: None until the viewer has a place in the sequence.
        self.at: int | None = None
        self.wanted = after
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._dropped = False

    @property
    def position(self) -> int | None:
        """See `Listener`; what still waits was not handed out."""
        return self.at if self._queue.empty() else None

    @property
    def ended(self) -> bool:
        """See `Listener`."""
        return self._dropped and self._queue.empty()

    async def next(self, timeout_s: float) -> bytes | None:
        """See `Listener`."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None

    def tell(self, event: bytes) -> bool:
        """False: the viewer is too slow, will hear nothing more than that, and needs no memory any longer."""
        if self._dropped:
            return False
        if self._queue.full():
            self._queue, self._dropped, event = asyncio.Queue(QUEUE), True, RESET
        self._queue.put_nowait(event)
        return not self._dropped


class Broadcaster:
    """For one event loop. While somebody watches, one task asks in one thread; else there is none, and nothing to close."""

    def __init__(
        self,
        source: Source,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """`source` has a timeout of its own; after `patience_s` the viewers are told that it takes long."""
        self._source, self._sleep, self._patience_s = source, sleep, patience_s
        self._viewers: set[Viewer] = set()
        self._of: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._sleeping: asyncio.Task[None] | None = None
        self._troubled = False

    @property
    def watching(self) -> int:
        """How many watch now."""
        return self._of.total()

    @contextmanager
    def watch(self, who: str, facilities: frozenset[FacilityId], after: int | None) -> Iterator[Viewer]:
        """As long as it is open. `after`: what is known already; None: only what comes from now on.

        Raises `Problem` when too many watch, or `who` does too often.
        """
        if self.watching >= MOST_VIEWERS or self._of[who] >= MOST_OF_ONE:
            raise Problem("overloaded", "Too many pages are open.", headers={"Retry-After": _RETRY_AFTER_S})
        viewer = Viewer(facilities, after)
        self._of[who] += 1
        self._viewers.add(viewer)
        if self._troubled:
            viewer.tell(_TROUBLE)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="fanout")
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)
            self._of[who] -= 1
            self._of += Counter()  # forgets those of whom none is left
            if not self._viewers and self._sleeping is not None:
                self._sleeping.cancel()

    async def _run(self) -> None:
        """Never cancelled by us: whoever comes while the last question runs is served by the same thread."""
        failures = 0
        thread = ThreadPoolExecutor(1, thread_name_prefix="fanout")
        try:
            while self._viewers:
                try:
                    more = await self._tell_news(thread)
                except Exception as error:
                    failures += 1
                    self._trouble(error)
                    await self._pause(min(_MOST_BACKOFF_S, _EVERY_S * 2**failures))
                else:
                    failures = 0
                    self._recover()
                    if not more:
                        await self._pause(_EVERY_S)
        finally:
            self._task, self._troubled = None, False
            thread.shutdown(wait=False)

    async def _tell_news(self, thread: ThreadPoolExecutor) -> bool:
        """One question, one more when somebody came. Whether there is more at once."""
        new = [viewer for viewer in self._viewers if viewer.at is None]
        placed = self._viewers.difference(new)
        newest = await self._newest(thread) if new else None
        found = await self._after(thread, placed)
        if len(found) < BATCH and newest is not None:
            # All up to the newest was settled when it was read, so those who were here have heard of all of it now.
            # What others watch did not come from further back: it would be their whole past.
            _advance(placed, newest)
            for viewer in new:
                await self._place(thread, viewer, newest)
            return True
        return len(found) == BATCH

    async def _newest(self, thread: ThreadPoolExecutor) -> int:
        found = await self._ask(thread, _union(self._viewers), -1, 1)
        return found[-1][0].sequence if found else 0

    async def _after(self, thread: ThreadPoolExecutor, viewers: set[Viewer]) -> list[tuple[News, bytes]]:
        """Asks from the one who is furthest behind; the others do not hear again what they heard."""
        if not viewers:
            return []
        found = await self._ask(thread, _union(viewers), min(viewer.at or 0 for viewer in viewers), BATCH)
        here = viewers & self._viewers
        for news, encoded in found:
            for viewer in here:
                if news.facility in viewer.facilities and news.sequence > (viewer.at or 0):
                    self._tell(viewer, encoded)
        if found:
            _advance(viewers, found[-1][0].sequence)
        return found

    async def _place(self, thread: ThreadPoolExecutor, viewer: Viewer, newest: int) -> None:
        wanted = newest if viewer.wanted is None else viewer.wanted
        # A little ahead is who came from another process, which may tell an outcome a moment earlier.
        if abs(newest - wanted) > MOST_BEHIND:
            # All facilities share one sequence: of a quiet one, what is far back may be the newest that there is.
            missed = await self._ask(thread, viewer.facilities, wanted, BATCH) if wanted < newest else None
            if missed is None or len(missed) == BATCH:
                missed = []
                self._tell(viewer, RESET)
            for _, encoded in missed:
                self._tell(viewer, encoded)
            wanted = max([newest, *(news.sequence for news, _ in missed)])
        viewer.at = wanted

    def _tell(self, viewer: Viewer, event: bytes) -> None:
        if not viewer.tell(event):
            self._viewers.discard(viewer)

    def _tell_all(self, event: bytes) -> None:
        for viewer in tuple(self._viewers):
            self._tell(viewer, event)

    def _trouble(self, error: Exception) -> None:
        if isinstance(error, Transient):
            _log.warning("what is new cannot be asked", action="fanout_failed", error=str(error))
        else:
            _log.error("what is new cannot be asked", action="fanout_failed", exc_info=error)
        self._begin_trouble()

    def _begin_trouble(self) -> None:
        if not self._troubled:
            self._troubled = True
            self._tell_all(_TROUBLE)

    def _recover(self) -> None:
        if self._troubled:
            self._troubled = False
            self._tell_all(_RECOVERED)

    async def _ask(
        self, thread: ThreadPoolExecutor, facilities: frozenset[FacilityId], after: int, limit: int
    ) -> list[tuple[News, bytes]]:
        if not facilities:
            return []

        def ask() -> list[tuple[News, bytes]]:
            return [(news, news.encode()) for news in self._source(facilities, after, limit)]

        asked = asyncio.get_running_loop().run_in_executor(thread, ask)
        done, _ = await asyncio.wait({asked}, timeout=self._patience_s)
        if not done:
            self._begin_trouble()  # a second question would only wait behind this one
        return await asked

    async def _pause(self, seconds: float) -> None:
        """Ends at once when nobody watches any more."""
        if not self._viewers:
            return
        self._sleeping = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({self._sleeping})
        finally:
            self._sleeping.cancel()
            self._sleeping = None


def _union(viewers: set[Viewer]) -> frozenset[FacilityId]:
    return frozenset[FacilityId]().union(*(viewer.facilities for viewer in viewers))


def _advance(viewers: set[Viewer], sequence: int) -> None:
    for viewer in viewers:
        viewer.at = max(viewer.at or 0, sequence)
