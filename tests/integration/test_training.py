"""Training with the real ultralytics, on images so small that it takes seconds."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framegate.bootstrap import make_trainer
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.frames import pad
from framegate.kernel.imagefile import inspect_file
from framegate.kernel.manifest import Head, ModelInput, ModelManifest
from framegate.models import training
from framegate.models.dataset import read_dataset
from framegate.models.training import Order
from framegate.ports.training import Epoch
from framegate.preprocess.decode import decode
from framegate.preprocess.letterbox import prepare
from tests.support.labelled import labelled_set
from tests.support.torch_models import random_network, require_torch, write_checkpoint

pytestmark = pytest.mark.torch
SIZE = 64


@pytest.fixture(scope="module", autouse=True)
def torch() -> Any:
    return require_torch()


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(labelled_set(tmp_path / "set"), "cartons", "1", "AGPL-3.0", epochs=3, size=SIZE, batch=6, seed=1)


def run(order: Order, out: Path, seen: list[Epoch]) -> ModelManifest:
    return training.train(order, out, make_trainer(), lambda done, of: None, seen.append)


def test_a_run_ends_with_a_model_and_asks_no_network(
    order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: asked.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **_: asked.append(given) or [])
    monkeypatch.setenv("ULTRALYTICS_API_KEY", "of a user who is logged in")
    before = sorted(path for path in order.data_set.rglob("*"))
    seen: list[Epoch] = []
    manifest = run(order, tmp_path / "out", seen)
    assert (manifest.head, manifest.classes) == (Head.END2END, ("carton", "hole"))
    assert [(epoch.number, epoch.of) for epoch in seen] == [(1, 3), (2, 3), (3, 3)]
    assert seen[0].seconds_left > seen[2].seconds_left == 0
    assert {"map50", "map50_95", "precision", "recall"} <= {*manifest.metrics}
    assert asked == []
    assert sorted(path for path in order.data_set.rglob("*")) == before
    assert capfd.readouterr() == ("", "")


def test_an_interrupted_run_goes_on_after_its_last_epoch(order: Order, tmp_path: Path) -> None:
    def stop(epoch: Epoch) -> None:
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(order, tmp_path / "out", make_trainer(), lambda done, of: None, stop)
    seen: list[Epoch] = []
    manifest = training.resume(tmp_path / "out", make_trainer(), seen.append)
    assert [(epoch.number, epoch.of) for epoch in seen] == [(3, 3)]
    again: list[Epoch] = []
    assert training.resume(tmp_path / "out", make_trainer(), again.append).classes == manifest.classes
    assert again == []


def test_equal_orders_give_equal_weights_and_another_seed_others(order: Order, tmp_path: Path) -> None:
    order = replace(order, epochs=1)
    first = run(order, tmp_path / "a", [])
    second = run(order, tmp_path / "b", [])
    other = run(replace(order, seed=2), tmp_path / "c", [])
    assert first.weights.read_bytes() == second.weights.read_bytes()
    assert first.sha256 != other.sha256
    assert str(tmp_path).encode() not in first.weights.read_bytes()


def test_training_sees_the_very_pixels_that_the_pipeline_infers_on(
    order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("ultralytics.models.yolo.detect.DetectionValidator.preprocess", recording(seen))
    run(replace(order, epochs=1), tmp_path / "out", [])
    held_back = read_dataset(order.data_set).val
    assert {len(batch) for batch in seen} == {len(held_back)}
    for example, theirs in zip(held_back, seen[0], strict=True):
        np.testing.assert_array_equal(theirs.transpose(1, 2, 0), frame(example.image))


def recording(seen: list[Any]) -> Any:
    from ultralytics.models.yolo.detect import DetectionValidator

    original = DetectionValidator.preprocess

    def preprocess(self: Any, batch: Any) -> Any:
        seen.append(batch["img"].numpy().copy())
        return original(self, batch)

    return preprocess


def frame(file: Path) -> Any:
    data = file.read_bytes()
    header, model = inspect_file(data), ModelInput(SIZE, SIZE, True, True)
    content, letterbox = prepare(decode(data, header.media_type, header.orientation), model)
    return pad(content, letterbox, model.pad_value)


def test_a_run_can_start_from_a_checkpoint_of_another_family(order: Order, tmp_path: Path) -> None:
    weights = write_checkpoint(tmp_path / "old.pt", random_network(("a", "b", "c"), "yolov8n.yaml"))
    manifest = run(replace(order, epochs=1, weights=weights), tmp_path / "out", [])
    assert (manifest.head, manifest.classes) == (Head.ANCHORS, ("carton", "hole"))


def test_what_is_no_detector_cannot_be_started_from(order: Order, tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ConfigurationError, match=r"text\.pt is no checkpoint"):
        run(replace(order, weights=tmp_path / "text.pt"), tmp_path / "a", [])
    network = random_network(("a", "b"), "yolo26n-cls.yaml", "ClassificationModel")
    with pytest.raises(ConfigurationError, match=r"cls\.pt is a ClassificationModel"):
        run(replace(order, weights=write_checkpoint(tmp_path / "cls.pt", network)), tmp_path / "b", [])
