"""What surrounds a run, with a trainer that trains nothing."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from framegate.kernel.errors import ConfigurationError, EngineFault
from framegate.kernel.manifest import Head, ModelManifest
from framegate.models import training
from framegate.models.dataset import read_dataset
from framegate.models.training import Order
from framegate.ports.training import Epoch, Trained, TrainingPlan
from tests.support.labelled import labelled_set
from tests.support.models import tiny_onnx
from tests.support.pictures import cut_in_mid_scan


class FakeTrainer:
    """Ends one epoch, and then all of them or, when told so, none."""

    def __init__(self, interrupted: bool = False, head: Head = Head.END2END) -> None:
        self.interrupted, self.head = interrupted, head
        self.plans: list[tuple[TrainingPlan, bool]] = []

    def train(self, plan: TrainingPlan, run: Path, resume: bool, progress: Callable[[Epoch], None]) -> Trained:
        self.plans.append((plan, resume))
        (run / "weights").mkdir(exist_ok=True)
        (run / "weights" / "last.pt").write_bytes(b"weights")
        if self.interrupted:
            raise KeyboardInterrupt
        onnx = tiny_onnx(run / "best.onnx", size=plan.size)
        return Trained(onnx, run / "weights" / "last.pt", self.head, {"map50": 0.5}, {"fake": "1"})


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(labelled_set(tmp_path / "set"), "cartons", "7", "AGPL-3.0", epochs=2, size=64, batch=4, seed=3)


def run(order: Order, out: Path, trainer: FakeTrainer) -> ModelManifest:
    return training.train(order, out, trainer, lambda done, of: None, lambda epoch: None)


def resume(out: Path, trainer: FakeTrainer) -> ModelManifest:
    return training.resume(out, trainer, lambda epoch: None)


def test_the_manifest_says_what_the_model_comes_from(order: Order, tmp_path: Path) -> None:
    run(order, tmp_path / "out", FakeTrainer())
    text = (tmp_path / "out" / "model.toml").read_text("utf-8")
    manifest = ModelManifest.load(tmp_path / "out")
    assert (manifest.ref, manifest.head, manifest.classes) == ("cartons@7", Head.END2END, ("carton", "hole"))
    assert (manifest.input.width, manifest.input.dynamic_batch) == (64, True)
    assert manifest.metrics == {"split": "2 held-back images, 64 px", "map50": 0.5}
    for fact in (read_dataset(order.data_set).sha256, "seed = 3", 'fake = "1"', 'started_from = "scratch"'):
        assert fact in text


def test_images_are_laid_down_as_the_pipeline_will_see_them(order: Order, tmp_path: Path) -> None:
    trainer = FakeTrainer()
    run(order, tmp_path / "out", trainer)
    plan = trainer.plans[0][0]
    images = sorted((plan.train / "images").iterdir())
    assert len(images) == 18
    # 150 x 97 at 64: the shorter side is 41.4, where rounding up would give 42.
    assert {cv2.imread(str(image)).shape for image in images} == {(41, 64, 3)}
    blue, _, red = cv2.imread(str(images[0]))[20, 32].astype(np.int16)
    assert red > blue
    assert (plan.train / "labels" / "000000.txt").read_text("utf-8") == "0 0.46667 0.51546 0.4 0.41237\n"


def test_a_truncated_image_is_named(order: Order, tmp_path: Path) -> None:
    image = order.data_set / "images" / "005.jpg"
    image.write_bytes(cut_in_mid_scan(image.read_bytes(), 500))
    with pytest.raises(ConfigurationError, match=r"005\.jpg cannot be trained on"):
        run(order, tmp_path / "out", FakeTrainer())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"size": 100}, "--size 100: give a multiple of 32"),
        ({"size": 8192}, "--size 8192"),
        ({"name": "a b"}, "--name 'a b'"),
        ({"version": "1/2"}, "--version '1/2'"),
        ({"weights": Path("absent.pt")}, r"--weights absent\.pt: there is no such file"),
    ],
)
def test_a_wrong_order_is_refused_before_anything_is_written(
    order: Order, tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        run(replace(order, **change), tmp_path / "out", FakeTrainer())
    assert not (tmp_path / "out").exists()


def test_a_second_run_in_the_same_place_is_refused(order: Order, tmp_path: Path) -> None:
    run(order, tmp_path / "out", FakeTrainer())
    with pytest.raises(ConfigurationError, match=r"has a run already.*--resume"):
        run(order, tmp_path / "out", FakeTrainer())


def test_an_interrupted_run_goes_on_as_it_was_ordered(order: Order, tmp_path: Path) -> None:
    first, second = FakeTrainer(interrupted=True), FakeTrainer()
    with pytest.raises(KeyboardInterrupt):
        run(order, tmp_path / "out", first)
    assert not (tmp_path / "out" / "model.toml").exists()
    assert resume(tmp_path / "out", second).ref == "cartons@7"
    assert second.plans == [(first.plans[0][0], True)]


def test_a_run_does_not_go_on_with_other_data(order: Order, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(order, tmp_path / "out", FakeTrainer(interrupted=True))
    (order.data_set / "labels" / "003.txt").write_text("1 0.5 0.5 0.1 0.1\n", "utf-8")
    with pytest.raises(ConfigurationError, match="has changed since the run"):
        resume(tmp_path / "out", FakeTrainer())


def test_there_must_be_something_to_resume(order: Order, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no run to resume"):
        resume(tmp_path / "out", FakeTrainer())
    with pytest.raises(KeyboardInterrupt):
        run(order, tmp_path / "out", FakeTrainer(interrupted=True))
    shutil.rmtree(tmp_path / "out" / "run" / "weights")
    with pytest.raises(ConfigurationError, match="did not end its first epoch"):
        resume(tmp_path / "out", FakeTrainer())


def test_a_model_that_does_not_do_what_its_manifest_says_is_not_announced(order: Order, tmp_path: Path) -> None:
    with pytest.raises(EngineFault, match="a head anchors with 2 classes"):
        run(order, tmp_path / "out", FakeTrainer(head=Head.ANCHORS))
    assert not (tmp_path / "out" / "model.toml").exists()
