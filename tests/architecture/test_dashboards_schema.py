"""The dashboards against the models of Grafana 11.6: a field that it does not know is lost in them."""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from infra.monitoring.dashboards import DASHBOARDS
from infra.monitoring.layout import Dashboard

#: Of the Prometheus data source, which the models leave out.
BEYOND = {".annotations.list[].step", ".annotations.list[].titleFormat", ".annotations.list[].tagKeys"}


def read_and_written(made: dict[str, Any]) -> Any:
    """As it comes out of the models."""
    try:
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.cog.plugins import register_default_plugins
        from grafana_foundation_sdk.models import dashboard as grafana
    except ModuleNotFoundError:
        assert not os.environ.get("CI"), "grafana-foundation-sdk is not installed: the extra dev brings it"
        pytest.skip("grafana-foundation-sdk is not installed: the extra dev brings it")
    register_default_plugins()
    return json.loads(json.dumps(grafana.Dashboard.from_json(made), cls=JSONEncoder))


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where `after` lacks something of `before`, or says something else."""
    if isinstance(before, dict):
        for key, value in before.items():
            inner = f"{path}.{key}"
            if isinstance(after, dict) and key in after:
                yield from lost(value, after[key], inner)
            else:
                yield inner
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            yield from lost(one, other, f"{path}[]")
    elif before != after:
        yield path


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_grafana_knows_every_field(dashboard: Dashboard) -> None:
    made = dashboard.json()
    assert set(lost(made, read_and_written(made))) <= BEYOND


@pytest.mark.parametrize(
    ("place", "key"),
    [("panels.1.options", "colourMode"), ("panels.1.fieldConfig.defaults.custom", "fillOpacty"), ("", "timezoned")],
)
def test_a_misspelt_field_is_noticed(place: str, key: str) -> None:
    made = DASHBOARDS[1].json()
    inner: Any = made
    for step in filter(None, place.split(".")):
        inner = inner[int(step) if step.isdecimal() else step]
    inner[key] = 1
    path = re.sub(r"\.\d+", "[]", f".{place}.{key}" if place else f".{key}")
    assert path in set(lost(made, read_and_written(made)))
