"""Labels whose values others choose, bounded."""

import threading
from collections.abc import Callable
from typing import Final

#: The label of what is beyond a limit.
OTHER: Final = "other"


class BoundedLabel:
    """The first `most` things have labels of their own, all others are `other`. Thread-safe."""

    def __init__(self, most: int, folded: Callable[[int], None] = lambda _: None) -> None:
        """`folded` is told how many things became `other`, counted up to 100 times `most`."""
        self._most, self._tell = most, folded
        self._own, self._folded = dict[tuple[str, ...], str](), set[tuple[str, ...]]()
        self._lock = threading.Lock()

    def __call__(self, *parts: str) -> str:
        """The parts of a name with slashes between them, or `other`."""
        own = self._own.get(parts)
        if own is not None:
            return own
        with self._lock:
            if len(self._own) < self._most or parts in self._own:
                return self._own.setdefault(parts, "/".join(parts))
            # Bounded as well: who sends under ever new names must not fill the memory.
            if parts not in self._folded and len(self._folded) < 100 * self._most:
                self._folded.add(parts)
                self._tell(len(self._folded))
            return OTHER
