"""The alarms stand on the catalogue, are as generated, and each has its place in the runbook."""

import re
from collections import Counter
from pathlib import Path

import pytest
import typer
import yaml
from infra.monitoring.alarm import Links, Pace
from infra.monitoring.alarms import GROUPS, host
from infra.monitoring.objectives import OBJECTIVES, OURS
from infra.monitoring.routes import INHIBITIONS, RECEIVER
from infra.monitoring.rules import ALARMS, PROMETHEUS, files, main

from framegate.cli import app
from framegate.observability.actions import ACTION_NAMES
from framegate.observability.catalogue import CATALOGUE, Metric
from framegate.settings import ApiSettings, Settings
from framegate.web.problems import KINDS
from tests.support.promql import named
from tests.support.runbook import part, sections

RECORDED = {recording.name: recording for group in GROUPS for recording in group.recordings}
EXPRESSIONS = [*(r.expression for g in GROUPS for r in g.recordings), *(alarm.expression for alarm in ALARMS)]
#: What Prometheus itself says of a target, and what prometheus_client says of a process.
BESIDES = {"up": set[str](), "process_start_time_seconds": set[str]()}
#: Labels that Prometheus gives to targets, and those that recordings add.
ADDED = {"instance", "job", "host", "slo", "process"}


def _labels(metric: Metric) -> dict[str, set[str]]:
    own = set(metric.labels)
    if metric.kind == "histogram":
        return {
            f"{metric.name}_bucket": own | {"le"}, f"{metric.name}_count": own, f"{metric.name}_sum": own,
        }  # fmt: skip
    return {metric.name: own}


SERIES = {name: labels for metric in CATALOGUE for name, labels in _labels(metric).items()} | BESIDES


def _plain(expression: str) -> str:
    return re.sub(r"seconds\((\w+)\)", r"\1", expression)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_name_only_metrics_and_labels_that_exist(expression: str) -> None:
    found = named(_plain(expression))
    assert found.selected
    known = ADDED | {label for name, _ in found.selected for label in SERIES.get(name, ADDED | {"queue", "stage"})}
    for name, labels in found.selected:
        assert name in SERIES or name in RECORDED, name
        if name in SERIES:
            assert labels <= SERIES[name] | ADDED, name
    assert found.grouped <= known | {"field"}


@pytest.mark.parametrize(
    ("expression", "name", "labels"),
    [
        ('sum by (a) (rate(x_total{b="1",c=~"}y"}[5m])) > 0.5', "x_total", {"b", "c"}),
        ("x offset 1d unless on (a) vector(0)", "x", set()),
    ],
)
def test_the_reader_of_expressions_finds_names_and_labels(expression: str, name: str, labels: set[str]) -> None:
    assert named(expression).selected == [(name, labels)]
    assert named(expression).grouped == {"a"}


def test_every_recorded_series_is_used() -> None:
    used = {name for expression in EXPRESSIONS for name, _ in named(_plain(expression)).selected}
    assert set(RECORDED) <= used


def test_what_is_committed_is_what_is_generated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err
    assert main(["--out", str(tmp_path)]) == 0
    (tmp_path / "rules" / "flow.yml").write_text("groups: []\n", "utf-8")
    (tmp_path / "rules" / "forgotten.yml").touch()
    assert main(["--check", "--out", str(tmp_path)]) == 1
    assert "rules/flow.yml, rules/forgotten.yml" in capsys.readouterr().err


def test_names_and_severities_are_unique() -> None:
    assert max(Counter((alarm.name, alarm.severity) for alarm in ALARMS).values()) == 1
    assert all(re.fullmatch(r"Framegate[A-Z]\w+", alarm.name) for alarm in ALARMS)


def test_a_scale_divides_every_duration_and_nothing_else() -> None:
    pace = Pace(60)
    assert pace.expression("rate(x[5m]) > seconds(8h) + 5 and y offset 7d > deriv(z[1h])") == (
        "rate(x[5s]) > 480 + 5 and y offset 168m > deriv(z[1m])"
    )
    assert (pace.span("30s"), Pace(1000).span("30s"), Pace().span("90s")) == ("500ms", "30ms", "90s")
    slow, fast = dict(files(Pace(), Links())), dict(files(pace, Links()))
    undated = [re.sub(r"\d+(\.\d+)?(ms|[smhdw])?\b", "N", "".join(texts.values())) for texts in (slow, fast)]
    assert undated[0] == undated[1]
    for expression in EXPRESSIONS:
        assert re.sub(r'".*?"', "", expression).count("[") == len(re.findall(r"\[\d+[smhdw]\]", expression))


def test_links_lead_to_the_runbook_and_the_dashboard() -> None:
    links = Links("https://docs.example.com/runbook", "https://grafana.example.com")
    annotations = ALARMS[0].rule(Pace(), links)["annotations"]
    assert annotations["runbook_url"] == f"https://docs.example.com/runbook#{ALARMS[0].name.lower()}"
    assert annotations["dashboard"] == f"https://grafana.example.com/d/{ALARMS[0].panel.dashboard}"


def test_refusals_through_our_fault_are_those_with_a_status_from_500() -> None:
    assert set(OURS) == {slug for slug, kind in KINDS.items() if kind.status >= 500 and kind.status != 501}


def test_the_bounds_of_objectives_are_bounds_of_buckets() -> None:
    buckets = {metric.name: {f"{bound}" for bound in metric.buckets} for metric in CATALOGUE}
    for objective in OBJECTIVES:
        for name, bound in re.findall(r'(\w+)_bucket\{.*?le="([\d.]+)"', objective.bad):
            assert bound in buckets[name]


def test_a_full_disk_is_one_on_which_uploads_are_refused() -> None:
    assert ApiSettings.model_fields["min_free_mb"].default * 1024**2 == host.MIN_FREE


def test_what_inhibits_and_what_is_inhibited_exists() -> None:
    names = {alarm.name for alarm in ALARMS} | {".+"}
    for inhibition in INHIBITIONS:
        assert {*inhibition.because, *inhibition.quiet} <= names
        pages = {alarm.name for alarm in ALARMS if alarm.severity == "page"} | {".+"}
        hushes_pages = set(inhibition.quiet) & pages and not inhibition.quiet_matchers
        assert not hushes_pages or set(inhibition.because) <= pages, "a ticket never keeps back a page"


def test_the_receiver_is_filled_in_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("webhook_configs: [{url: 'https://example.com/'}]", "utf-8")
    assert main(["--out", str(tmp_path), "--receiver", str(tmp_path / "mine.yml")]) == 0
    (receiver,) = yaml.safe_load((tmp_path / "alertmanager.yml").read_text("utf-8"))["receivers"]
    assert receiver == {"name": RECEIVER, "webhook_configs": [{"url": "https://example.com/"}]}


def test_prometheus_of_the_compose_file_loads_the_rules_and_names_the_alertmanager() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    assert config["rule_files"] == ["rules/*.yml"]
    assert config["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["alertmanager:9093"]}]


def test_the_operators_object_has_the_same_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--operator"]) == 0
    groups = yaml.safe_load(capsys.readouterr().out)["spec"]["groups"]
    committed = [group for path in (PROMETHEUS / "rules").glob("*") for group in _groups(path)]
    assert sorted(groups, key=str) == sorted(committed, key=str)


def _groups(path: Path) -> list[dict[str, object]]:
    groups: list[dict[str, object]] = yaml.safe_load(path.read_text("utf-8"))["groups"]
    return groups


def test_every_alarm_has_its_section_in_the_runbook_and_no_section_is_without_an_alarm() -> None:
    texts = sections("Alarms")
    assert set(texts) == {alarm.name for alarm in ALARMS}
    for name, text in texts.items():
        parts = re.findall(r"^- \*\*(.+?)\*\* (.+(?:\n  .+)*)$", text, re.MULTILINE)
        assert [title for title, _ in parts] == ["Meaning", "First look", "Fix", "Panel"], name
        assert text.count("**") == 2 * len(parts), name
        panels = {f"`{alarm.panel.dashboard}`, *{alarm.panel.title}*" for alarm in ALARMS if alarm.name == name}
        assert {parts[-1][1]} == panels, name


@pytest.mark.parametrize("title", ["Alarms of AWS", "Alarms"])
def test_commands_metrics_settings_and_actions_that_the_runbook_names_for_alarms_exist(title: str) -> None:
    text = part(title)
    top = typer.main.get_group(app)
    context = typer.Context(top)
    commands = re.findall(r"`framegate\s+([a-z][a-z-]*)(?:\s+([a-z][a-z-]*))?", text)
    assert commands
    for name, below in commands:
        assert name in top.list_commands(context), name
        command = top.get_command(context, name)
        if isinstance(command, typer.core.TyperGroup):
            assert below in command.list_commands(typer.Context(command)), f"{name} {below}"
    assert set(re.findall(r"\bframegate_\w+", text)) <= {metric.name for metric in CATALOGUE}
    assert set(re.findall(r'action="(\w+)"', text)) <= ACTION_NAMES
    assert set(re.findall(r"\bFRAMEGATE_\w+", text)) <= {name for name, _, _ in Settings().describe()}
    assert set(re.findall(r"\bFramegate[A-Z]\w+", text)) <= {alarm.name for alarm in ALARMS}
