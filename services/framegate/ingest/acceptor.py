"""Uploads that arrive together share one transaction."""

import threading
from collections import deque
from collections.abc import Callable

from framegate.kernel.errors import DependencyUnavailable
from framegate.observability.logs import get_log
from framegate.ports.store import Accepted, Intake, NewImage

#: Told once for each image, from the thread that led its transaction; must not block or raise.
Done = Callable[[Accepted | BaseException], None]

_log = get_log(stage="ingest")


class Acceptor:
    """Group commit without a thread of its own and without added delay.

    The first thread that comes while nobody accepts becomes the leader: it accepts its image, then whatever came in the
    meantime, until nothing waits. The others leave at once and go on storing blobs.
    """

    def __init__(self, intake: Intake, max_batch: int = 32) -> None:
        self._intake, self._max_batch = intake, max_batch
        self._lock = threading.Lock()
        self._waiting: deque[tuple[NewImage, Done]] = deque()
        self._led = False

    def submit(self, image: NewImage, done: Done) -> None:
        """Blocks the leader only. The blob of `image` is durable."""
        with self._lock:
            self._waiting.append((image, done))
            if self._led:
                return
            self._led = True
        while batch := self._next():
            self._accept(batch)

    def _next(self) -> list[tuple[NewImage, Done]]:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
            # Decided under the same lock as appending: nobody can be left waiting without a leader.
            self._led = bool(batch)
            return batch

    def _accept(self, batch: list[tuple[NewImage, Done]]) -> None:
        for (_, done), answer in zip(batch, self._ask([image for image, _ in batch]), strict=True):
            done(answer)

    def _ask(self, images: list[NewImage]) -> list[Accepted | BaseException]:
        try:
            return list(self._intake.accept(images))
        except DependencyUnavailable as error:
            # May have been committed or not; asking again for each would only take longer.
            return [error] * len(images)
        except Exception as error:
            if len(images) == 1:
                _log.exception("an upload could not be recorded", action="accept_failed")
                return [error]
            # The transaction is undone. One of them is at fault: the others must not suffer for it.
            return [answer for image in images for answer in self._ask([image])]
