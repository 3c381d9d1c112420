"""One registry a process, made from the catalogue: a metric that is not in it cannot be written."""

import threading
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from framegate.kernel.ids import CameraId, FacilityId
from framegate.observability.catalogue import CAMERAS_FOLDED, CATALOGUE, Metric

#: The label of what is beyond a limit.
OTHER: Final = "other"
CAMERAS: Final = 200


class Metrics:
    """Thread-safe. Unlabelled metrics exist from the start, labelled ones from their first use."""

    def __init__(self, cameras: int = CAMERAS) -> None:
        """`cameras`: how many have labels of their own in this process."""
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._cameras, self._most_cameras, self._folded = dict[tuple[str, str], str](), cameras, set[tuple[str, str]]()
        self._lock = threading.Lock()
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

    def forget(self, metric: Metric, /, **labels: str) -> None:
        """Removes one labelled series, which is no longer true."""
        self._gauges[metric.name].remove_by_labels(labels)

    def observe(self, metric: Metric, value: float, trace_id: str = "", /, **labels: str) -> None:
        """Adds one observation to a histogram; `trace_id` (32 hexadecimal digits) becomes its exemplar."""
        histogram = self._histograms[metric.name]
        (histogram.labels(**labels) if labels else histogram).observe(
            value, {"trace_id": trace_id} if trace_id else None
        )

    def camera(self, facility: FacilityId, camera: CameraId) -> str:
        """The label of a camera: FACILITY/CAMERA, or `other` once as many as have labels of their own were seen."""
        place = (facility, camera)
        known = self._cameras.get(place)
        if known is not None:
            return known
        with self._lock:
            if len(self._cameras) < self._most_cameras:
                return self._cameras.setdefault(place, f"{facility}/{camera}")
            # Bounded as well: who sends under ever new names must not fill the memory.
            if len(self._folded) < 100 * self._most_cameras:
                self._folded.add(place)
                self.set(CAMERAS_FOLDED, len(self._folded))
            return OTHER

    def value(self, metric: Metric, labels: Mapping[str, str] | None = None, suffix: str = "") -> float:
        """The present value, 0 when it was never written; for tests and status lines."""
        return self.registry.get_sample_value(metric.name + suffix, dict(labels or {})) or 0.0

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """What is scraped and its content type: OpenMetrics, with exemplars, for whoever accepts that; else Prometheus text."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
