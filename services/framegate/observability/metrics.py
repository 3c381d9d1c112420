"""One registry a process, made from the catalogue: a metric that is not in it cannot be written."""

import threading
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from framegate.kernel.ids import CameraId, FacilityId
from framegate.observability.catalogue import CAMERAS_FOLDED, CATALOGUE, Metric
from framegate.observability.labels import BoundedLabel
from framegate.observability.readings import GuardedCollector, Read, families, help_text

# Prometheus would keep when each counter began as a series of its own, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

CAMERAS: Final = 200
_CLASSES: Final = 64
#: OpenMetrics allows an exemplar's names and values 128 characters together.
_LONGEST_TRACE_ID: Final = 128 - len("trace_id")

Child = TypeVar("Child", Counter, Gauge, Histogram)


class _Family(Generic[Child]):
    """A metric and its series. prometheus_client's own `labels` locks, sorts and copies for every single observation."""

    __slots__ = ("_lock", "_parent", "children")

    def __init__(self, parent: Child, labelled: bool) -> None:
        self._parent: Child = parent
        self._lock = threading.Lock()
        #: By the names and values of the labels in the order in which a caller writes them.
        self.children: dict[tuple[tuple[str, str], ...], Child] = {} if labelled else {(): parent}

    def add(self, labels: Mapping[str, str]) -> Child:
        """The series with these labels. Raises `ValueError` when these are not the labels of the metric."""
        with self._lock:  # or `remove` came between, and the cache would keep a series that nobody scrapes
            child: Child = self._parent.labels(**labels)
            self.children[tuple(labels.items())] = child
            return child

    def remove(self, labels: dict[str, str]) -> None:
        with self._lock:
            self._parent.remove_by_labels(labels)
            self.children.clear()  # the other series are found again at their next use


class Metrics:
    """Thread-safe. Unlabelled metrics exist from the start, labelled ones from their first use."""

    def __init__(self, cameras: int = CAMERAS) -> None:
        """`cameras`: how many have labels of their own in this process."""
        self.registry = CollectorRegistry()
        self._counters: dict[str, _Family[Counter]] = {}
        self._gauges: dict[str, _Family[Gauge]] = {}
        self._histograms: dict[str, _Family[Histogram]] = {}
        for metric in CATALOGUE:
            if metric.source == "code":
                self._make(metric)
        self._camera = BoundedLabel(cameras, lambda folded: self.set(CAMERAS_FOLDED, folded))
        #: The label of a class that a model finds.
        self.label_class = BoundedLabel(_CLASSES)

    def _make(self, metric: Metric) -> None:
        name, labels, text, labelled = metric.name, metric.labels, help_text(metric), bool(metric.labels)
        match metric.kind:
            case "counter":
                self._counters[name] = _Family(Counter(name, text, labels, registry=self.registry), labelled)
            case "gauge":
                self._gauges[name] = _Family(Gauge(name, text, labels, registry=self.registry), labelled)
            case "histogram":
                histogram = Histogram(name, text, labels, registry=self.registry, buckets=metric.buckets)
                self._histograms[name] = _Family(histogram, labelled)

    def count(self, metric: Metric, amount: float = 1, /, **labels: str) -> None:
        """Adds to a counter."""
        counter = self._counters[metric.name]
        (counter.children.get(tuple(labels.items())) or counter.add(labels)).inc(amount)

    def set(self, metric: Metric, value: float, /, **labels: str) -> None:
        """Sets a gauge."""
        gauge = self._gauges[metric.name]
        (gauge.children.get(tuple(labels.items())) or gauge.add(labels)).set(value)

    def forget(self, metric: Metric, /, **labels: str) -> None:
        """Removes the labelled series of a gauge that have these labels, and are no longer true."""
        self._gauges[metric.name].remove(labels)

    def observe(self, metric: Metric, value: float, trace_id: str = "", /, **labels: str) -> None:
        """Adds one observation to a histogram; `trace_id` (32 hexadecimal digits) becomes the exemplar of its bucket."""
        histogram = self._histograms[metric.name]
        (histogram.children.get(tuple(labels.items())) or histogram.add(labels)).observe(
            value, {"trace_id": trace_id} if 0 < len(trace_id) <= _LONGEST_TRACE_ID else None
        )

    def camera(self, facility: FacilityId, camera: CameraId) -> str:
        """The label of a camera: FACILITY/CAMERA, or `other` once as many as have labels of their own were seen."""
        return self._camera(facility, camera)

    def at_scrape(self, read: Read) -> None:
        """`read` is called at every scrape; what it says is gone when it says it no more. It may fail and must be quick."""
        self.registry.register(GuardedCollector(lambda: families(read())))

    def value(self, metric: Metric, labels: Mapping[str, str] | None = None, suffix: str = "") -> float:
        """The present value, 0 when it was never written; for tests and status lines."""
        return self.registry.get_sample_value(metric.name + suffix, dict(labels or {})) or 0.0

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """What is scraped and its content type: OpenMetrics, with exemplars, for whoever accepts that; else Prometheus text."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
