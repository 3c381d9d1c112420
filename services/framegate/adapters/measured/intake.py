"""Recording uploads, timed."""

from collections.abc import Sequence

from framegate.observability.dependencies import Calls
from framegate.observability.metrics import Metrics
from framegate.ports.store import Accepted, Intake, NewImage


class MeasuredIntake:
    """`Intake`."""

    def __init__(self, intake: Intake, metrics: Metrics) -> None:
        self._intake, self._calls = intake, Calls(metrics, "database")

    def accept(self, images: Sequence[NewImage]) -> list[Accepted]:
        """See the port."""
        with self._calls("accept"):
            return self._intake.accept(images)
