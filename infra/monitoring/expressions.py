"""PromQL made of the catalogue's entries: a metric, or a label of it, that does not exist cannot be written."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from infra.monitoring.alarms import GROUPS

from framegate.observability.catalogue import Metric

#: Grafana's own: at least four scrapes, and never less than a pixel.
WINDOW: Final = "$__rate_interval"
#: What Prometheus adds to every series of a target.
TARGET: Final = ("job", "instance")
RECORDED: Final = frozenset(recording.name for group in GROUPS for recording in group.recordings)


@dataclass(frozen=True, slots=True)
class Expression:
    """`unit` is in the catalogue's words, with `/s` for rates; `by` are the labels that the result has."""

    text: str
    unit: str
    by: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    buckets: bool = False  #: one series for each bucket of a histogram
    note: str = ""  #: what the catalogue does not say, because it is no metric of ours

    @property
    def observed(self) -> bool:
        """Whether it rests on buckets, which alone have exemplars."""
        return "_bucket" in self.text

    def __truediv__(self, other: "Expression") -> "Expression":
        unit = "ratio" if self.unit == other.unit else f"{self.unit}/{other.unit}"
        return self._with(other, f"{self.text} / {other.text}", unit)

    def __sub__(self, other: "Expression") -> "Expression":
        if self.unit != other.unit:
            raise ValueError(f"{self.unit} minus {other.unit}")
        return self._with(other, f"{self.text} - {other.text}", self.unit)

    def _with(self, other: "Expression", text: str, unit: str) -> "Expression":
        if self.by != other.by:
            raise ValueError(f"({self.text}) by {self.by} and ({other.text}) by {other.by} have no common labels")
        return replace(self, text=text, unit=unit, metrics=(*self.metrics, *other.metrics))


Where = Mapping[str, str]


def selector(metric: Metric, where: Where | None = None, suffix: str = "") -> str:
    """The metric's series whose labels are, or with `|`, `.` or a variable in it match, what `where` says."""
    matchers = []
    for label, value in (where or {}).items():
        if label not in metric.labels and label not in TARGET:
            raise ValueError(f"{metric.name} has no label {label}, only {', '.join(metric.labels)}")
        operator = "=~" if set(value) & set("|.$*") else "="
        matchers.append(f'{label}{operator}"{value}"')
    return metric.name + suffix + (f"{{{','.join(matchers)}}}" if matchers else "")


def rate(metric: Metric, *by: str, window: str = WINDOW, **where: str) -> Expression:
    """A counter's growth each second; of a histogram, observations each second."""
    return _counted(metric, "rate", "/s", by, window, where)


def increase(metric: Metric, *by: str, window: str = WINDOW, **where: str) -> Expression:
    """How much a counter grew within the window; of a histogram, observations."""
    return _counted(metric, "increase", "", by, window, where)


def _counted(metric: Metric, function: str, per: str, by: tuple[str, ...], window: str, where: Where) -> Expression:
    _is(metric, "counter", "histogram")
    unit = metric.unit if metric.kind == "counter" else "observations"
    text = f"{function}({selector(metric, where, '_count' if metric.kind == 'histogram' else '')}[{window}])"
    return _sum("sum", text, by, unit + per, metric)


def amount(metric: Metric, *by: str, window: str = WINDOW, **where: str) -> Expression:
    """The sum of what a histogram observed, each second: of sizes of batches it is images."""
    _is(metric, "histogram")
    return _sum("sum", f"rate({selector(metric, where, '_sum')}[{window}])", by, f"{metric.unit}/s", metric)


def busy(metric: Metric, *by: str, window: str = WINDOW, **where: str) -> Expression:
    """For a histogram of seconds: how many of them were at work at once, on average."""
    _is(metric, "histogram", unit="seconds")
    return replace(amount(metric, *by, window=window, **where), unit="at once")


def p(share: float, metric: Metric, *by: str, window: str = WINDOW, **where: str) -> Expression:
    """A quantile of what a histogram observed within the window."""
    text = buckets(metric, *by, function="rate", window=window, **where).text
    return Expression(f"histogram_quantile({share:g}, {text})", metric.unit, by, (metric,))


def mean(metric: Metric, *by: str, window: str = WINDOW, **where: str) -> Expression:
    """The average of what a histogram observed within the window."""
    unit = amount(metric, *by, window=window, **where) / rate(metric, *by, window=window, **where)
    return replace(unit, unit=metric.unit, metrics=(metric,))


def buckets(metric: Metric, *by: str, function: str = "increase", window: str = WINDOW, **where: str) -> Expression:
    """How many observations fell into or below each bucket: what a heatmap is drawn of."""
    _is(metric, "histogram")
    text = f"{function}({selector(metric, where, '_bucket')}[{window}])"
    return replace(_sum("sum", text, ("le", *by), metric.unit, metric), by=by, buckets=True)


def total(metric: Metric, *by: str, **where: str) -> Expression:
    """A gauge that each process tells of itself: their sum."""
    return _gauge("sum", metric, by, where)


def most(metric: Metric, *by: str, **where: str) -> Expression:
    """A gauge that every process tells alike, such as the length of a queue: the largest."""
    return _gauge("max", metric, by, where)


def least(metric: Metric, *by: str, **where: str) -> Expression:
    """The smallest of a gauge, such as what is free."""
    return _gauge("min", metric, by, where)


def starts(metric: Metric, *by: str, window: str) -> Expression:
    """How often a gauge of when something began changed within the window."""
    _is(metric, "gauge", unit="seconds")
    return _sum("sum", f"changes({selector(metric)}[{window}])", by, "starts", metric)


def recorded(name: str, unit: str, *by: str, over: str = "", note: str = "", **where: str) -> Expression:
    """The largest of what Prometheus records, or with `over` the sum of it all. Raises ValueError when no rule records it."""
    if name not in RECORDED:
        raise ValueError(f"no rule records {name}, only {', '.join(sorted(RECORDED))}")
    matchers = ",".join(f'{label}="{value}"' for label, value in where.items())
    series = f"{name}{{{matchers}}}"
    grouping = f" by ({', '.join(by)}) " if by else ""
    text = f"sum{grouping}(sum_over_time({series}[{over}]))" if over else f"max{grouping}({series})"
    return Expression(text, unit, by, note=note)


def _gauge(aggregate: str, metric: Metric, by: tuple[str, ...], where: Where) -> Expression:
    _is(metric, "gauge")
    return _sum(aggregate, selector(metric, where), by, metric.unit, metric)


def _sum(aggregate: str, text: str, by: tuple[str, ...], unit: str, metric: Metric) -> Expression:
    for label in by:
        if label not in (*metric.labels, *TARGET, "le"):
            raise ValueError(f"{metric.name} has no label {label}, only {', '.join(metric.labels)}")
    grouping = f" by ({', '.join(by)}) " if by else ""
    return Expression(f"{aggregate}{grouping}({text})", unit, by, (metric,))


def firing() -> Expression:
    """The alarms that people are told of now, and since when what they are about is so; `runbook` is the name again."""
    since = 'time() - ALERTS_FOR_STATE and ignoring(alertstate) ALERTS{alertstate="firing"}'
    named = f'label_replace({since}, "runbook", "$1", "alertname", "(.*)")'
    note = "Alarms of Prometheus that fire now, and for how long what they are about has been so."
    by = ("alertname", "severity", "runbook")
    return Expression(f"max by ({', '.join(by)}) ({named})", "seconds", by, note=note)


def _is(metric: Metric, *kinds: str, unit: str = "") -> None:
    if metric.kind not in kinds or (unit and metric.unit != unit):
        raise ValueError(f"{metric.name} is a {metric.kind} of {metric.unit}")
