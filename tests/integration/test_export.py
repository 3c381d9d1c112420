"""Exports, end to end with the real tools of the CPU; TensorRT's is built by the stand-in."""

import contextlib
import io
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import openvino as ov
import pytest
import tomlkit
import typer
from rich.console import Console
from typer.testing import CliRunner

from framegate.adapters.engine_onnxruntime import OnnxRuntimeEngine
from framegate.adapters.engine_tensorrt.cuda import Cuda
from framegate.bootstrap import exports
from framegate.bootstrap.engines import open_engine
from framegate.cli import models_export
from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.manifest import Head, ModelManifest
from framegate.models.contest import LIMIT
from framegate.models.exporting import Exported, ExportPlan, Precision, Target, export
from framegate.settings import Settings
from framegate.starter import sample_frames, starter_dir
from tests.support.models import convolving_manifest, tiny_manifest
from tests.support.pictures import jpeg
from tests.support.tensorrt import FakeDriver, FakeTensorRt
from tests.support.torch_models import random_network, starter_checkpoint, with_checkpoint, write_checkpoint


@pytest.fixture
def images(tmp_path: Path) -> Path:
    directory = tmp_path / "pictures"
    directory.mkdir()
    for seed in range(16):
        (directory / f"{seed}.jpg").write_bytes(jpeg(seed))
    return directory


@pytest.fixture
def source(tmp_path: Path) -> ModelManifest:
    manifest = convolving_manifest(tmp_path / "source")
    document: Any = tomlkit.parse(manifest.text)
    document["metrics"] = {"map50": 0.5}
    document["check"] = {"engine": "onnxruntime", "agrees": True}
    (tmp_path / "source" / "model.toml").write_text(tomlkit.dumps(document), "utf-8")
    return ModelManifest.load(tmp_path / "source")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.read(data=tmp_path / "box")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorRt]:
    driver = FakeDriver()
    trt = FakeTensorRt(driver)
    monkeypatch.setattr(Cuda, "find", classmethod(lambda cls: cls(driver)))
    monkeypatch.setitem(sys.modules, "tensorrt", trt)  # type: ignore[arg-type]
    yield trt
    assert not driver.memory


def exported(
    settings: Settings,
    source: ModelManifest,
    to: Target,
    precision: Precision,
    images: Path | None,
    least: float = LIMIT,
) -> Exported:
    out = source.weights.parent.parent / "out"
    return export(settings, source, ExportPlan(to, precision, out, images, least), lambda text: None)


def test_int8_is_served_and_says_what_it_was_made_from_and_how_true_it_is(
    settings: Settings, source: ModelManifest, images: Path
) -> None:
    result = exported(settings, source, "onnx", "int8", images)
    made = ModelManifest.load(result.manifest)
    facts = tomlkit.parse(made.text).unwrap()["export"]
    assert made.ref == "convolving@1-onnx-int8"
    assert exports.is_quantised(made)
    assert (facts["source_sha256"], facts["precision"], facts["calibrated_on_images"]) == (source.sha256, "int8", 8)
    assert facts["source_metrics"] == {"map50": 0.5}
    assert not made.metrics, "what was measured on other weights is not said of these"
    assert not made.check
    assert facts["tools"]["onnxruntime"]
    measured = {entry["engine"]: entry for entry in facts["measured"]}
    assert any(name.startswith("export: openvino") for name in measured)
    assert all(entry["frames"] == 8 and entry["images_per_s"] > 0 for entry in measured.values())
    assert all(standing.agreed is not None and standing.agreed >= LIMIT for standing in result.standings)
    assert sorted(file.name for file in result.manifest.parent.iterdir()) == ["model.onnx", "model.toml"]
    assert OnnxRuntimeEngine(made, 2, 1, "cpu").infer(np.zeros((2, 32, 32, 3), np.uint8)).shape == (2, 1, 6)


@pytest.mark.parametrize("precision", ["f32", "f16", "int8"])
def test_openvinos_format_computes_what_the_source_does_and_is_refused_by_our_own_engines(
    settings: Settings, source: ModelManifest, images: Path, precision: Precision
) -> None:
    result = exported(settings, source, "openvino", precision, images)
    directory = result.manifest.parent
    assert sorted(file.name for file in directory.iterdir()) == ["model.bin", "model.toml", "model.xml"]
    batch = np.random.default_rng(1).random((2, 3, 32, 32), np.float32)
    ours = ov.Core().compile_model(directory / "model.xml", "CPU")(batch)[0]
    theirs = ov.Core().compile_model(source.weights, "CPU")(batch)[0]
    np.testing.assert_allclose(ours, theirs, atol=0.05)
    with pytest.raises(ModelRefused, match=r"model\.xml is for OpenVINO's own tools: serve the ONNX file"):
        open_engine(settings, ModelManifest.load(directory), "openvino")


@pytest.mark.parametrize("precision", ["f32", "f16", "int8"])
def test_an_engine_for_tensorrt_is_built_once_and_served_from_its_file(
    settings: Settings, source: ModelManifest, images: Path, precision: Precision, gpu: FakeTensorRt
) -> None:
    result = exported(settings, source, "tensorrt", precision, images)
    assert gpu.builds == 1
    made = ModelManifest.load(result.manifest)
    assert made.weights.name == "model.engine"
    assert sorted(file.name for file in made.weights.parent.iterdir()) == ["model.engine", "model.toml"]
    with contextlib.closing(open_engine(settings, made, "tensorrt")) as engine:
        assert engine.description == f"tensorrt 11.4.0.106 cuda {precision}"
        assert engine.infer(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 1, 6)
    assert gpu.builds == 1
    with pytest.raises(ModelRefused, match="is an engine of TensorRT: serve it with FRAMEGATE_ENGINE=tensorrt"):
        open_engine(settings, made, "openvino")


def test_what_does_not_see_what_the_source_sees_is_not_written(
    settings: Settings, source: ModelManifest, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny_manifest(tmp_path / "other").weights.read_bytes()
    monkeypatch.setattr(exports, "to_int8", lambda *_, **__: other)
    with pytest.raises(
        ModelRefused, match=r"agrees with the source in 0\.0% of the clear boxes, 95% are asked.*Nothing was"
    ):
        exported(settings, source, "onnx", "int8", images)
    assert not [file for file in tmp_path.iterdir() if "out" in file.name]


@pytest.mark.parametrize(
    ("to", "precision", "remedy"),
    [
        ("onnx", "f16", "onnx is exported in f32, int8, not in f16"),
        ("onnx", "f32", "is an ONNX file already: give --precision int8"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_remedy(
    settings: Settings, source: ModelManifest, images: Path, to: Target, precision: Precision, remedy: str
) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        exported(settings, source, to, precision, images)


def test_int8_needs_pictures_and_enough_of_them(settings: Settings, source: ModelManifest, images: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"INT8 needs pictures .* --images DIR with 16"):
        exported(settings, source, "onnx", "int8", None)
    (images / "3.jpg").unlink()
    with pytest.raises(ConfigurationError, match="pictures holds too few pictures for INT8: give 16 or more"):
        exported(settings, source, "onnx", "int8", images)


def test_a_picture_that_cannot_be_decoded_is_named(settings: Settings, source: ModelManifest, images: Path) -> None:
    (images / "3.jpg").write_bytes(jpeg(3)[:900])
    with pytest.raises(ConfigurationError, match=r"3\.jpg cannot be compared on: .*Take it out"):
        exported(settings, source, "onnx", "int8", images)


def test_int8_is_not_made_of_int8_and_nothing_is_written_over(
    settings: Settings, source: ModelManifest, images: Path
) -> None:
    made = ModelManifest.load(exported(settings, source, "onnx", "int8", images).manifest)
    with pytest.raises(ConfigurationError, match="out exists: name a directory that does not"):
        exported(settings, source, "onnx", "int8", images)
    plan = ExportPlan("onnx", "int8", source.weights.parent / "again", images)
    with pytest.raises(ConfigurationError, match=r"model\.onnx is INT8 already"):
        export(settings, made, plan, lambda text: None)


def test_a_checkpoint_goes_to_onnx_first_and_needs_what_reads_it(
    settings: Settings, source: ModelManifest, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = source.weights.with_suffix(".pt")
    weights.write_bytes(b"PK\x03\x04 as PyTorch begins its files")
    checkpoint = ModelManifest.parse(source.text, "model.toml", weights=weights)
    with pytest.raises(ConfigurationError, match="is a checkpoint: export it to onnx first, then that to tensorrt"):
        exported(settings, checkpoint, "tensorrt", "f16", images)
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    monkeypatch.delitem(sys.modules, "framegate.adapters.export_ultralytics", raising=False)
    with pytest.raises(ConfigurationError, match=r"pip install 'framegate\[torch\]'"):
        exported(settings, checkpoint, "onnx", "f32", images)
    assert not (source.weights.parent.parent / "out").exists()


def test_the_command_shows_how_fast_and_how_true_the_export_is(
    source: ModelManifest, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(models_export, "out", Console(file=shown, width=200))
    app = typer.Typer()
    app.callback()(lambda: None)
    models_export.register(app)
    given = ["export", str(source.weights.parent), "--to", "onnx", "--precision", "int8", "--images", str(images)]
    result = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "export: openvino" in shown.getvalue()
    assert "100.0%" in shown.getvalue()
    assert (tmp_path / "out" / "model.toml").exists()


@pytest.mark.torch
def test_a_checkpoint_becomes_an_onnx_file_that_finds_what_torch_finds(settings: Settings, tmp_path: Path) -> None:
    checkpoint = starter_checkpoint(tmp_path / "best.pt")
    few = tmp_path / "few"
    few.mkdir()
    for frame in [*sample_frames()][:4]:
        shutil.copy(frame, few)
    result = export(settings, checkpoint, ExportPlan("onnx", "f32", tmp_path / "out", few), lambda text: None)
    assert [standing.name.split()[1] for standing in result.standings] == ["torch", "openvino", "onnxruntime"]
    assert all(standing.agreed == 1 and standing.agreement.boxes > 3 for standing in result.standings)
    made = ModelManifest.load(result.manifest)
    assert tomlkit.parse(made.text).unwrap()["export"]["source_sha256"] == checkpoint.sha256
    raw = OnnxRuntimeEngine(made, 3, 1, "cpu").infer(np.zeros((3, 640, 640, 3), np.uint8))
    assert raw.shape == (3, 300, 6)


@pytest.mark.torch
def test_a_checkpoint_with_two_heads_is_exported_with_the_one_its_manifest_names(tmp_path: Path) -> None:
    classes = ModelManifest.load(starter_dir()).classes
    path = write_checkpoint(tmp_path / "best.pt", random_network(classes))
    manifest = with_checkpoint(ModelManifest.load(starter_dir()), path)
    for head, shape in ((Head.END2END, (1, 300, 6)), (Head.ANCHORS, (1, 4 + len(classes), 8400))):
        data = exports.checkpoint_to_onnx(replace(manifest, head=head))
        session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
        assert session.run(None, {"images": np.zeros((1, 3, 640, 640), np.float32)})[0].shape == shape
