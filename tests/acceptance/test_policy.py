"""`framegate policy` on a box that runs. Nothing is applied: other tests of this box count on its first version."""

import json
from pathlib import Path

import yaml

from tests.support.box import RunningBox
from tests.support.pictures import jpeg


def test_what_a_box_decided_is_decided_again_under_a_candidate(box: RunningBox, tmp_path: Path) -> None:
    record = box.outcome(box.upload(jpeg(300), shipment="4711").json()["id"])
    document = yaml.safe_load(box.run("policy", "show"))
    same, other = tmp_path / "same.yaml", tmp_path / "other.yaml"
    same.write_text(yaml.safe_dump(document))
    told = json.loads(box.run("policy", "simulate", str(same), "--json"))
    assert told["images"] >= 1
    assert told["flips"] == []
    assert told["decided"] == told["candidate"]["ends"] == told["current"]["ends"]
    required = {"require": ["label"], "require_confidence": 0.99}
    alerts = {"doubt": {"when": ["subject-missing"], "severity": "warning", "group_by": ["metadata.shipment"]}}
    other.write_text(yaml.safe_dump({**document, **required, "alerts": alerts}))
    told = json.loads(box.run("policy", "simulate", str(other), "--since", "1h", "--json"))
    assert told["candidate"]["alerts"]["doubt"] >= (record["verdict"] in ("pass", "review"))
    assert told["candidate"]["ends"].get("pass", 0) == 0
    box.run("policy", "check", str(same))
    assert box.run("policy", "diff", str(same)) == "Version 1 says the same.\n"
    assert json.loads(box.run("policy", "history", "--json"))[0]["version"] == 1
