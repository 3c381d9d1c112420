"""`auto` on this machine, with the real runtimes."""

import io
import shutil
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from rich.console import Console
from structlog.testing import capture_logs
from typer.testing import CliRunner

from framegate.adapters import cuda_driver
from framegate.adapters.engine_openvino import OpenVinoEngine
from framegate.bootstrap import engines
from framegate.bootstrap.engines import make_engine, open_engine
from framegate.cli import models_check
from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.manifest import ModelManifest
from framegate.settings import Settings
from framegate.starter import starter_dir


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "cuda_trouble", lambda: "no CUDA: none in this test")


@pytest.fixture
def starter() -> ModelManifest:
    return ModelManifest.load(starter_dir())


def chosen(manifest: ModelManifest) -> tuple[str, dict[str, Any]]:
    with capture_logs() as logs:
        engine = make_engine(Settings(engine="auto"), manifest)
    engine.close()
    [line] = [log for log in logs if log["action"] == "engine_chosen"]
    return engine.description, dict(line)


def test_openvino_serves_the_starter_because_it_agrees_and_the_log_says_what_else_was_tried(
    starter: ModelManifest,
) -> None:
    description, line = chosen(starter)
    assert description.startswith("openvino")
    assert line["reason"].startswith("it agrees with onnxruntime f32: of 15 boxes in 2 frames 0 lost")
    assert [reason for reason in line["refused"] if "no CUDA: none in this test" in reason]


def test_where_openvino_is_not_installed_onnxruntime_serves(
    starter: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "framegate.adapters.engine_openvino", None)
    description, line = chosen(starter)
    assert description.startswith("onnxruntime")
    assert any(reason.startswith("openvino: not installed") for reason in line["refused"])


def test_an_openvino_that_sees_something_else_does_not_serve(
    starter: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = OpenVinoEngine.infer
    unsure = np.array([1, 1, 1, 1, 0.9, 1], np.float32)
    monkeypatch.setattr(OpenVinoEngine, "infer", lambda self, frames: honest(self, frames) * unsure)
    description, line = chosen(starter)
    assert description.startswith("onnxruntime")
    assert any("disagrees with onnxruntime f32" in reason for reason in line["refused"])


def test_a_check_that_vouches_for_this_very_engine_makes_the_comparison_unnecessary(
    starter: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    description, _ = chosen(starter)

    def compared(*_: object) -> None:
        raise AssertionError("the reference was loaded")

    monkeypatch.setattr(engines, "reference_engine", compared)
    vouched, line = chosen(replace(starter, check={"agrees": True, "engine": description}))
    assert vouched == description
    assert "vouches" in line["reason"]
    for other in ({"agrees": False, "engine": description}, {"agrees": True, "engine": "openvino 2020.1 cpu f32"}):
        assert chosen(replace(starter, check=other))[0].startswith("onnxruntime")


def test_a_check_that_allows_f32_only_is_obeyed(starter: ModelManifest) -> None:
    engine = open_engine(Settings(), replace(starter, check={"precision": "f32"}), "openvino")
    assert engine.description.endswith(" f32")
    engine.close()


def test_an_engine_that_was_asked_for_and_is_not_installed_says_how_to_get_it(
    starter: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "framegate.adapters.engine_torch", None)
    with pytest.raises(ConfigurationError, match=r"torch is not installed.*pip install 'framegate\[torch\]'"):
        open_engine(Settings(), starter, "torch")


def test_where_nothing_can_serve_the_refusal_names_every_engine(
    starter: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("engine_openvino", "engine_onnxruntime", "engine_tensorrt"):
        monkeypatch.setitem(sys.modules, f"framegate.adapters.{name}", None)
    with pytest.raises(ModelRefused, match=r"tensorrt: .*onnxruntime on CUDA: .*openvino: .*onnxruntime: "):
        make_engine(Settings(engine="auto"), starter)


@pytest.fixture
def models() -> typer.Typer:
    app = typer.Typer()
    models_check.register(app)
    return app


def test_checking_the_starter_on_the_command_line_writes_what_the_workers_obey(
    tmp_path: Path, models: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    monkeypatch.setattr(models_check, "out", Console(file=said, soft_wrap=True))
    for name in ("model.toml", "model.onnx"):
        shutil.copy(starter_dir() / name, tmp_path)
    before = (tmp_path / "model.toml").read_text("utf-8")
    done = CliRunner().invoke(models, [str(tmp_path), "--engine", "openvino", "--write"])
    assert done.exit_code == 0, done.output
    assert "agrees with the reference" in said.getvalue()
    assert "Wrote [input] scaled_decoding and [check] of" in done.output
    manifest = ModelManifest.load(tmp_path)
    checked = tomllib.loads(manifest.text).pop("check")
    assert checked["agrees"] is True
    assert checked["images"] == 24
    assert checked["measured"]["engine"]["boxes"] == 65
    assert manifest.input == ModelManifest.parse(before, "before").input
    assert chosen(manifest)[1]["reason"].startswith("the model's own check vouches")


def test_the_starter_in_the_package_is_never_written_to(models: typer.Typer) -> None:
    done = CliRunner().invoke(models, ["starter", "--write"])
    assert isinstance(done.exception, ConfigurationError)
    assert "copy its directory" in str(done.exception)
