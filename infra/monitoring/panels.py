"""Panels as Grafana 11.6 and newer read them. What a panel says of itself comes from the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from string import ascii_uppercase
from typing import Any, Final, Literal

from infra.monitoring.expressions import Expression

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"

#: The catalogue's units in Grafana's words. What is counted is shown as it is: 3 images, 1.2 K images/s.
UNITS: Final = {
    "seconds": "s",
    "bytes": "bytes",
    "bytes/s": "Bps",
    "ratio": "percentunit",
    "flag": "bool_yes_no",
    "watts": "watt",
    "celsius": "celsius",
    "info": "count:processes",
}

Kind = Literal["timeseries", "stat", "heatmap", "table", "bargauge", "text"]
Step = tuple[float, str]  #: from this value on, this colour


@dataclass(frozen=True, slots=True)
class Query:
    """`empty_ok`: why it may answer nothing though the pipeline works; only what never happens in good order has one."""

    expression: Expression
    legend: str = ""
    empty_ok: str = ""
    instant: bool = False  #: asked for now alone, because it looks back so far that a curve of it would cost much

    @property
    def legend_format(self) -> str:
        """The labels of the result where nothing else was said."""
        return self.legend or " ".join(f"{{{{{label}}}}}" for label in self.expression.by)


@dataclass(frozen=True, slots=True)
class Panel:
    """Made by the functions below."""

    kind: Kind
    title: str
    queries: tuple[Query, ...]
    width: int
    height: int
    options: dict[str, Any]
    custom: dict[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    base: str = GREEN
    limits: dict[str, float] = field(default_factory=dict)
    mappings: tuple[dict[str, Any], ...] = ()
    overrides: tuple[dict[str, Any], ...] = ()
    transformations: tuple[dict[str, Any], ...] = ()
    more: str = ""  #: said before what the catalogue says
    no_value: str = ""
    repeat: str = ""  #: one panel for each value of this variable

    @property
    def unit(self) -> str:
        """In Grafana's words. Raises ValueError when the queries have none in common."""
        units = {query.expression.unit for query in self.queries}
        if len(units) != 1:
            raise ValueError(f"{self.title}: one panel has one unit, not {sorted(units)}")
        (unit,) = units
        return UNITS.get(unit, f"count:{unit}")

    @property
    def description(self) -> str:
        """What each metric means and what to do about it."""
        metrics = dict.fromkeys(metric for query in self.queries for metric in query.expression.metrics)
        notes = dict.fromkeys(query.expression.note for query in self.queries if query.expression.note)
        said = [f"`{m.name}`: {m.meaning}.\n\n**What to do:** {m.remedy}." for m in metrics]
        return "\n\n".join([*([self.more] if self.more else []), *notes, *said])

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """As it stands in a dashboard, in that place of the grid."""
        common = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "options": self.options,
        }
        if self.kind == "text":
            return common
        return {
            **common,
            "datasource": SOURCE,
            "fieldConfig": {"defaults": self._defaults(), "overrides": list(self.overrides)},
            "targets": [self._target(ascii_uppercase[i], query) for i, query in enumerate(self.queries)],
            **({"transformations": list(self.transformations)} if self.transformations else {}),
            **({"repeat": self.repeat, "repeatDirection": "h", "maxPerRow": 3} if self.repeat else {}),
        }

    def _defaults(self) -> dict[str, Any]:
        steps = [{"color": self.base, "value": None}, *({"color": colour, "value": at} for at, colour in self.steps)]
        by_threshold = self.kind in ("stat", "bargauge")
        return {
            "unit": self.unit,
            "color": {"mode": "thresholds" if by_threshold else "palette-classic"},
            "thresholds": {"mode": "absolute", "steps": steps},
            "custom": self.custom,
            "mappings": list(self.mappings),
            **self.limits,
            **({"noValue": self.no_value} if self.no_value else {}),
        }

    def _target(self, ref: str, query: Query) -> dict[str, Any]:
        instant = query.instant or self.kind in ("table", "bargauge")
        shape = {"table": "table", "heatmap": "heatmap"}.get(self.kind, "time_series")
        return {
            "refId": ref,
            "datasource": SOURCE,
            "editorMode": "code",
            "expr": query.expression.text,
            "legendFormat": "{{le}}" if query.expression.buckets else query.legend_format,
            "format": shape,
            "instant": instant,
            "range": not instant,
            # Only observations have traces, and a table has no place for them.
            "exemplar": self.kind in ("timeseries", "heatmap") and query.expression.observed,
        }


def _queries(queries: Sequence[Query | Expression]) -> tuple[Query, ...]:
    return tuple(query if isinstance(query, Query) else Query(query) for query in queries)


def lines(
    title: str,
    *queries: Query | Expression,
    width: int = 8,
    height: int = 8,
    stacked: Literal["none", "normal", "percent"] = "none",
    steps: tuple[Step, ...] = (),
    base: str = GREEN,
    top: float | None = None,
    log: bool = False,
    more: str = "",
) -> Panel:
    """Curves over time. `steps` are drawn as bands, `top` is the end of the axis."""
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 10 if stacked == "none" else 40,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": stacked},
        "thresholdsStyle": {"mode": "area" if steps else "off"},
        "scaleDistribution": {"type": "log", "log": 10} if log else {"type": "linear"},
    }
    options = {
        "legend": {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    limits = {"min": 0.0, **({} if top is None else {"max": top})}
    made = _queries(queries)
    if any(query.expression.unit == "psi" for query in made) or log:
        limits.pop("min")  # a corrected score may be a little below 0
    return Panel(
        "timeseries", title, made, width, height, options, custom, steps, base, {} if log else limits, more=more
    )


def _reduced(values: bool = False) -> dict[str, Any]:
    return {"calcs": ["lastNotNull"], "fields": "", "values": values}


def stat(
    title: str,
    *queries: Query | Expression,
    steps: tuple[Step, ...] = (),
    base: str = GREEN,
    width: int = 4,
    height: int = 4,
    more: str = "",
    no_value: str = "",
) -> Panel:
    """The present value, on the colour of the step that it has reached."""
    options = {
        "reduceOptions": _reduced(),
        "colorMode": "background" if steps else "value",
        "graphMode": "none" if any(query.instant for query in _queries(queries)) else "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto" if len(queries) == 1 and not _queries(queries)[0].expression.by else "value_and_name",
        "wideLayout": True,
        "showPercentChange": False,
    }
    made = _queries(queries)
    base = base if steps else "text"
    return Panel("stat", title, made, width, height, options, {}, steps, base, more=more, no_value=no_value)


def bars(
    title: str,
    *queries: Query | Expression,
    steps: tuple[Step, ...] = (),
    base: str = BLUE,
    width: int = 8,
    height: int = 8,
    more: str = "",
) -> Panel:
    """One bar for each series, over the whole range of the page."""
    options = {
        "reduceOptions": _reduced(),
        "displayMode": "basic",
        "orientation": "horizontal",
        "valueMode": "color",
        "namePlacement": "auto",
        "sizing": "auto",
        "showUnfilled": True,
        "minVizWidth": 8,
        "minVizHeight": 16,
        "maxVizHeight": 300,
    }
    made = _queries(queries)
    return Panel("bargauge", title, made, width, height, options, {}, steps, base, {"min": 0.0}, more=more)


def heatmap(title: str, query: Query | Expression, *, width: int = 8, height: int = 8, more: str = "") -> Panel:
    """How a histogram's observations are spread, over time; points are exemplars, which lead to their traces."""
    (made,) = _queries([query])
    unit = UNITS.get(made.expression.unit, f"count:{made.expression.unit}")
    options = {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "short"},
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "fill": "dark-orange",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
        },
        "exemplars": {"color": "rgba(31,120,193,0.9)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    custom = {"scaleDistribution": {"type": "linear"}}
    return Panel("heatmap", title, (made,), width, height, options, custom, more=more)


def table(
    title: str,
    query: Query | Expression,
    *,
    value: str,
    columns: dict[str, str],
    lower: str = "",
    link: tuple[str, str, str] | None = None,
    steps: tuple[Step, ...] = (),
    width: int = 12,
    height: int = 8,
    more: str = "",
    no_value: str = "",
) -> Panel:
    """Rows of labels. `columns`: label to heading, in order; `value` heads the value; `link`: column, text, address.

    `lower`: the label that is written in lower case, as anchors of pages are.
    """
    shown = {**columns, "Value": value}
    organize = {
        "id": "organize",
        "options": {
            "excludeByName": {"Time": True},
            "indexByName": {name: place for place, name in enumerate(shown)},
            "renameByName": shown,
        },
    }
    lowered = {"id": "formatString", "options": {"stringField": lower, "outputFormat": "Lower Case"}}
    overrides = []
    if link:
        column, text, address = link
        told = {"title": text, "url": address, "targetBlank": True}
        overrides = [{"matcher": {"id": "byName", "options": column}, "properties": [{"id": "links", "value": [told]}]}]
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True, "inspect": False}
    options = {"showHeader": True, "cellHeight": "sm"}
    panel = Panel("table", title, _queries([query]), width, height, options, custom, steps, more=more)
    return replace(
        panel,
        overrides=tuple(overrides),
        transformations=(lowered, organize) if lower else (organize,),
        no_value=no_value,
    )


def text(title: str, content: str, *, width: int = 24, height: int = 4) -> Panel:
    """Words, in Markdown."""
    options = {"mode": "markdown", "content": content}
    return Panel("text", title, (), width, height, options, more=content)
