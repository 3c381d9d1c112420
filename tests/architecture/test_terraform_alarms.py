"""The alarms of CloudWatch: of what, at what, and that each leads to its section of the runbook. No provider, no AWS."""

import re
from pathlib import Path
from typing import Any

import pytest
from infra.monitoring.alarm import Links
from infra.monitoring.dashboards import DASHBOARDS

from framegate.kernel.states import Stage
from framegate.pipeline import ALL_QUEUES
from tests.support.runbook import anchor, sections
from tests.support.terraform import ACCOUNT, DIRECTORY, EVENTS, REGION, compute, parsed

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
BALANCER = "app/framegate/0123456789abcdef"
KIND = "aws_cloudwatch_metric_alarm."
QUEUES = {*ALL_QUEUES, EVENTS}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By the name of the resource, with everything that can be watched."""
    computed = compute(
        tmp_path_factory.mktemp("alarms"),
        alarm_topic_arn=TOPIC,
        stuck_after_s=120,
        load_balancer=BALANCER,
        cluster_name="production",
    )
    return {name.removeprefix(KIND): body for name, body in computed.items() if name.startswith(KIND)}


def each(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [alarm for body in made.values() for alarm in ([body] if "alarm_name" in body else body.values())]


def asked(alarm: dict[str, Any]) -> dict[str, tuple[str, dict[str, str]]]:
    """Of an alarm that computes: each metric by its id."""
    found = {query["id"]: query["metric"][0] for query in alarm["metric_query"] if "metric" in query}
    return {id_: (metric["metric_name"], metric["dimensions"]) for id_, metric in found.items()}


def computes(alarm: dict[str, Any]) -> dict[str, str]:
    return {query["id"]: query["expression"] for query in alarm["metric_query"] if "expression" in query}


def test_every_queue_has_alarms_for_standing_still_for_being_behind_and_for_dead_letters(made: dict[str, Any]) -> None:
    assert set(made["stuck"]) == set(made["behind"]) == set(made["dead"]) == QUEUES
    for key in QUEUES:
        name = {"QueueName": f"framegate-{key}"}
        stuck, behind, dead = (made[kind][key] for kind in ("stuck", "behind", "dead"))
        assert computes(stuck) == {"stuck": "IF(age > 120 AND FILL(deleted, 0) == 0, 1, 0)"}
        assert asked(stuck) == {
            "age": ("ApproximateAgeOfOldestMessage", name),
            "deleted": ("NumberOfMessagesDeleted", name),
        }
        assert (behind["metric_name"], behind["dimensions"]) == ("ApproximateAgeOfOldestMessage", name)
        assert behind["threshold"] == (6 * 3600 if key.endswith("-bulk") else 900)
        assert dead["dimensions"] == {"QueueName": f"framegate-{key}-dead"}
        assert (dead["comparison_operator"], dead["threshold"]) == ("GreaterThanThreshold", 0)


def test_the_database_is_watched_for_what_it_runs_out_of(made: dict[str, Any]) -> None:
    found = {
        alarm["metric_name"]: (alarm["comparison_operator"], alarm["threshold"])
        for alarm in (made["storage"], *made["database"].values())
    }
    assert found == {
        "FreeStorageSpace": ("LessThanThreshold", 10 * 2**30),
        "FreeableMemory": ("LessThanThreshold", 512 * 2**20),
        "CPUUtilization": ("GreaterThanThreshold", 90),
        "DatabaseConnections": ("GreaterThanThreshold", 600),
    }


def test_requests_are_watched_also_when_no_pod_takes_them(made: dict[str, Any]) -> None:
    (errors,), (latency,) = made["api_errors"].values(), made["api_latency"].values()
    balancer = {"LoadBalancer": BALANCER}
    assert asked(errors) == {
        "taken": ("RequestCount", balancer),
        "ours": ("HTTPCode_Target_5XX_Count", balancer),
        "its": ("HTTPCode_ELB_5XX_Count", balancer),
    }
    assert computes(errors) == {
        "high": "IF(errors >= 10 AND errors > 0.01 * all, 1, 0)",
        "errors": "FILL(ours, 0) + FILL(its, 0)",
        "all": "FILL(taken, 0) + FILL(its, 0)",
    }
    assert (latency["metric_name"], latency["extended_statistic"], latency["threshold"]) == (
        "TargetResponseTime", "p99", 1,
    )  # fmt: skip


def test_pods_of_every_stage_are_counted_against_what_their_deployment_wants(made: dict[str, Any]) -> None:
    assert set(made["pods"]) == set(Stage)
    for stage, alarm in made["pods"].items():
        of_stage = {"ClusterName": "production", "Namespace": "framegate", "PodName": f"framegate-{stage}"}
        assert asked(alarm) == {"wanted": ("replicas_desired", of_stage), "ready": ("replicas_ready", of_stage)}
        assert computes(alarm) == {"missing": "IF(ready < wanted, 1, 0)"}


def test_what_computes_returns_one_result_and_names_only_what_it_asks_for(made: dict[str, Any]) -> None:
    for alarm in (alarm for alarm in each(made) if "metric_query" in alarm):
        (_,) = [query for query in alarm["metric_query"] if query.get("return_data")]
        ids = {query["id"] for query in alarm["metric_query"]}
        named = set(re.findall(r"\b[a-z]\w*", " ".join(computes(alarm).values())))
        assert named < ids, alarm["alarm_name"]


def test_what_is_not_named_is_not_watched(computed: dict[str, Any]) -> None:
    assert all(computed[KIND + kind] == {} for kind in ("api_errors", "api_latency", "pods"))


def test_every_alarm_and_its_end_are_told(made: dict[str, Any]) -> None:
    assert {alarm["alarm_name"] for alarm in each(made)} >= {"framegate-database-memory", "framegate-inference-pods"}
    for alarm in each(made):
        assert alarm["alarm_actions"] == alarm["ok_actions"] == [TOPIC], alarm["alarm_name"]


def test_every_alarm_says_in_a_sentence_what_it_means_and_leads_to_its_section(made: dict[str, Any]) -> None:
    anchors = {anchor(title): title for title in sections("Alarms of AWS")}
    led_to = set()
    for alarm in each(made):
        sentence, _, address = alarm["alarm_description"].rpartition(" ")
        page, _, section = address.partition("#")
        assert re.fullmatch(r"[A-Z].{30,}[.?]", sentence), alarm["alarm_name"]
        assert len(alarm["alarm_description"]) <= 1024, "AWS takes no more"
        assert page == Links().runbook
        assert section in anchors, alarm["alarm_name"]
        led_to.add(section)
    assert led_to == set(anchors), "a section that no alarm leads to"


def test_the_address_of_the_runbook_can_be_one_that_can_be_clicked(tmp_path: Path) -> None:
    made = compute(tmp_path, runbook_url="https://docs.example.com/runbook")
    address = made[f"{KIND}storage"]["alarm_description"].rpartition(" ")[2]
    assert address == "https://docs.example.com/runbook#awsdatabasestorage"


def test_every_section_says_what_it_means_what_to_look_at_what_to_do_and_where_it_is_drawn(
    made: dict[str, Any],
) -> None:
    drawn = {f"`{board.uid}`, *{panel.title}*" for board in DASHBOARDS for panel in board.panels}
    metrics = {name for alarm in each(made) for name in metrics_of(alarm)}
    for title, text in sections("Alarms of AWS").items():
        parts = dict(re.findall(r"^- \*\*(.+?)\*\* (.+(?:\n  .+)*)$", text, re.MULTILINE))
        assert list(parts) == ["Meaning", "First look", "Fix", "Metric"], title
        where = " ".join(parts["Metric"].split())
        panel = re.search(r"`framegate-.*", where)
        assert panel is None or panel[0] in drawn, title
        named = set(re.findall(r"\*(\w+)\*", where.removesuffix(panel[0] if panel else "")))
        assert named
        assert named <= metrics, title


def metrics_of(alarm: dict[str, Any]) -> set[str]:
    return {alarm["metric_name"]} if "metric_name" in alarm else {name for name, _ in asked(alarm).values()}


def test_every_variable_that_the_runbook_names_exists_and_the_readme_has_every_alarm() -> None:
    text = " ".join(sections("Alarms of AWS").values())
    named = set(re.findall(r"`((?:queue|bulk|late|max|storage|database|latency)_\w+)`", text))
    assert named
    assert named <= set(parsed()["variable"])
    readme = (DIRECTORY / "README.md").read_text("utf-8")
    for ending in ("-stuck", "-behind", "-dead-letters", "-database-storage", "-cpu", "-memory", "-connections"):
        assert f"{ending}`" in readme
    for ending in ("-api-errors", "-latency", "-<stage>-pods"):
        assert f"{ending}`" in readme
