"""Metrics that are read when somebody scrapes, and are absent where they cannot be."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from framegate.observability.catalogue import Metric
from framegate.observability.logs import get_log


class Reading(NamedTuple):
    """One series at one moment."""

    metric: Metric
    value: float
    labels: Mapping[str, str] = {}


#: What there is to be read now.
Read = Callable[[], Iterable[Reading]]


class GuardedCollector(Collector):
    """What `collect` says, or nothing: a broken reading must not take the rest of the scrape with it."""

    def __init__(self, collect: Callable[[], Iterable[Family]]) -> None:
        self._collect, self._failing = collect, False

    def collect(self) -> Iterable[Family]:
        """Never raises. The first failure of a row is logged."""
        try:
            families: Sequence[Family] = list(self._collect())
        except Exception as error:
            if not self._failing:
                get_log().warning("some metrics cannot be read", action="metrics_unread", error=repr(error))
            self._failing = True
            return ()
        self._failing = False
        return families


def help_text(metric: Metric) -> str:
    """The text beside a metric in a scrape."""
    return f"{metric.meaning}. What to do: {metric.remedy}."


def families(readings: Iterable[Reading]) -> Iterable[Family]:
    """The readings as prometheus_client wants them. Raises `KeyError` when one lacks a label of its metric."""
    found: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for metric, value, labels in readings:
        if metric.name not in found:
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            found[metric.name] = kind(metric.name, help_text(metric), labels=metric.labels)
        found[metric.name].add_metric([labels[name] for name in metric.labels], value)
    return found.values()
