"""Learning at once that there is something to do."""

from collections.abc import Sequence
from typing import Protocol


class Wakeup(Protocol):
    """One thread waits; others may interrupt it. It may miss something, so whoever waits looks now and then anyway."""

    def listen(self, queues: Sequence[str]) -> bool:
        """Whether anything sent from now on will end `wait`; call it before the last look."""
        ...

    def wait(self, timeout_s: float) -> None:
        """May return early."""
        ...

    def interrupt(self) -> None:
        """Ends the wait, from another thread."""
        ...

    def close(self) -> None:
        """Ends a wait and frees the connection."""
        ...
