"""Every alarm as promtool evaluates it: in its case it fires, and nothing else does; just outside of it all is quiet."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from infra.monitoring.rules import ALARMS, PROMETHEUS

#: Names and severities of alarms.
Fires = frozenset[tuple[str, str]]
PAGE, TICKET = "page", "ticket"
GPU: Final = 'gpu="0",instance="h:9100"'
DISK: Final = 'volume="data",instance="h:9100"'
TARGET: Final = 'job="framegate",instance="h:9100"'


@dataclass(frozen=True)
class Case:
    """Series in promtool's notation, a value each `step`. `quiet`: what is otherwise where nothing is to fire."""

    name: str
    at: str
    series: Mapping[str, str]
    quiet: Mapping[str, str]
    fires: Fires
    without: tuple[str, ...] = ()  #: series that the quiet case lacks
    step: str = "30s"


def case(
    name: str,
    severity: str,
    at: str,
    series: dict[str, str],
    quiet: dict[str, str],
    *besides: tuple[str, str],
    without: tuple[str, ...] = (),
    step: str = "30s",
) -> Case:
    fires = frozenset({(f"Framegate{name}", severity), *((f"Framegate{other}", how) for other, how in besides)})
    return Case(f"{name}-{severity}", at, series, quiet, fires, without, step)


def objective(name: str, histogram: str, bound: str, labels: str = "") -> list[Case]:
    """A third too slow wakes somebody, three in a hundred are a ticket, one in two hundred is within the objective."""
    count, within = f"{histogram}_count{{{labels}}}", f'{histogram}_bucket{{{labels}{"," * bool(labels)}le="{bound}"}}'
    all_of_them, kept = {count: "0+30x260"}, {within: "0+29.85x260"}
    return [
        case(name, PAGE, "2h", {**all_of_them, within: "0+20x260"}, kept, (name, TICKET)),
        case(name, TICKET, "2h", {**all_of_them, within: "0+29.1x260"}, kept),
    ]


CASES: Final = [
    *objective("AcceptLatency", "framegate_accept_seconds", "0.3"),
    *objective("QueueWait", "framegate_queue_wait_seconds", "1.0", 'stage="gate"'),
    *objective("VerdictLatency", "framegate_accept_to_verdict_seconds", "2.5", 'lane="live"'),
    case(
        "UploadErrors", PAGE, "2h",
        {"framegate_images_accepted_total": "0+30x260", 'framegate_images_refused_total{reason="overloaded"}': "0+15x260"},
        {'framegate_images_refused_total{reason="overloaded"}': "0+0.1x260"}, ("UploadErrors", TICKET),
    ),
    case(
        "UploadErrors", TICKET, "2h",
        {"framegate_images_accepted_total": "0+30x260", 'framegate_images_refused_total{reason="overloaded"}': "0+1x260"},
        {'framegate_images_refused_total{reason="invalid-parameter"}': "0+15x260"},
        without=('framegate_images_refused_total{reason="overloaded"}',),
    ),
    case(
        "StageDown", PAGE, "12m", {'framegate_workers{stage="gate",state="ready"}': "1x10 0x30"},
        {'framegate_workers{stage="inference",state="ready"}': "1x10 0x30"},  # nothing waits for it
        without=('framegate_workers{stage="gate",state="ready"}',),
    ),
    case(
        "StageStalled", PAGE, "10m",
        {
            'framegate_queue_oldest_seconds{queue="frame-prepared-live"}': "0+30x40",
            'framegate_queue_ready_messages{queue="frame-prepared-live"}': "1x40",
        },
        {'framegate_images_settled_total{stage="inference"}': "0+10x40"},
    ),
    case(
        "StageStalled", PAGE, "10m",
        {
            'framegate_queue_oldest_seconds{queue="frame-prepared-live"}': "0+30x40",
            'framegate_queue_ready_messages{queue="frame-prepared-live"}': "1x40",
        },
        {  # one image is tried again and again, up to a minute apart
            'framegate_queue_ready_messages{queue="frame-prepared-live"}': "1 0 1 0 0x20 1 0x20",
            'framegate_queue_delayed_messages{queue="frame-prepared-live"}': "0 1 0 1 1x20 0 1x20",
        },
    ),
    case(
        "QueueBehind", TICKET, "25m",
        {
            'framegate_queue_oldest_seconds{queue="frame-prepared-live"}': "0+30x60",
            'framegate_queue_ready_messages{queue="frame-prepared-live"}': "9x60",
            'framegate_images_settled_total{stage="inference"}': "0+10x60",
        },
        {'framegate_queue_oldest_seconds{queue="frame-prepared-live"}': "280x60"},
    ),
    case(
        "QueueBehind", TICKET, "25m",
        {
            'framegate_queue_oldest_seconds{queue="frame-prepared-live"}': "0+30x60",
            'framegate_queue_ready_messages{queue="frame-prepared-live"}': "9x60",
            'framegate_images_settled_total{stage="inference"}': "0+10x60",
        },
        {'framegate_queue_ready_messages{queue="frame-prepared-live"}': "9x30 0 9x29"},  # the old one is tried again
    ),
    case(
        "RequestsFailing", TICKET, "5m", {'framegate_http_responses_total{route="/v1/images",status="500"}': "_x5 1x20"},
        {'framegate_http_responses_total{route="/v1/images",status="503"}': "_x5 1x20"},
        without=('framegate_http_responses_total{route="/v1/images",status="500"}',),
    ),
    case(
        "BreakerOpen", PAGE, "6m", {'framegate_breaker_open{stage="gate",instance="a"}': "1x20"},
        {'framegate_breaker_open{stage="gate",instance="b"}': "0x20"},
    ),
    case(
        "ImagesMissing", PAGE, "5m", {'framegate_images{end="lost"}': "0x4 1x20"}, {'framegate_images{end="lost"}': "0x24"}
    ),
    case(
        "ImagesFailing", TICKET, "5m",
        {'framegate_outcomes_total{state="failed"}': "0x5 1x20", 'framegate_outcomes_total{state="decided"}': "0+100x30"},
        {'framegate_outcomes_total{state="failed"}': "0x30"},
    ),
    case(
        "ImagesFailing", PAGE, "20m",
        {'framegate_outcomes_total{state="failed"}': "0+2x60", 'framegate_outcomes_total{state="decided"}': "0+10x60"},
        {'framegate_outcomes_total{state="failed"}': "0x60"}, ("ImagesFailing", TICKET),
    ),
    case(
        "DeadLetters", TICKET, "4m", {'framegate_dead_letters_waiting{queue="frame-prepared-live"}': "2x20"},
        {'framegate_dead_letters_waiting{queue="frame-prepared-live"}': "0x20"},
    ),
    case(
        "AttemptsFailing", TICKET, "25m",
        {
            'framegate_attempts_ended_total{stage="gate",ending="error"}': "0+1x60",
            'framegate_messages_received_total{stage="gate"}': "0+10x60",
        },
        {'framegate_messages_received_total{stage="gate"}': "0+30x60"},
    ),
    case(
        "MessagesLost", TICKET, "60m",
        {'framegate_images_reissued_total{state="received"}': "0+1x140", "framegate_images_accepted_total": "0+10x140"},
        {"framegate_images_accepted_total": "0+200x140"},
    ),
    case(
        "CameraSilent", TICKET, "4m", {'framegate_camera_faults{fault="silent"}': "1x20"},
        {'framegate_camera_faults{fault="silent"}': "0x20"},
    ),
    case(
        "CameraFault", TICKET, "4m", {'framegate_camera_faults{fault="dark"}': "1x20"},
        {'framegate_camera_faults{fault="dark"}': "0x20"},
    ),
    case(
        "MetadataMissing", TICKET, "26h",
        {
            'framegate_image_metadata_total{field="dock",presence="present"}': "0+100x288 28850+50x26",
            'framegate_image_metadata_total{field="dock",presence="missing"}': "0x288 50+50x26",
        },
        {'framegate_image_metadata_total{field="dock",presence="missing"}': "0+4x314"},  # as often as the day before
        step="5m",
    ),
    case(
        "ImagesRejected", TICKET, "60m",
        {'framegate_outcomes_total{state="rejected"}': "0+1x140", 'framegate_outcomes_total{state="decided"}': "0+5x140"},
        {'framegate_outcomes_total{state="decided"}': "0+30x140"},
    ),
    case(
        "Drift", TICKET, "8m", {'framegate_drift_findings{subject_kind="camera",feature="class"}': "1x20"},
        {'framegate_drift_findings{subject_kind="camera",feature="class"}': "0x20"},
    ),
    case(
        "CanaryRolledBack", TICKET, "8m", {"framegate_canary_rollbacks_total": "0x5 1x20"},
        {"framegate_canary_rollbacks_total": "0x26"},
    ),
    case(
        "ModelLoadFailing", TICKET, "8m", {"framegate_model_load_failures_total": "0x5 1x20"},
        {"framegate_model_load_failures_total": "0x26"},
    ),
    case(
        "ModelsDisagree", TICKET, "40m",
        {
            'framegate_model_info{role="incumbent",model="a@1",instance="1"}': "1x100",
            'framegate_model_info{role="incumbent",model="a@2",instance="2"}': "1x100",
        },
        {'framegate_model_info{role="canary",model="a@2",instance="2"}': "1x100"},
        without=('framegate_model_info{role="incumbent",model="a@2",instance="2"}',),
    ),
    case(
        "EngineFaults", TICKET, "8m", {'framegate_engine_faults_total{model="a@1"}': "_x5 1x20"},
        {'framegate_engine_faults_total{model="a@1"}': "0x26"},
    ),
    case(
        "ChainUnavailable", TICKET, "20m", {'framegate_chain_images_total{result="unavailable"}': "0+1x60"},
        {'framegate_chain_images_total{result="unavailable"}': "0+0.1x60"},
    ),
    case(
        "ReviewBacklog", TICKET, "40m", {"framegate_review_oldest_seconds": "30000x100"},
        {"framegate_review_oldest_seconds": "28000x100"},
    ),
    case(
        "DefectsPass", TICKET, "10m",
        {
            'framegate_review_escape_low_ratio{model="a@1"}': "0.011x40",
            'framegate_model_info{role="incumbent",model="a@1"}': "1x40",
        },
        {'framegate_review_escape_low_ratio{model="a@1"}': "0.01x40"},
    ),
    case(
        "DefectsPass", TICKET, "10m",
        {
            'framegate_review_escape_low_ratio{model="a@1"}': "0.011x40",
            'framegate_model_info{role="canary",model="a@1"}': "1x40",
        },
        {'framegate_model_info{role="incumbent",model="a@2"}': "1x40"},  # it was rolled back
        without=('framegate_model_info{role="canary",model="a@1"}',),
    ),
    case(
        "HookFailing", TICKET, "40m",
        {
            'framegate_hook_attempts_total{kind="webhook",reason="delivered"}': "0+1x100",
            'framegate_hook_attempts_total{kind="webhook",reason="timeout"}': "0+1x100",
        },
        {'framegate_hook_attempts_total{kind="webhook",reason="delivered"}': "0+5x100"},
    ),
    case(
        "HookDead", TICKET, "8m", {'framegate_hook_dead_total{kind="webhook"}': "_x5 1x20"},
        {'framegate_hook_dead_total{kind="webhook"}': "0x26"},
    ),
    case("HooksLate", TICKET, "8m", {"framegate_hook_oldest_seconds": "400x20"}, {"framegate_hook_oldest_seconds": "300x20"}),
    case(
        "AuditUnsealed", TICKET, "8m", {"framegate_audit_unsealed_seconds": "400x20"},
        {"framegate_audit_unsealed_seconds": "300x20"},
    ),
    case(
        "DependencyDown", PAGE, "6m", {'framegate_dependency_errors_total{dependency="database",operation="claim"}': "0+10x20"},
        {'framegate_dependency_errors_total{dependency="database",operation="claim"}': "0+2x20"},
    ),
    case(
        "DependencySlow", TICKET, "15m",
        {
            'framegate_dependency_seconds_bucket{dependency="database",operation="claim",le="1.0"}': "0x40",
            'framegate_dependency_seconds_bucket{dependency="database",operation="claim",le="2.5"}': "0+10x40",
            'framegate_dependency_seconds_bucket{dependency="database",operation="claim",le="+Inf"}': "0+10x40",
            'framegate_dependency_seconds_count{dependency="database",operation="claim"}': "0+10x40",
        },
        {'framegate_dependency_seconds_bucket{dependency="database",operation="claim",le="1.0"}': "0+10x40"},
    ),
    case(
        "TargetDown", TICKET, "25m",
        {f"up{{{TARGET}}}": "1x10 0x60", f'framegate_build_info{{{TARGET},stage="gate"}}': "1x10 _x60"},
        {f"up{{{TARGET}}}": "1x70", f'framegate_build_info{{{TARGET},stage="gate"}}': "1x70"},
        ("StageDown", PAGE),  # no other process of the stage is left; Alertmanager tells of the stage
    ),
    case(
        "RestartLoop", TICKET, "8m",
        {
            f"process_start_time_seconds{{{TARGET}}}": "100 200 300 400x20",
            f'framegate_build_info{{{TARGET},stage="gate"}}': "1x30",
            f'framegate_build_info{{{TARGET},stage="sweep"}}': "1x30",
        },
        {f"process_start_time_seconds{{{TARGET}}}": "100 200 300x20"},
    ),
    case(
        "RestartLoop", TICKET, "20m",  # of a box: under its supervisor's word, whatever ports it had
        {
            'framegate_process_starts_total{job="framegate",instance="h:4100",process="gate"}': "1x30 2 3 4x40",
            'process_start_time_seconds{job="framegate",instance="h:4101",process="gate"}': "100x31 _x40",
            'process_start_time_seconds{job="framegate",instance="h:4102",process="gate"}': "_x32 200x40",
        },
        {'framegate_process_starts_total{job="framegate",instance="h:4100",process="gate"}': "1x30 2 3x40"},
    ),
    case(
        "RestartLoop", TICKET, "2m",  # from the box's start on: the first scrape comes when it has begun already
        {'framegate_process_starts_total{job="framegate",instance="h:4100",process="gate"}': "5x10"},
        {'framegate_process_starts_total{job="framegate",instance="h:4100",process="gate"}': "3x10"},
    ),
    case(
        "HousekeepingFailing", TICKET, "12m", {'framegate_housekeeping_failures_total{work="blobs"}': "0+1x40"},
        {'framegate_housekeeping_failures_total{work="blobs"}': "0+0.05x40"},
    ),
    case(
        "RetentionOverdue", TICKET, "40m", {"framegate_retention_overdue_seconds": "90000x100"},
        {"framegate_retention_overdue_seconds": "86000x100"},
    ),
    case(
        "DiskFull", PAGE, "20m",
        {f"framegate_disk_free_bytes{{{DISK}}}": "1000000000x60", f"framegate_disk_size_bytes{{{DISK}}}": "100000000000x60"},
        {f"framegate_disk_free_bytes{{{DISK}}}": "12000000000x60"}, ("DiskLow", TICKET),
    ),
    case(
        "DiskFilling", PAGE, "25m",
        {
            f"framegate_disk_free_bytes{{{DISK}}}": "39000000000-200000000x80",
            f"framegate_disk_size_bytes{{{DISK}}}": "100000000000x80",
        },
        {f"framegate_disk_free_bytes{{{DISK}}}": "39000000000-20000000x80"},
    ),
    case(
        "DiskLow", TICKET, "20m",
        {f"framegate_disk_free_bytes{{{DISK}}}": "9000000000x60", f"framegate_disk_size_bytes{{{DISK}}}": "100000000000x60"},
        {f"framegate_disk_free_bytes{{{DISK}}}": "11000000000x60"},
    ),
    case(
        "MemoryLow", TICKET, "8m", {'framegate_host_memory_available_bytes{instance="h:9100"}': "260000000x20"},
        {'framegate_host_memory_available_bytes{instance="h:9100"}': "270000000x20"},
    ),
    case(
        "GpuIdle", TICKET, "25m",
        {
            f"framegate_gpu_utilization_ratio{{{GPU}}}": "0.1x60",
            'framegate_queue_ready_messages{queue="frame-prepared-live"}': "50x60",
        },
        {'framegate_queue_ready_messages{queue="frame-prepared-live"}': "0x60"},
    ),
    case(
        "GpuOutsideBand", TICKET, "2h", {f"framegate_gpu_utilization_ratio{{{GPU}}}": "0.95x260"},
        {f"framegate_gpu_utilization_ratio{{{GPU}}}": "0.8x260"},
    ),
    case(
        "GpuHot", TICKET, "8m", {f"framegate_gpu_temperature_celsius{{{GPU}}}": "86x20"},
        {f"framegate_gpu_temperature_celsius{{{GPU}}}": "85x20"},
    ),
    case(
        "GpuMemoryFull", TICKET, "20m",
        {f"framegate_gpu_memory_used_bytes{{{GPU}}}": "96x60", f"framegate_gpu_memory_total_bytes{{{GPU}}}": "100x60"},
        {f"framegate_gpu_memory_used_bytes{{{GPU}}}": "95x60"},
    ),
]  # fmt: skip


def verdict_of_promtool(folder: Path, series: Mapping[str, str], firing: Mapping[str, Fires], step: str = "30s") -> str:
    """Empty when at each of these moments exactly these alarms fire."""
    if shutil.which("promtool") is None:
        said = "promtool is not installed: it comes with Prometheus (Debian: apt install prometheus)"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    expected = {
        at: [{"labels": f'{{alertname="{name}",severity="{how}"}}', "value": 1} for name, how in sorted(fires)]
        for at, fires in firing.items()
    }
    asked = 'count by (alertname, severity) (count by (alertname, severity, slo) (ALERTS{alertstate="firing"}))'
    test: dict[str, Any] = {
        "interval": step,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": asked, "eval_time": at, "exp_samples": of} for at, of in expected.items()],
    }
    rules = [str(path) for path in sorted((PROMETHEUS / "rules").glob("*.yml"))]
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": rules, "evaluation_interval": step, "tests": [test]}), "utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
class TestAlarm:
    def test_it_fires_in_its_case_and_nothing_else_does(self, one: Case, tmp_path: Path) -> None:
        assert verdict_of_promtool(tmp_path, one.series, {one.at: one.fires}, one.step) == ""

    def test_all_is_quiet_just_outside_of_it(self, one: Case, tmp_path: Path) -> None:
        series = {name: values for name, values in one.series.items() if name not in one.without} | one.quiet
        assert verdict_of_promtool(tmp_path, series, {one.at: frozenset()}, one.step) == ""


HAPPENED: Final = [
    ("ImagesFailing", 'framegate_outcomes_total{state="failed"}', 15),
    ("EngineFaults", 'framegate_engine_faults_total{model="a@1"}', 15),
]


@pytest.mark.parametrize(("name", "series", "window"), HAPPENED)
class TestWhatHappened:
    """Of counters that do not exist before they count; scraped each 30 s."""

    def test_a_counter_that_is_new_with_a_value_raises_an_alarm_once(
        self, name: str, series: str, window: int, tmp_path: Path
    ) -> None:
        fires: Fires = frozenset({(f"Framegate{name}", TICKET)})
        counter = {series: f"_x9 3x{2 * window + 20}"}
        moments = {"6m": fires, f"{4 + window}m": fires, f"{6 + window}m": frozenset[tuple[str, str]]()}
        assert verdict_of_promtool(tmp_path, counter, moments) == ""

    def test_a_gap_between_scrapes_raises_none(self, name: str, series: str, window: int, tmp_path: Path) -> None:
        counter = {series: f"3x{4 * window - 1} _x20 3x{2 * window + 20}"}
        again = 2 * window + 10
        quiet: dict[str, Fires] = {
            f"{again + later}m": frozenset() for later in (1, window - 2, window + 2, window + 6)
        }
        assert verdict_of_promtool(tmp_path, counter, quiet) == ""


def test_every_alarm_has_a_case() -> None:
    assert {name for name, *_ in (one.name.split("-") for one in CASES)} == {
        alarm.name.removeprefix("Framegate") for alarm in ALARMS
    }
    assert {(alarm.name, alarm.severity) for alarm in ALARMS} <= {fires for one in CASES for fires in one.fires}
