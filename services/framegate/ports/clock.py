"""Time, injected, so that no test has to sleep."""

import threading
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Durations and delays of this process; schedules and leases use the database's clock instead."""

    def now(self) -> datetime:
        """The wall clock, in UTC, with its time zone."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Blocks until `event` is set or `timeout_s` has passed; says whether it is set."""
        ...
