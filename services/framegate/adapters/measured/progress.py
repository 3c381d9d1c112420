"""Moving images forward, timed."""

from collections.abc import Sequence
from datetime import timedelta

from framegate.kernel.messages import Message
from framegate.kernel.states import Stage
from framegate.observability.dependencies import Calls
from framegate.observability.metrics import Metrics
from framegate.ports.progress import Claim, Completion, Denied, Ending, Progress


class MeasuredProgress:
    """`Progress`."""

    def __init__(self, progress: Progress, metrics: Metrics) -> None:
        self._progress, self._calls = progress, Calls(metrics, "database")

    def claim(self, stage: Stage, messages: Sequence[Message], owner: str, lease: timedelta) -> list[Claim | Denied]:
        """See the port."""
        with self._calls("claim"):
            return self._progress.claim(stage, messages, owner, lease)

    def extend(self, claims: Sequence[Claim], lease: timedelta) -> list[Claim]:
        """See the port."""
        with self._calls("extend"):
            return self._progress.extend(claims, lease)

    def complete(self, completions: Sequence[Completion]) -> list[bool]:
        """See the port."""
        with self._calls("complete"):
            return self._progress.complete(completions)

    def give_back(self, claims: Sequence[Claim], ending: Ending, cause: str) -> None:
        """See the port."""
        with self._calls("give_back"):
            self._progress.give_back(claims, ending, cause)

    def recover(self, owner: str) -> int:
        """See the port."""
        with self._calls("recover"):
            return self._progress.recover(owner)
