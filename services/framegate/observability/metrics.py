"""One registry a process, made from the catalogue: a metric that is not in it cannot be written."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from framegate.observability.catalogue import CATALOGUE, Metric


class Metrics:
    """Thread-safe. Unlabelled metrics exist from the start, labelled ones from their first use."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in CATALOGUE:
            self._make(metric)

    def _make(self, metric: Metric) -> None:
        text = f"{metric.meaning}. What to do: {metric.remedy}."
        match metric.kind:
            case "counter":
                self._counters[metric.name] = Counter(metric.name, text, metric.labels, registry=self.registry)
            case "gauge":
                self._gauges[metric.name] = Gauge(metric.name, text, metric.labels, registry=self.registry)
            case "histogram":
                self._histograms[metric.name] = Histogram(
                    metric.name, text, metric.labels, registry=self.registry, buckets=metric.buckets
                )

    def count(self, metric: Metric, amount: float = 1, /, **labels: str) -> None:
        """Adds to a counter."""
        counter = self._counters[metric.name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def set(self, metric: Metric, value: float, /, **labels: str) -> None:
        """Sets a gauge."""
        gauge = self._gauges[metric.name]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def observe(self, metric: Metric, value: float, /, **labels: str) -> None:
        """Adds one observation to a histogram."""
        histogram = self._histograms[metric.name]
        (histogram.labels(**labels) if labels else histogram).observe(value)

    def value(self, metric: Metric, labels: Mapping[str, str] | None = None, suffix: str = "") -> float:
        """The present value, 0 when it was never written; for tests and status lines."""
        return self.registry.get_sample_value(metric.name + suffix, dict(labels or {})) or 0.0

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
