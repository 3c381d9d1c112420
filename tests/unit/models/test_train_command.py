"""`framegate train` as it is typed, with a trainer that trains nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from framegate.cli import app
from framegate.cli import train as command
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.manifest import ModelManifest
from framegate.ports.training import Epoch
from tests.support.labelled import labelled_set
from tests.unit.models.test_training import FakeTrainer


@pytest.fixture(autouse=True)
def trainer(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTrainer]:
    fake = FakeTrainer()
    monkeypatch.setattr(command, "make_trainer", lambda: fake)
    yield fake
    structlog.reset_defaults()  # the command set up the logs of this process


def test_the_options_become_the_plan(tmp_path: Path, trainer: FakeTrainer) -> None:
    out = tmp_path / "out"
    typed = ["--name", "dock", "--version", "2", "--size", "64", "--epochs", "5", "--batch", "3", "--seed", "9"]
    data_set = str(labelled_set(tmp_path / "set"))
    done = CliRunner().invoke(app, ["train", "--data-set", data_set, "--out", str(out), *typed])
    assert done.exit_code == 0, done.output
    plan, resume = trainer.plans[0]
    assert (plan.size, plan.epochs, plan.batch, plan.seed, plan.weights, resume) == (64, 5, 3, 9, None, False)
    assert ModelManifest.load(out).ref == "dock@2"


def test_a_new_run_without_a_name_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, ConfigurationError)
    assert "--data-set, --name and --version" in str(done.exception)


def test_an_epoch_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    command._epoch(Epoch(3, 50, 600, {"map50": 0.5, "map50_95": 0.25, "precision": 0.5, "recall": 0.75}))
    shown = capsys.readouterr().err
    assert shown == "epoch 3 of 50  map50 0.5000  map50_95 0.2500  precision 0.5000  recall 0.7500  10 min left\n"
