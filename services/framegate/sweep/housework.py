"""Work of the sweeper that nobody waits for, and that must not end the process: the gate may share it."""

from collections.abc import Iterator
from contextlib import contextmanager

from framegate.kernel.errors import Transient
from framegate.observability.catalogue import HOUSEKEEPING_FAILURES
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics


@contextmanager
def housework(name: str, metrics: Metrics, log: Log) -> Iterator[None]:
    """Counts what goes wrong, and says it; the next round tries again."""
    try:
        yield
    except Transient as error:
        metrics.count(HOUSEKEEPING_FAILURES, work=name)
        log.warning("cannot keep house", action="housekeeping_failed", work=name, error=str(error))
    except Exception:  # by data or a bug: the next round meets it again, and so would every process that starts instead
        metrics.count(HOUSEKEEPING_FAILURES, work=name)
        log.warning("cannot keep house", action="housekeeping_failed", work=name, exc_info=True)
