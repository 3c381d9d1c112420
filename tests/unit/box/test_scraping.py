import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from framegate.box import scraping
from framegate.box.scraping import ScrapeTargets, configuration, targets
from framegate.kernel.errors import DependencyUnavailable
from framegate.ports.store import WorkerStatus


def status(name: str, port: int | None, *stages: str) -> WorkerStatus:
    return WorkerStatus(f"box/{name}", stages, True, "", 0.5, port)


def written(data: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((data / "prometheus/targets.json").read_text("utf-8"))
    return found


def test_every_process_that_has_a_port_is_one_target() -> None:
    assert targets([status("gate", 4001, "gate", "sweep"), status("api", None, "ingest")], "127.0.0.1") == [
        {"targets": ["127.0.0.1:4001"], "labels": {"process": "gate", "stage": "gate+sweep"}}
    ]
    assert targets([status("api", 4001, "ingest")], "::1")[0]["targets"] == ["[::1]:4001"]


def test_the_targets_follow_the_processes_and_are_gone_with_the_box(tmp_path: Path) -> None:
    alive = [status("api", 4001, "ingest")]
    looking = ScrapeTargets(tmp_path, "0.0.0.0", lambda: alive, 4000)  # noqa: S104 (as asked for)
    with looking:
        looking.look()
        own = {"targets": ["127.0.0.1:4000"], "labels": {"process": "supervisor"}}
        assert written(tmp_path)[0] == own
        assert [each["targets"] for each in written(tmp_path)[1:]] == [["127.0.0.1:4001"]]
        alive = [status("api", 4002, "ingest"), status("gate", 4003, "gate")]
        looking.look()
        assert [each["targets"] for each in written(tmp_path)[1:]] == [["127.0.0.1:4002"], ["127.0.0.1:4003"]]
    assert written(tmp_path) == []


def test_what_is_known_stays_while_the_database_is_away(tmp_path: Path) -> None:
    answers = [[status("api", 4001, "ingest")]]
    looking = ScrapeTargets(tmp_path, "127.0.0.1", lambda: answers.pop() if answers else unavailable(), 4000)

    def unavailable() -> list[WorkerStatus]:
        raise DependencyUnavailable

    (tmp_path / "prometheus").mkdir()
    looking.look()
    with pytest.raises(DependencyUnavailable):
        looking.look()
    assert len(written(tmp_path)) == 2


def test_a_file_that_did_not_change_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "prometheus").mkdir()
    looking = ScrapeTargets(tmp_path, "127.0.0.1", lambda: [status("api", 4001, "ingest")], 4000)
    looking.look()
    (tmp_path / "prometheus/targets.json").unlink()
    looking.look()
    assert not (tmp_path / "prometheus/targets.json").exists()


def test_the_rules_are_read_where_there_are_some(tmp_path: Path) -> None:
    assert yaml.safe_load(configuration(tmp_path))["rule_files"] == []
    assert yaml.safe_load(configuration(scraping._RULES))["rule_files"] == [f"{scraping._RULES}/*.yml"]
    assert len(list(scraping._RULES.glob("*.yml"))) > 1


def test_a_metrics_own_stage_is_kept() -> None:
    (job,) = yaml.safe_load(configuration(scraping._RULES))["scrape_configs"]
    assert job["honor_labels"] is True
