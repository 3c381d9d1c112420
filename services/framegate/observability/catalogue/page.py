"""The catalogue as a page of the documentation."""

from collections.abc import Iterator, Mapping

from framegate.observability.catalogue.metric import LABELS, Metric

HEAD = """\
# Metrics

<!-- Made from services/framegate/observability/catalogue by python -m framegate.observability.catalogue > docs/metrics.md -->

Every process serves its metrics at `/metrics` of `FRAMEGATE_WORKER__HOST` and `FRAMEGATE_WORKER__PORT` (in containers 9100), as
Prometheus text or, with exemplars that name traces, as OpenMetrics. So does the API, and never on its public port: labels name
facilities and cameras, which concern only who operates Framegate. Nothing else is exported than what this page lists.

A running box keeps `prometheus/targets.json` in its data directory current, with one target for each of its processes, and
writes what a Prometheus beside it needs, with the alarms where it runs from a checkout:

    prometheus --config.file=.framegate/prometheus/prometheus.yml --storage.tsdb.path=.framegate/prometheus/history

No label grows with images, people or time; [the last section](#labels) says what bounds each. With more cameras than
`FRAMEGATE_METRICS__CAMERAS` (200, of one process) the others are counted together as `other`, and so are classes beyond 64.
"""


def page(groups: Mapping[str, tuple[Metric, ...]]) -> str:
    """In Markdown."""
    return "\n".join([HEAD, *(line for group in groups.items() for line in _group(*group)), *_labels()]) + "\n"


def _group(title: str, metrics: tuple[Metric, ...]) -> Iterator[str]:
    yield f"## {title.rstrip('.')}\n"
    yield "| metric | means | what to do |"
    yield "|---|---|---|"
    for metric in metrics:
        facts = [metric.kind, metric.unit, ", ".join(f"`{label}`" for label in metric.labels)]
        cells = [
            f"`{metric.name}`<br>{'; '.join(filter(None, facts))}",
            metric.meaning + _buckets(metric),
            metric.remedy,
        ]
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _buckets(metric: Metric) -> str:
    bounds = ", ".join(str(int(bound) if bound.is_integer() else bound) for bound in metric.buckets)
    return f"<br>buckets: {bounds}" if bounds else ""


def _labels() -> Iterator[str]:
    yield "## Labels\n"
    yield "| label | holds |"
    yield "|---|---|"
    for name, values in LABELS.items():
        yield f"| `{name}` | {values} |"
