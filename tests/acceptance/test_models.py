"""A model's life on a real box: brought in, approved, deployed while images flow, taken back."""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from framegate.starter import sample_frames, starter_dir
from tests.support.box import RunningBox, running_box, until
from tests.support.pictures import jpeg


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    with running_box(tmp_path_factory.mktemp("models") / "data") as box:
        yield box


def candidate(directory: Path, version: str) -> Path:
    """The starter under another version."""
    directory.mkdir(parents=True)
    text = (starter_dir() / "model.toml").read_text("utf-8").replace('version = "1"', f'version = "{version}"')
    shutil.copy(starter_dir() / "model.onnx", directory)
    (directory / "model.toml").write_text(text, "utf-8")
    return directory


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two pictures to check a model on: the usual 24 take a quarter of a minute on a busy box."""
    directory = tmp_path_factory.mktemp("golden")
    for frame in sample_frames()[11:14:2]:
        shutil.copy(frame, directory)
    return str(directory)


def listed(box: RunningBox) -> dict[str, str]:
    return {model["ref"]: model["state"] for model in json.loads(box.run("models", "list", "--json"))["models"]}


class Feed:
    """Uploads all the time while it is open."""

    def __init__(self, box: RunningBox) -> None:
        self._box, self._stop = box, threading.Event()
        self.ids: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.15):
            answer = self._box.upload(jpeg(50_000 + number), camera=f"dock-{number % 20}")
            assert answer.status_code == 202, answer.text
            self.ids.append(answer.json()["id"])
            number += 1

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)


def test_a_model_is_swapped_under_load_without_losing_an_image_and_rolled_back(
    own: RunningBox, golden: str, tmp_path: Path
) -> None:
    assert listed(own) == {"carton@1": "deployed"}
    ref = own.run("models", "import", str(candidate(tmp_path / "two", "2"))).strip()
    assert ref == "carton@2"
    assert own.run("models", "approve", ref, "--by", "lead", ok=False) == ""
    own.run("models", "check", ref, "--images", golden)
    own.run("models", "approve", ref, "--by", "lead")
    with Feed(own) as feed:
        until(lambda: len(feed.ids) > 5, what="a first few uploads")
        own.run("models", "deploy", ref, "--by", "lead")
        swapped = len(feed.ids)
        until(lambda: len(feed.ids) > swapped + 20, what="some uploads after the swap")
    records = [own.outcome(image_id) for image_id in feed.ids]
    assert {record["state"] for record in records} == {"decided"}
    assert (records[0]["model"], records[-1]["model"]) == ("carton@1", "carton@2")
    assert listed(own) == {"carton@1": "retired", "carton@2": "deployed"}
    own.run("models", "rollback", "--by", "lead")
    assert listed(own) == {"carton@1": "deployed", "carton@2": "retired"}
    record = own.outcome(own.upload(jpeg(60_000)).json()["id"])
    assert record["model"] == "carton@1"
    assert json.loads(own.run("verify", "--json"))["holds"]


def test_a_canary_decides_its_cameras_and_a_shadow_nothing(own: RunningBox, golden: str, tmp_path: Path) -> None:
    for version in ("3", "4"):
        ref = own.run("models", "import", str(candidate(tmp_path / version, version))).strip()
        own.run("models", "check", ref, "--images", golden)
        own.run("models", "approve", ref, "--by", "lead")
    own.run("models", "deploy", "carton@3", "--canary", "40%", "--by", "lead")
    own.run("models", "deploy", "carton@4", "--shadow", "--by", "lead")
    frames = sample_frames()
    until_swapped = own.upload(frames[0].read_bytes(), camera="dock-0").json()["id"]
    own.outcome(until_swapped)
    models: Counter[str] = Counter()
    for number in range(30):
        image_id = own.upload(jpeg(70_000 + number), camera=f"dock-{number}").json()["id"]
        models[own.outcome(image_id)["model"]] += 1
    assert set(models) == {"carton@1", "carton@3"}
    assert 2 <= models["carton@3"] <= 24
    seen = until(lambda: json.loads(own.run("models", "show", "carton@4", "--json"))["shadow"]["images"] >= 20)
    assert seen
    own.run("models", "rollback", "--by", "lead")
    assert listed(own)["carton@3"] == "retired"


def test_damaged_weights_never_serve_and_the_old_model_goes_on(own: RunningBox, tmp_path: Path) -> None:
    directory = candidate(tmp_path / "five", "5")
    before = listed(own)
    weights = directory / "model.onnx"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert own.run("models", "import", str(directory), ok=False) == ""
    assert listed(own) == before
    assert own.outcome(own.upload(jpeg(80_000)).json()["id"])["model"] == "carton@1"


def test_what_serves_is_still_served_after_a_restart(tmp_path: Path) -> None:
    two = candidate(tmp_path / "two", "2")
    with running_box(tmp_path / "data", FRAMEGATE_MODEL=str(two)) as box:
        assert box.outcome(box.upload(jpeg(1)).json()["id"])["model"] == "carton@2"
        box.stop()
        del box.environment["FRAMEGATE_MODEL"]
        box.start()
        assert box.outcome(box.upload(jpeg(2)).json()["id"])["model"] == "carton@2"
        assert listed(box) == {"carton@2": "deployed"}
