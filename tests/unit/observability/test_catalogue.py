"""The catalogue is well named, complete, written, and the page in the documentation is made from it."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from framegate.observability import catalogue
from framegate.observability.catalogue import CATALOGUE, GROUPS, LABELS, Metric
from framegate.observability.catalogue.page import page

ROOT = Path(__file__).parents[3]
SERVICES = ROOT / "services/framegate"

#: By the name of their constant. Whoever writes one takes it off this list.
NOT_WRITTEN_YET: frozenset[str] = frozenset()
#: How a name ends that has this unit.
ENDINGS = {
    "seconds": ("_seconds",),
    "bytes": ("_bytes",),
    "watts": ("_watts",),
    "celsius": ("_celsius",),
    "ratio": ("_ratio", "_share", "_confidence"),
    "info": ("_info",),
}
#: Units that Prometheus does not want: those are multiples or shortenings of base units.
NO_UNITS = {
    *("ms", "us", "ns", "millis", "milliseconds", "microseconds", "minutes", "hours", "days", "sec", "secs"),
    *("kb", "mb", "gb", "kib", "mib", "kilobytes", "megabytes", "bits", "percent", "pct", "fahrenheit"),
}
OURS = [metric for metric in CATALOGUE if metric.source != "client"]


def named(metric: Metric) -> str:
    return metric.name


def constants() -> list[Any]:
    """Of what our code must write; `client` metrics are written by the library."""
    names = [name for name, value in vars(catalogue).items() if isinstance(value, Metric) and value.source != "client"]
    missing = pytest.mark.xfail(strict=True, reason="nothing writes it yet")
    return [pytest.param(name, marks=missing if name in NOT_WRITTEN_YET else ()) for name in sorted(names)]


@cache
def used_names() -> frozenset[str]:
    """Every name that any module but the catalogue's uses; to import it only is no use."""
    sources = [path for path in SERVICES.rglob("*.py") if "catalogue" not in path.parts]
    nodes = (node for path in sources for node in ast.walk(ast.parse(path.read_bytes())))
    return frozenset(
        node.id if isinstance(node, ast.Name) else node.attr
        for node in nodes
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
    )


def test_names_are_unique_and_no_group_is_empty() -> None:
    assert [name for name, times in Counter(metric.name for metric in CATALOGUE).items() if times > 1] == []
    assert all(GROUPS.values())
    assert "" not in GROUPS


@pytest.mark.parametrize("metric", OURS, ids=named)
def test_a_name_follows_the_conventions_of_prometheus(metric: Metric) -> None:
    prefix, *words = metric.name.split("_")
    assert prefix == "framegate"
    assert metric.name == metric.name.lower()
    assert (words[-1] == "total") is (metric.kind == "counter")
    assert words[-1] not in ("count", "sum", "bucket", "created")
    assert NO_UNITS.isdisjoint(words)
    base = metric.name.removesuffix("_total")
    assert base.endswith(ENDINGS.get(metric.unit, ("",)))
    for unit, endings in ENDINGS.items():
        assert not base.endswith(endings) or metric.unit == unit, f"the name says {unit}"


@pytest.mark.parametrize("metric", CATALOGUE, ids=named)
def test_an_entry_says_what_it_means_and_what_to_do(metric: Metric) -> None:
    assert metric.unit
    assert metric.meaning
    assert metric.remedy
    assert bool(metric.buckets) is (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert len(set(metric.labels)) == len(metric.labels)
    assert {"le", "quantile"}.isdisjoint(metric.labels)


def test_every_label_says_what_bounds_it_and_none_is_left_over() -> None:
    assert list(LABELS) == sorted({label for metric in CATALOGUE for label in metric.labels})


@pytest.mark.parametrize("constant", constants())
def test_every_entry_is_written_somewhere(constant: str) -> None:
    assert constant in used_names()


def test_what_is_not_written_yet_is_in_the_catalogue() -> None:
    assert {name for name, value in vars(catalogue).items() if isinstance(value, Metric)} >= NOT_WRITTEN_YET


def test_the_page_is_made_from_the_catalogue() -> None:
    shown = (ROOT / "docs/metrics.md").read_text("utf-8")
    assert shown == page(GROUPS), "python -m framegate.observability.catalogue > docs/metrics.md"
    assert all(f"`{metric.name}`" in shown for metric in CATALOGUE)
