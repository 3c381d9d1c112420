"""What is done now and then, beside what is done all the time."""

from datetime import timedelta

from framegate.ports.clock import Clock


class Due:
    """By name. Each name belongs to one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._not_before: dict[str, float] = {}

    def is_due(self, what: str, every: timedelta) -> bool:
        """Whether `every` has passed since this was last true, which it is the first time."""
        now = self._clock.monotonic()
        if now < self._not_before.get(what, float("-inf")):
            return False
        self._not_before[what] = now + every.total_seconds()
        return True

    def rest(self, what: str, seconds: float) -> None:
        """Not again for so long, if that is longer."""
        self._not_before[what] = max(self._not_before[what], self._clock.monotonic() + seconds)

    def again(self, what: str) -> None:
        """In the next round."""
        del self._not_before[what]
