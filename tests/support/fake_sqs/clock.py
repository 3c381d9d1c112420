"""Time that goes by itself and can be pushed on."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the broker asks; `framegate.adapters.memory.FakeClock` is one that stands still."""

    def now(self) -> datetime: ...

    def advance(self, seconds: float) -> None: ...


class ShiftedClock:
    """The time since the start never goes back, whatever happens to the wall clock."""

    def __init__(self) -> None:
        self._start, self._origin, self._pushed = datetime.now(UTC), time.monotonic(), 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=time.monotonic() - self._origin + self._pushed)

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("time does not go back")
        self._pushed += seconds
