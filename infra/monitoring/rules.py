"""Writes the rules and the routes of alarms, from the data beside it.

`python -m infra.monitoring.rules` writes infra/prometheus: rules/*.yml and alertmanager.yml. With options:

--check                            write nothing, fail when these are not current
--out DIR                          write there
--runbook URL --grafana URL        with addresses that can be clicked
--receiver FILE                    with what Alertmanager's receiver is made of, such as `slack_configs`
--scale 60                         every duration divided by so much, for a drill
--operator                         print a PrometheusRule for the Prometheus operator
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from infra.monitoring.alarm import EVERY_S, Alarm, Group, Links, Pace
from infra.monitoring.alarms import GROUPS
from infra.monitoring.routes import alertmanager

PROMETHEUS: Final = Path(__file__).parents[1] / "prometheus"
ALARMS: Final[tuple[Alarm, ...]] = tuple(alarm for group in GROUPS for alarm in group.alarms)
_LINKS: Final = Links()
_HEAD: Final = "# Generated: python -m infra.monitoring.rules\n"


class _Dumper(yaml.SafeDumper):
    """Expressions of several lines as they were written."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, "|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def dumped(data: Any) -> str:
    """As YAML that people can read, in the order of the data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


def group_rules(group: Group, pace: Pace, links: Links) -> dict[str, Any]:
    """As a group of a rule file."""
    rules = [recording.rule(pace) for recording in group.recordings]
    rules += [alarm.rule(pace, links) for alarm in group.alarms]
    return {"name": f"framegate-{group.name}", "interval": pace.written(EVERY_S / pace.scale), "rules": rules}


def files(pace: Pace, links: Links, receiver: Mapping[str, Any] | None = None) -> Iterator[tuple[str, str]]:
    """Path below infra/prometheus, and text."""
    for group in GROUPS:
        yield f"rules/{group.name}.yml", _HEAD + dumped({"groups": [group_rules(group, pace, links)]})
    yield "alertmanager.yml", _HEAD + dumped(alertmanager(pace, receiver or {}))


def prometheus_rule(pace: Pace, links: Links) -> Mapping[str, Any]:
    """The same for the Prometheus operator, which has rules as objects of Kubernetes."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "framegate", "labels": {"app.kubernetes.io/part-of": "framegate"}},
        "spec": {"groups": [group_rules(group, pace, links) for group in GROUPS]},
    }


def _stale(out: Path, pace: Pace, links: Links) -> list[str]:
    """What is not there as it would be written, and what is there though nothing writes it."""
    wanted = dict(files(pace, links))
    differ = [name for name, text in wanted.items() if not _same(out / name, text)]
    return differ + [f"rules/{path.name}" for path in (out / "rules").glob("*") if f"rules/{path.name}" not in wanted]


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text("utf-8") == text


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m infra.monitoring.rules")
    parser.add_argument("--out", type=Path, default=PROMETHEUS, help="folder to write to")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file is not current")
    parser.add_argument("--operator", action="store_true", help="print a PrometheusRule instead")
    parser.add_argument("--scale", type=float, default=1.0, help="divides every duration; 1 is the real time")
    parser.add_argument("--runbook", default=_LINKS.runbook, help="address of docs/runbook.md")
    parser.add_argument("--receiver", type=Path, help="YAML with the receiver's entries")
    parser.add_argument("--grafana", default=_LINKS.grafana, help="address of Grafana")
    given = parser.parse_args(arguments)
    pace, links = Pace(given.scale), Links(given.runbook, given.grafana.rstrip("/"))
    if given.operator:
        sys.stdout.write(_HEAD + dumped(prometheus_rule(pace, links)))
        return 0
    if given.check:
        stale = _stale(given.out, pace, links)
        if stale:
            sys.stderr.write(f"not current: {', '.join(stale)}: python -m infra.monitoring.rules\n")
        return bool(stale)
    (given.out / "rules").mkdir(parents=True, exist_ok=True)
    receiver = yaml.safe_load(given.receiver.read_text("utf-8")) if given.receiver else None
    for name, text in files(pace, links, receiver):
        (given.out / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
