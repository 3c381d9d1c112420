"""Grafana's dashboards are what the generator makes, and readable: each panel says what it shows and what to do about it."""

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra.monitoring import dashboards, expressions
from infra.monitoring.dashboards import DASHBOARDS
from infra.monitoring.layout import COLUMNS, RUNBOOK, Dashboard
from infra.monitoring.panels import UNITS, Panel, lines
from infra.monitoring.rules import ALARMS

from framegate.observability.catalogue import BATCH_IMAGES, CATALOGUE, IN_FLIGHT, STAGE_SECONDS, UPLOAD_BYTES
from tests.support.compose import ROOT
from tests.support.kubernetes import kustomize

PANELS = [
    pytest.param(dashboard, panel, id=f"{dashboard.uid}: {panel.title}")
    for dashboard in DASHBOARDS
    for panel in dashboard.panels
]


def placed(dashboard: Dashboard) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dashboard.json()["panels"]
    return found


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    at = panel["gridPos"]
    return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}


def test_the_files_are_what_the_generator_makes() -> None:
    command = [sys.executable, "-m", "infra.monitoring.dashboards", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_changed_file_and_a_left_over_one_are_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path)]
    assert dashboards.main(out) == 0
    assert dashboards.main([*out, "--check"]) == 0
    (tmp_path / "old.json").write_text("{}")
    (tmp_path / "framegate-slos.json").write_text("{}")
    assert dashboards.main([*out, "--check"]) == 1
    assert "framegate-slos.json, old.json" in capsys.readouterr().err
    assert dashboards.main(out) == 0
    assert not (tmp_path / "old.json").exists()


def test_links_lead_to_the_runbook_that_is_given(tmp_path: Path) -> None:
    assert dashboards.main(["--out", str(tmp_path), "--runbook", "https://docs.example.com/runbook"]) == 0
    text = (tmp_path / "framegate-pipeline.json").read_text("utf-8")
    assert '"url": "https://docs.example.com/runbook"' in text
    assert '"url": "https://docs.example.com/runbook#${__value.raw}"' in text
    assert RUNBOOK not in text


def test_every_alarm_leads_to_a_panel_that_exists() -> None:
    titles = {(dashboard.uid, panel.title) for dashboard in DASHBOARDS for panel in dashboard.panels}
    missing = {(alarm.panel.dashboard, alarm.panel.title) for alarm in ALARMS} - titles
    assert not missing


def test_a_cluster_gets_every_dashboard() -> None:
    docs = list(yaml.safe_load_all(kustomize(ROOT / "infra/grafana")))
    assert {doc["kind"] for doc in docs} == {"ConfigMap"}
    assert {doc["metadata"]["labels"]["grafana_dashboard"] for doc in docs} == {"1"}
    given = {name: text for doc in docs for name, text in doc["data"].items()}
    assert given == dashboards.files(RUNBOOK)
    assert all(len(text) < 2**20 for text in given.values()), "more than a ConfigMap holds"


def test_every_metric_of_the_catalogue_is_on_a_dashboard() -> None:
    shown = {m for d in DASHBOARDS for panel in d.panels for q in panel.queries for m in q.expression.metrics}
    ours = {metric.name for metric in CATALOGUE if metric.source != "client"}
    assert ours <= {metric.name for metric in shown}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
class TestDashboard:
    def test_no_two_panels_overlap_and_none_leaves_the_grid(self, dashboard: Dashboard) -> None:
        for panel in placed(dashboard):
            at = panel["gridPos"]
            assert at["x"] >= 0
            assert at["w"] > 0
            assert at["h"] > 0
            assert at["x"] + at["w"] <= COLUMNS, panel["title"]
        for one, other in combinations(placed(dashboard), 2):
            assert not cells(one) & cells(other), f"{one['title']} lies on {other['title']}"

    def test_rows_are_filled_to_the_right(self, dashboard: Dashboard) -> None:
        by_line: dict[int, int] = {}
        for panel in placed(dashboard):
            at = panel["gridPos"]
            for y in range(at["y"], at["y"] + at["h"]):
                by_line[y] = by_line.get(y, 0) + at["w"]
        ragged = {y: width for y, width in by_line.items() if width != COLUMNS}
        repeated = any("repeat" in panel for panel in placed(dashboard))
        assert not ragged or repeated, f"{dashboard.uid}: {ragged}"

    def test_numbers_of_panels_and_titles_of_rows_are_unique(self, dashboard: Dashboard) -> None:
        numbers = [panel["id"] for panel in placed(dashboard)]
        assert len(numbers) == len(set(numbers))
        titles = [row.title for row in dashboard.rows]
        assert len(titles) == len(set(titles))

    def test_variables_that_are_used_are_defined_and_the_other_way_round(self, dashboard: Dashboard) -> None:
        made = dashboard.json()
        panels = json.dumps(made["panels"])
        defined = {variable["name"] for variable in made["templating"]["list"]}
        grafanas = {"__rate_interval", "__range", "__value", "__data", "__url_time_range"}
        used = set(dashboards.VARIABLE.findall(panels)) - grafanas
        assert used == defined

    def test_it_refreshes_in_the_readers_time_zone_and_leads_to_the_others(self, dashboard: Dashboard) -> None:
        made = dashboard.json()
        assert (made["timezone"], made["refresh"]) == ("browser", "10s")
        (link,) = [link for link in made["links"] if link["type"] == "dashboards"]
        assert link["tags"] == made["tags"]
        assert link["keepTime"]


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
class TestPanel:
    def test_it_says_what_it_shows_and_what_to_do(self, dashboard: Dashboard, panel: Panel) -> None:
        assert panel.title
        for query in panel.queries:
            for metric in query.expression.metrics:
                assert metric.meaning in panel.description
                assert metric.remedy in panel.description
        assert len(panel.description) > 20

    def test_it_has_one_unit_and_every_curve_a_name_of_its_own(self, dashboard: Dashboard, panel: Panel) -> None:
        if panel.kind == "text":
            return
        assert panel.unit in UNITS.values() or panel.unit.startswith("count:")
        names = [query.legend_format for query in panel.queries]
        assert len(set(names)) == len(names)
        assert all(names) or panel.kind == "heatmap"
        if panel.kind == "table":
            return
        for query in panel.queries:
            for label in query.expression.by:
                unnamed = f"{panel.title}: curves that differ in {label} have the same name"
                assert "{{" + label + "}}" in query.legend_format or panel.kind == "heatmap", unnamed


def test_expressions_of_what_does_not_exist_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="has no label camera"):
        expressions.rate(STAGE_SECONDS, "camera")
    with pytest.raises(ValueError, match="has no label camera"):
        expressions.rate(STAGE_SECONDS, camera="dock-1")
    with pytest.raises(ValueError, match="is a gauge"):
        expressions.rate(IN_FLIGHT)
    with pytest.raises(ValueError, match="is a histogram"):
        expressions.total(STAGE_SECONDS)
    with pytest.raises(ValueError, match="is a histogram of bytes"):
        expressions.busy(UPLOAD_BYTES)
    with pytest.raises(ValueError, match="no rule records"):
        expressions.recorded("framegate:slo_good:ratio5m", "ratio")
    with pytest.raises(ValueError, match="no common labels"):
        expressions.rate(STAGE_SECONDS, "stage") / expressions.rate(STAGE_SECONDS)
    with pytest.raises(ValueError, match="one unit"):
        _ = lines("Mixed", expressions.mean(BATCH_IMAGES), expressions.mean(STAGE_SECONDS)).unit


def test_expressions_are_written_as_prometheus_reads_them() -> None:
    work = {"stage": "gate"}
    assert expressions.p(0.99, STAGE_SECONDS, "stage", **work).text == (
        'histogram_quantile(0.99, sum by (le, stage) (rate(framegate_stage_seconds_bucket{stage="gate"}[$__rate_interval])))'
    )
    assert expressions.mean(BATCH_IMAGES, stage="$stage").text == (
        'sum(rate(framegate_batch_images_sum{stage=~"$stage"}[$__rate_interval]))'
        ' / sum(rate(framegate_batch_images_count{stage=~"$stage"}[$__rate_interval]))'
    )
    assert expressions.most(IN_FLIGHT, "stage").text == "max by (stage) (framegate_in_flight)"
