"""Erases what was kept for as long as it was to be kept."""

from typing import Final

from framegate.observability.catalogue import PARTS_ERASED, RETENTION_OVERDUE_SECONDS
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.blobs import Blobs
from framegate.ports.clock import Clock
from framegate.ports.retention import Retention
from framegate.sweep.housework import housework

_AT_ONCE: Final = 500
#: Then the database and the blob store have a pause.
_STEPS: Final = 20


class RetentionWatch:
    """Several share the work."""

    def __init__(self, retention: Retention, blobs: Blobs, clock: Clock, metrics: Metrics, log: Log) -> None:
        self._retention, self._blobs, self._clock, self._metrics, self._log = retention, blobs, clock, metrics, log

    def look(self) -> None:
        """Some steps of the walk through what ended. Troubles are counted: what is due stays due."""
        # Each by itself: files that cannot be deleted must not keep it quiet that they are overdue.
        for work in (self._erase, self._show):
            with housework("retention", self._metrics, self._log):
                work()

    def _erase(self) -> None:
        delete_files(self._retention, self._blobs)
        for _ in range(_STEPS):
            if not self._step():
                break

    def _show(self) -> None:
        self._metrics.set(RETENTION_OVERDUE_SECONDS, self._retention.overdue_s(self._clock.now()))

    def _step(self) -> bool:
        walked = self._retention.walk(self._clock.now(), _AT_ONCE)
        if walked is None:
            return False
        log = self._log.bind(facility=walked.facility)
        for part, count in walked.erased.items():
            self._metrics.count(PARTS_ERASED, count, part=part)
            log.info("retention is over", action="parts_erased", part=str(part), count=count)
        if walked.erased:
            delete_files(self._retention, self._blobs)
        return True


def delete_files(retention: Retention, blobs: Blobs) -> None:
    """Of all erasures, whoever recorded them."""
    while erased := retention.unfinished(_AT_ONCE):
        for one in erased:
            for key in one.keys:
                blobs.delete(key)
        retention.finish(erased)
