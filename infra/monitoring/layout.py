"""Dashboards: rows of panels, laid out in Grafana's 24 columns, with variables and links to each other."""

from dataclasses import dataclass
from typing import Any, Final

from infra.monitoring.alarm import Links
from infra.monitoring.panels import SOURCE, Panel

from framegate.observability.catalogue import Metric

COLUMNS: Final = 24
TAG: Final = "framegate"
#: That of Grafana 11.6; newer ones bring it up to theirs when they load it.
SCHEMA: Final = 41
#: Where what to do about each alarm is written; another address is given to the generator.
RUNBOOK: Final = Links().runbook
_ALL: Final = {"selected": True, "text": ["All"], "value": ["$__all"]}

Variable = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """Panels from left to right; what does not fit begins a new line."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`uid` is also the name of its file."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All of them, in order."""
        return tuple(panel for row in self.rows for panel in row.panels)

    def json(self) -> dict[str, Any]:
        """What Grafana loads."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "timezone": "browser",
            "editable": False,
            "graphTooltip": 1,  # one crosshair for all panels
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "schemaVersion": SCHEMA,
            "annotations": {"list": [_alarms()]},
            "templating": {"list": [_source(), *self.variables]},
            "links": _links(),
            "panels": _placed(self.rows),
        }


def _placed(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    placed: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        placed.append(
            {
                "id": len(placed) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
                "panels": [],
            }
        )
        y += 1
        x = height = 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            placed.append(panel.json(len(placed) + 1, x, y))
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return placed


def _source() -> Variable:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Prometheus",
        "query": "prometheus",
        "current": {"selected": True, "text": "Prometheus", "value": "prometheus"},
        "refresh": 1,
    }


def chosen(name: str, label: str, values: tuple[str, ...]) -> Variable:
    """A variable whose values never change."""
    options = [{"selected": False, "text": value, "value": value} for value in values]
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "query": ",".join(values),
        "options": options,
        **_many(),
    }


def found(name: str, label: str, metric: Metric, suffix: str = "") -> Variable:
    """A variable with the values that the label `name` of `metric` has at present."""
    if name not in metric.labels:
        raise ValueError(f"{metric.name} has no label {name}")
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": {"qryType": 1, "query": f"label_values({metric.name}{suffix}, {name})", "refId": name},
        "refresh": 2,  # whenever the time range changes
        "sort": 1,
        **_many(),
    }


def _many() -> dict[str, Any]:
    return {"multi": True, "includeAll": True, "allValue": ".*", "current": _ALL}


def _alarms() -> dict[str, Any]:
    return {
        "name": "Alarms",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing"}',
        "step": "30s",
        "titleFormat": "{{alertname}}",
        "tagKeys": "severity",
    }


def _links() -> list[dict[str, Any]]:
    """To the other dashboards, which keep the time and the variables, and to the runbook."""
    return [
        {
            "type": "link",
            "title": "Runbook",
            "url": RUNBOOK,
            "tags": [],
            "icon": "doc",
            "tooltip": "What to do about each alarm",
            "asDropdown": False,
            "includeVars": False,
            "keepTime": False,
            "targetBlank": True,
        },
        {
            "type": "dashboards",
            "title": "Framegate",
            "tags": [TAG],
            "icon": "external link",
            "tooltip": "",
            "asDropdown": False,
            "includeVars": True,
            "keepTime": True,
            "targetBlank": False,
        },
    ]
