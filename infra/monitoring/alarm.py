"""What an alarm and a recorded series are, and how their durations are written at another pace."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

#: page: wake somebody, because images are lost, refused or not decided. ticket: somebody looks at it in working hours.
Severity = Literal["page", "ticket"]

#: How often rules are evaluated, seconds. The counts of events in objectives rest on it.
EVERY_S: Final = 30.0
_UNITS: Final = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
#: Durations in PromQL as written here: ranges `[5m]`, `offset 1d`, and `seconds(8h)`, which becomes a number.
_DURATION: Final = re.compile(
    r"(?P<before>\[|offset )(?P<range>\d+[smhdw])(?P<after>\]?)|seconds\((?P<number>\d+[smhdw])\)"
)


@dataclass(frozen=True, slots=True)
class Pace:
    """`scale` divides every duration that an alarm waits or looks back, so that a drill of minutes stands for days."""

    scale: float = 1.0

    def seconds(self, text: str) -> float:
        """`5m` as seconds at this pace."""
        return int(text[:-1]) * _UNITS[text[-1]] / self.scale

    def span(self, text: str) -> str:
        """`5m` as PromQL writes it at this pace; never below a millisecond."""
        return self.written(self.seconds(text))

    def written(self, seconds: float) -> str:
        """Seconds as a duration of PromQL, in the largest unit that leaves it whole."""
        milliseconds = max(1, round(seconds * 1000))
        for unit, size in _UNITS.items():
            if unit != "w" and milliseconds % (size * 1000) == 0:
                return f"{milliseconds // (size * 1000)}{unit}"
        return f"{milliseconds}ms"

    def expression(self, text: str) -> str:
        """PromQL with every duration at this pace."""

        def replaced(match: re.Match[str]) -> str:
            if number := match["number"]:
                return f"{self.seconds(number):g}"
            return f"{match['before']}{self.span(match['range'])}{match['after']}"

        return _DURATION.sub(replaced, text)


@dataclass(frozen=True, slots=True)
class Panel:
    """Where an alarm's numbers are drawn: the uid of a dashboard, and the title of its panel."""

    dashboard: str
    title: str


@dataclass(frozen=True, slots=True)
class Links:
    """`runbook`: the address of docs/runbook.md; `grafana`: of Grafana, empty for paths within it."""

    runbook: str = "docs/runbook.md"
    grafana: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that Prometheus computes. Names are level:metric:operation, as Prometheus advises."""

    name: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def rule(self, pace: Pace) -> dict[str, Any]:
        """As an entry of a rule file."""
        labels = {"labels": dict(self.labels)} if self.labels else {}
        return {"record": self.name, "expr": pace.expression(self.expression), **labels}


@dataclass(frozen=True, slots=True)
class Alarm:
    """`wait`: for how long the expression must hold. `summary` is a Go template with `$value` and `$labels`.

    Alarms of one name have one section of the runbook; they differ in their severity.
    """

    name: str
    severity: Severity
    expression: str
    wait: str
    summary: str
    panel: Panel
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def anchor(self) -> str:
        """Of its section in the runbook, as code hosts make anchors of headings."""
        return self.name.lower()

    def rule(self, pace: Pace, links: Links) -> dict[str, Any]:
        """As an entry of a rule file."""
        waits = {} if self.wait == "0s" else {"for": pace.span(self.wait)}
        return {
            "alert": self.name,
            "expr": pace.expression(self.expression),
            **waits,
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {
                "summary": self.summary,
                "runbook_url": f"{links.runbook}#{self.anchor}",
                "dashboard": f"{links.grafana}/d/{self.panel.dashboard}",
                "panel": self.panel.title,
            },
        }


@dataclass(frozen=True, slots=True)
class Group:
    """What is evaluated together, in this order: a file of its own."""

    name: str
    recordings: tuple[Recording, ...]
    alarms: tuple[Alarm, ...]


def happened(selector: str, window: str, *by: str) -> str:
    """How much a counter grew within the window, if it did.

    A labelled counter does not exist before its first use, so that its first increase has nothing to be compared with:
    a series that is new counts with all it has. One that was not scraped for less than the window is not new.
    """
    labels = f" by ({', '.join(by)})" if by else ""
    return (
        f"sum{labels} (increase({selector}[{window}])) > 0\n"
        f"or\nsum{labels} ({selector} unless last_over_time({selector}[{window}] offset {window})) > 0"
    )


def by_host(selector: str) -> str:
    """A gauge that every process of a host tells alike, with the host as label."""
    return f'label_replace({selector}, "host", "$1", "instance", "([^:/]+).*")'
