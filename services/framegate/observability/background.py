"""Readings of what may hang: a thread asks, scrapes get its last answer while it is new."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from framegate.observability.logs import get_log
from framegate.observability.readings import Reading


class Unreadable(Exception):
    """There is nothing to be read in this process, now or later."""


class BackgroundReadings:
    """Asks `read` every `every_s` while it is entered. An answer older than three times that is none."""

    def __init__(
        self,
        read: Callable[[], Iterable[Reading]],
        every_s: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read` raises `Unreadable` to be asked no more; whatever else it raises, it is asked again."""
        self._read, self._every_s, self._monotonic = read, every_s, monotonic
        self._last: tuple[float, Sequence[Reading]] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readings", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=1)  # it may hang where it reads, and then ends with the process

    def __call__(self) -> Sequence[Reading]:
        """At once."""
        if self._last is None:
            return ()
        asked_at, readings = self._last
        return readings if self._monotonic() - asked_at <= 3 * self._every_s else ()

    def _run(self) -> None:
        while self.look() and not self._stop.wait(self._every_s):
            pass

    def look(self) -> bool:
        """Asks once, however long it takes. False: never again."""
        asked_at = self._monotonic()
        try:
            self._last = asked_at, list(self._read())
        except Unreadable as error:
            get_log().debug("some metrics are not to be had here", action="metrics_absent", error=str(error))
            self._last = None
            return False
        except Exception as error:
            get_log().debug("some metrics cannot be read", action="metrics_unread", error=repr(error))
            self._last = None
        return True
