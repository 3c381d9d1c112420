"""Lets follow what people decided, once it cannot be taken back any more."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from framegate.observability.catalogue import (
    ESCAPE_HIGH_RATIO,
    ESCAPE_LOW_RATIO,
    ESCAPE_RATIO,
    REVIEW_ITEMS_OPEN,
    REVIEW_OLDEST_SECONDS,
    Metric,
)
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.clock import Clock
from framegate.ports.reviews import Reviews, Tell
from framegate.sweep.housework import housework
from framegate.worker.due import Due

_AT_ONCE: Final = 200
_ESCAPES_EVERY: Final = timedelta(minutes=1)
#: Models with series of their own: those of which most passes were checked.
MOST_MODELS: Final = 20


class ReviewWatch:
    """Several share the work; each shows the same gauges. `rules`: what fails are told by, at this moment."""

    def __init__(self, reviews: Reviews, rules: Callable[[], Tell], clock: Clock, metrics: Metrics, log: Log) -> None:
        self._reviews, self._rules, self._metrics, self._log = reviews, rules, metrics, log
        self._due = Due(clock)
        self._shown: set[tuple[Metric, str]] = set()

    def look(self) -> None:
        """Settles what is due. Troubles are counted: it stays due, and comes with the next look."""
        with housework("reviews", self._metrics, self._log):
            while self._reviews.settle(_AT_ONCE, self._rules()):
                pass
            backlog = self._reviews.backlog()
            self._metrics.set(REVIEW_ITEMS_OPEN, backlog.open)
            self._metrics.set(REVIEW_OLDEST_SECONDS, backlog.oldest_s)
            if self._due.is_due("escapes", _ESCAPES_EVERY):
                self._show_escapes()

    def _show_escapes(self) -> None:
        tallies = sorted(self._reviews.escapes(), key=lambda tally: -tally.judged)[:MOST_MODELS]
        values: dict[tuple[Metric, str], float] = {}
        for tally in tallies:
            model = tally.name or "unknown"
            values[ESCAPE_LOW_RATIO, model], values[ESCAPE_HIGH_RATIO, model] = tally.interval
            if tally.rate is not None:
                values[ESCAPE_RATIO, model] = tally.rate
        for metric, model in self._shown - values.keys():
            self._metrics.forget(metric, model=model)
        for (metric, model), value in values.items():
            self._metrics.set(metric, value, model=model)
        self._shown = set(values)
