"""Lets follow what people decided, once it cannot be taken back any more."""

from collections.abc import Callable
from typing import Final

from framegate.kernel.errors import Transient
from framegate.observability.catalogue import HOUSEKEEPING_FAILURES, REVIEW_ITEMS_OPEN, REVIEW_OLDEST_SECONDS
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.reviews import Reviews, Tell

_AT_ONCE: Final = 200


class ReviewWatch:
    """Several share the work; each shows the same gauges. `rules`: what fails are told by, at this moment."""

    def __init__(self, reviews: Reviews, rules: Callable[[], Tell], metrics: Metrics, log: Log) -> None:
        self._reviews, self._rules, self._metrics, self._log = reviews, rules, metrics, log

    def look(self) -> None:
        """Settles what is due. Troubles are counted: it stays due, and comes with the next look."""
        try:
            while self._reviews.settle(_AT_ONCE, self._rules()):
                pass
            backlog = self._reviews.backlog()
            self._metrics.set(REVIEW_ITEMS_OPEN, backlog.open)
            self._metrics.set(REVIEW_OLDEST_SECONDS, backlog.oldest_s)
        except Transient as error:
            self._metrics.count(HOUSEKEEPING_FAILURES, work="reviews")
            self._log.warning("cannot keep house", action="housekeeping_failed", work="reviews", error=str(error))
