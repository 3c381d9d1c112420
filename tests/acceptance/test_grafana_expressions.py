"""Every expression of Grafana's pages and of Prometheus' rules, asked of a real Prometheus that scrapes a box under load."""

import itertools
import json
import math
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import httpx
import pytest
from infra.monitoring import rules
from infra.monitoring.alarms import GROUPS
from infra.monitoring.dashboards import DASHBOARDS
from infra.monitoring.expressions import TARGET
from infra.monitoring.objectives import OBJECTIVES

from framegate.observability.catalogue import CATALOGUE
from framegate.starter import sample_frames
from tests.support.box import RunningBox, running_box, until
from tests.support.collector import Collector
from tests.support.jpegs import commented
from tests.support.pictures import cut_in_mid_scan
from tests.support.prometheus import Prometheus, every_second, need_prometheus, running_prometheus
from tests.support.receivers import ReceiverServer

#: What rules look back for has happened while this test runs: five minutes are ten seconds.
SCALE: Final = 30
#: Of a box: its supervisor, the API, two of inference, and one each of preprocess, of gate and sweep, of alerts.
PROCESSES: Final = 7
#: What Grafana puts in their place; a whole minute, so that what happened once is within it.
VARIABLES: Final = {"$__rate_interval": "1m", "$__range": "1m", "$datasource": "prometheus"}
#: Recorded series that need what is not here, or that speak only when something is wrong.
SILENT: Final = {
    "framegate:stage_down:count": "no stage is down",
    "framegate:gpu_utilization:ratio": "no GPU here",
    "framegate:gpu_temperature:celsius": "no GPU here",
    "framegate:metadata_missing:ratio1h": "it needs fifty images an hour",
}


@dataclass(frozen=True)
class Asked:
    """One query of a panel."""

    dashboard: str
    panel: str
    text: str
    empty_ok: str


QUERIES: Final = [
    Asked(dashboard.uid, panel.title, query.expression.text, query.empty_ok)
    for dashboard in DASHBOARDS
    for panel in dashboard.panels
    for query in panel.queries
]


def substituted(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return re.sub(r"\$[a-z]\w*", ".*", expression)


class Load:
    """Uploads of every kind, over and over, until the end."""

    def __init__(self, box: RunningBox) -> None:
        self._box = box
        self._frames = [frame.read_bytes() for frame in sample_frames()]
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.rounds = 0

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def fresh(self) -> bytes:
        """A sample frame with bytes that were never sent."""
        number = next(self._numbers)
        return commented(self._frames[number % len(self._frames)], f"load {number}")

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(httpx.HTTPError):  # the box is busy; the next round comes
                self._round()
            self.rounds += 1

    def _round(self) -> None:
        box, copied = self._box, self.fresh()
        for camera in ("dock-1", "dock-2"):
            box.upload(self.fresh(), camera=camera, shipment="4711")
        box.upload(self.fresh(), camera=f"dock-{self.rounds % 20}")  # incidents, and people told of them, all the time
        if self.rounds == 0:  # while bulk messages wait, the objective of waits looks away
            box.upload(self.fresh(), lane="bulk")
        box.upload(copied)
        box.upload(copied)  # the same bytes: the first outcome
        once = {"Idempotency-Key": f"round-{self.rounds}"}
        box.upload(copied, headers=once)
        box.upload(copied, headers=once)  # the same request: the first answer
        box.upload(cut_in_mid_scan(self.fresh()))  # the decoder rejects it
        box.upload(b"GIF89a" + bytes(100), "image/gif")  # refused at the door
        self._stop.wait(0.2)


def decide_something(box: RunningBox) -> None:
    """One image that nobody has confirmed the camera of, failed by a person."""
    image = box.upload(sample_frames()[0].read_bytes() + b"\0", camera="dock-unknown").json()["id"]
    assert box.outcome(image)["verdict"] == "review"
    key = box.run("keys", "create", "--name", "Ann", "--scopes", "reviews:write,results:read").strip()
    with httpx.Client(base_url=box.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as ann:
        item = next(one for one in ann.post("/v1/reviews/next?n=50").json()["items"] if one["id"] == image)
        shown = sha256(ann.get(item["content"]).content).hexdigest()
        said = {"shown_sha256": shown, "decision": "fail", "class": "dent", "version": item["version"]}
        ann.post(f"/v1/reviews/{image}/decide", json=said).raise_for_status()


def recorded_objectives(prometheus: Prometheus) -> set[str]:
    return {one["metric"]["slo"] for one in prometheus.query("framegate:slo_bad:ratio3d")}


@pytest.fixture(scope="module")
def prometheus(receiver: ReceiverServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has seen at least half a minute of load."""
    need_prometheus()
    folder = tmp_path_factory.mktemp("grafana")
    assert rules.main(["--out", str(folder), "--scale", str(SCALE)]) == 0
    with Collector() as collector:
        environment = {
            "FRAMEGATE_HOOKS__ALLOW": f"http://127.0.0.1:{receiver.port}",
            "FRAMEGATE_SWEEP__CONSERVATION_EVERY_S": "2",
            "FRAMEGATE_SWEEP__EVERY_S": "1",
            "FRAMEGATE_TRACES__ENDPOINT": collector.url,
            "FRAMEGATE_TRACES__SAMPLE": "1",
        }
        with running_box(folder / "data", **environment) as box:
            for camera in ("dock-1", "dock-2"):
                box.run("cameras", "add", camera)
            box.run("hooks", "add", "--url", f"http://127.0.0.1:{receiver.port}/alerts")
            config = every_second(box, sorted((folder / "rules").glob("*.yml")))
            with running_prometheus(folder, config) as made, Load(box) as load:
                decide_something(box)
                with box.client() as client:
                    client.get("/login")
                    client.get("/v1/images")
                until(lambda: load.rounds >= 5, 60, "five rounds of uploads")
                until(
                    lambda: recorded_objectives(made) == {o.slo for o in OBJECTIVES}, 60, "a ratio of every objective"
                )
                told = "sum(rate(framegate_hook_seconds_count[1m])) > 0"  # by new cameras that see damage
                until(lambda: made.query(told), 90, "people told of incidents")
                until(lambda: len(made.query("up == 1")) == PROCESSES, 30, "an answer of every process")
                yield made


def known(result: list[dict[str, Any]]) -> list[float]:
    """The values that are numbers: a quantile of nothing is none."""
    values = (float(one["value"][1]) for one in result)
    return [value for value in values if not math.isnan(value)]


@pytest.mark.slow
@pytest.mark.timeout(300)
class TestExpressions:
    def test_every_panel_has_something_to_show(
        self, prometheus: Prometheus, capsys: pytest.CaptureFixture[str]
    ) -> None:
        silent, wrong = list[str](), list[str]()
        for asked in QUERIES:
            where = f"{asked.dashboard}, {asked.panel}: {asked.text}"
            try:
                found = known(prometheus.query(substituted(asked.text)))
            except AssertionError as error:
                wrong.append(f"{where}\n  {error}")
                continue
            if not found and asked.empty_ok:
                silent.append(f"{where}\n  ({asked.empty_ok})")
            elif not found:
                wrong.append(f"{where}\n  nothing")
        with capsys.disabled():
            print(f"\n{len(QUERIES)} queries; without an answer, for a reason:\n" + "\n".join(silent))
        assert not wrong, "\n".join(wrong)

    def test_every_rule_is_evaluated_and_every_recorded_series_is_there(self, prometheus: Prometheus) -> None:
        groups = prometheus.get("/rules")["groups"]
        until(lambda: all(rule["lastEvaluation"][0] != "0" for group in groups for rule in group["rules"]), 10)
        found = [rule for group in prometheus.get("/rules")["groups"] for rule in group["rules"]]
        assert len(found) == sum(len(group.recordings) + len(group.alarms) for group in GROUPS)
        unwell = [(rule["name"], rule.get("lastError")) for rule in found if rule["health"] != "ok"]
        assert not unwell
        names = {recording.name for group in GROUPS for recording in group.recordings}
        missing = {name for name in names if not prometheus.query(name)} - set(SILENT)
        assert not missing

    def test_variables_have_values(self, prometheus: Prometheus) -> None:
        for dashboard in DASHBOARDS:
            for variable in dashboard.variables:
                if variable["type"] == "query":
                    asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
                    assert asked is not None
                    assert prometheus.get(f"/label/{asked[2]}/values", **{"match[]": asked[1]}), variable["name"]

    def test_every_series_is_in_the_catalogue_with_exactly_its_labels(self, prometheus: Prometheus) -> None:
        labels: dict[str, set[str]] = {}
        for metric in CATALOGUE:
            own = set(metric.labels)
            if metric.kind == "histogram":
                parts = {"_count": own, "_sum": own, "_bucket": own | {"le"}}
                labels |= {metric.name + suffix: more for suffix, more in parts.items()}
            else:
                labels[metric.name] = own
        found = prometheus.get("/series", **{"match[]": '{__name__=~"framegate_.+"}'})
        # A label without a value is none: images that were not decided have no verdict.
        wrong = {
            json.dumps(one)
            for one in found
            if (own := labels.get(one["__name__"])) is None
            or not own - {"verdict"} <= one.keys() <= own | {"__name__", "process", "stage", *TARGET}
        }
        assert found
        assert not wrong

    def test_observations_lead_to_their_traces(self, prometheus: Prometheus) -> None:
        found = prometheus.get(
            "/query_exemplars", query="framegate_accept_to_verdict_seconds_bucket", start="0", end="32503680000"
        )
        traces = {e["labels"]["trace_id"] for series in found for e in series["exemplars"]}
        assert traces
        assert all(re.fullmatch(r"[0-9a-f]{32}", trace) for trace in traces)
