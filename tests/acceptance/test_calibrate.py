"""`framegate evaluate` and `framegate calibrate` as people type them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from framegate.bootstrap import database_of, open_stores
from framegate.box.directory import prepare_data_dir
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.settings import Settings
from tests.support.pictures import cut_in_mid_scan, jpeg

RENDERER = Path(__file__).parents[2] / "models" / "carton" / "render.py"


@pytest.fixture(scope="module")
def cartons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten renders with their labels, and one file that no decoder takes whole."""
    out = tmp_path_factory.mktemp("cartons")
    command = [sys.executable, str(RENDERER), "--out", str(out), "--count", "10", "--seed", "5", "--dense"]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    (out / "images" / "cut.jpg").write_bytes(cut_in_mid_scan(jpeg(1)))
    return out


def framegate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "framegate", *map(str, arguments)], capture_output=True, text=True, timeout=110
    )


def answer(*arguments: str | Path) -> dict[str, Any]:
    done = framegate(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert "cut.jpg" in done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_evaluate_measures_a_labelled_set_and_names_what_it_left_out(cartons: Path) -> None:
    report = answer("evaluate", "--labels", cartons)
    assert report["data"]["images"] == 10
    assert [left["image"] for left in report["data"]["left_out"]] == ["images/cut.jpg"]
    assert 0 < report["map50_95"] < report["map50"] < 1
    carton = next(one for one in report["classes"] if one["name"] == "carton")
    rows = [line for file in (cartons / "labels").iterdir() for line in file.read_text().splitlines()]
    assert carton["objects"] == sum(row.startswith("0 ") for row in rows)
    assert "carton" in framegate("evaluate", "--labels", cartons).stdout


def test_calibrate_writes_a_policy_and_the_box_follows_it(cartons: Path, tmp_path: Path) -> None:
    box, out = prepare_data_dir(tmp_path / "box"), tmp_path / "out"
    # Not damage, but found well enough that ten images can promise something.
    rates = "--miss-rate", "0.5", "--false-alarm-rate", "0.6", "--defect", "label"
    summary = answer("calibrate", "--labels", cartons, "--out", out, *rates, "--apply", "--data", box)
    document = yaml.safe_load((out / "policy.yaml").read_text("utf-8"))
    [limit] = summary["limits"]
    assert document["classes"]["label"] == {"review": limit["review"], "fail": limit["fail"]}
    assert document["calibration"]["data_sha256"] == summary["data"]["sha256"]
    with database_of(box) as url:
        stores = open_stores(Settings.read(), url)
        current = stores.policies.current_policy(DEFAULT_FACILITY)
        stores.close()
    assert current is not None
    assert (current.version, current.created_by) == (summary["policy_version"], "operator")
    assert current.document == document


def test_a_risk_that_cannot_be_promised_is_refused_and_nothing_is_written(cartons: Path, tmp_path: Path) -> None:
    done = framegate("calibrate", "--labels", cartons, "--out", tmp_path / "out", "--defect", "hole")
    assert done.returncode == 1
    assert "takes at least 19" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_set_is_one_line(tmp_path: Path) -> None:
    done = framegate("evaluate", "--labels", tmp_path / "nowhere")
    assert done.returncode == 1
    assert "correct --labels" in done.stderr
