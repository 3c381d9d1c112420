"""Whether this machine gives its processes time when they want it: what is promised about times is for one that does."""

import threading
import time
from typing import Final

_NAP_S: Final = 0.02
#: A thread that wakes up so much later than it wanted to has waited for others.
_LATE_S: Final = 0.1


class Promptness:
    """A thread naps, and notes when it was woken late, while it is entered."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Promptness":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def lapses(self, since: float) -> int:
        """How often it was late since a moment of the monotonic clock."""
        return sum(at >= since for at in list(self._late))

    def _run(self) -> None:
        while not self._stop.is_set():
            wanted = time.monotonic() + _NAP_S
            time.sleep(_NAP_S)
            if (now := time.monotonic()) > wanted + _LATE_S:
                self._late.append(now)
