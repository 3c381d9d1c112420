"""What every engine promises, run on each of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from framegate.adapters.engine_onnxruntime import OnnxRuntimeEngine
from framegate.adapters.engine_openvino import OpenVinoEngine
from framegate.adapters.memory_engine import MemoryEngine
from framegate.kernel.errors import EngineFault, ModelRefused
from framegate.kernel.manifest import ModelManifest
from framegate.ports.engine import Engine
from tests.support.models import TINY_CLASSES, Shape, tiny_manifest, tiny_onnx, write_manifest
from tests.support.pictures import shared_data
from tests.support.tensorrt import fake_engine
from tests.support.torch_models import telling_engine

Open = Callable[[ModelManifest, int], Engine]
RUNTIMES: dict[str, Open] = {
    "openvino": lambda manifest, max_batch: OpenVinoEngine(manifest, max_batch, threads=1, precision="f32"),
    "onnxruntime": lambda manifest, max_batch: OnnxRuntimeEngine(manifest, max_batch, threads=1, device="cpu"),
    # All of ours, on a device that is not there.
    "tensorrt": fake_engine,
}
#: Those that compute what they are fed; torch takes a checkpoint that does what the tiny ONNX file does.
COMPUTING: dict[str, Open] = {**RUNTIMES, "torch": telling_engine}
ENGINES: dict[str, Open] = {**COMPUTING, "memory": MemoryEngine}
FREE = Shape("end2end", 32, dynamic_batch=True)


def names(engines: dict[str, Open]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.torch) if name == "torch" else name for name in engines]


@pytest.fixture(params=names(ENGINES))
def engine_of(request: pytest.FixtureRequest) -> Open:
    return ENGINES[request.param]


@pytest.fixture(params=names(COMPUTING))
def computing_of(request: pytest.FixtureRequest) -> Open:
    return COMPUTING[request.param]


@pytest.fixture(params=RUNTIMES)
def runtime_of(request: pytest.FixtureRequest) -> Open:
    return RUNTIMES[request.param]


def frames(n: int, size: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, size, size, 3), np.uint8)


def even_batches_only(path: Path) -> Path:
    """The graph makes rows of two frames; an odd batch does not divide (OpenVINO then drops the last frame)."""
    pair = numpy_helper.from_array(np.array([-1, 2 * 3 * 32 * 32], np.int64), "pair")
    single = numpy_helper.from_array(np.array([-1, 512, 6], np.int64), "single")
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["images", "pair"], ["pairs"]),
            # Keeps the runtimes from making one reshape of the two.
            helper.make_node("Softmax", ["pairs"], ["mixed"], axis=1),
            helper.make_node("Reshape", ["mixed", "single"], ["output0"]),
        ],
        "even",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 512, 6])],
        [pair, single],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_a_batch_gives_what_its_frames_give_alone_in_their_order(tmp_path: Path, engine_of: Open) -> None:
    engine = engine_of(tiny_manifest(tmp_path), 4)
    batch = frames(4)
    together = engine.infer(batch)
    alone = np.concatenate([engine.infer(frame[None]) for frame in batch])
    assert together.shape[0] == 4
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-3)
    assert len({row.tobytes() for row in together.reshape(4, -1)}) == 4


def test_a_result_is_not_changed_by_the_next_batch(tmp_path: Path, engine_of: Open) -> None:
    engine = engine_of(tiny_manifest(tmp_path), 4)
    kept = engine.infer(frames(3))
    before = kept.copy()
    engine.infer(255 - frames(3))
    engine.infer(frames(1))
    engine.close()
    np.testing.assert_array_equal(kept, before)


def test_the_frames_are_not_changed(tmp_path: Path, engine_of: Open) -> None:
    batch = frames(2)
    before = batch.copy()
    engine_of(tiny_manifest(tmp_path), 2).infer(batch)
    np.testing.assert_array_equal(batch, before)


@pytest.mark.parametrize("n", [0, 3])
def test_a_batch_of_a_size_it_does_not_take_is_the_callers_error(tmp_path: Path, engine_of: Open, n: int) -> None:
    engine = engine_of(tiny_manifest(tmp_path), 2)
    with pytest.raises(ValueError, match=f"{n} frames in a batch; this engine takes 1 to 2"):
        engine.infer(frames(n))


@pytest.mark.parametrize("wrong", [np.zeros((1, 16, 32, 3), np.uint8), np.zeros((1, 32, 32, 3), np.float32)])
def test_frames_of_another_shape_or_type_are_the_callers_error(
    tmp_path: Path, engine_of: Open, wrong: NDArray[np.uint8]
) -> None:
    engine = engine_of(tiny_manifest(tmp_path), 2)
    with pytest.raises(ValueError, match="frames must be uint8"):
        engine.infer(wrong)


def test_frames_that_are_not_contiguous_are_read_right(tmp_path: Path, engine_of: Open) -> None:
    engine = engine_of(tiny_manifest(tmp_path), 2)
    mirrored = frames(2)[:, :, ::-1]
    np.testing.assert_allclose(engine.infer(mirrored), engine.infer(mirrored.copy()), rtol=1e-6)


@pytest.mark.parametrize(("color", "order"), [("rgb", [0, 1, 2]), ("bgr", [2, 1, 0])])
def test_the_graph_gets_the_colours_and_the_scale_of_the_manifest(
    tmp_path: Path, computing_of: Open, color: str, order: list[int]
) -> None:
    engine = computing_of(tiny_manifest(tmp_path, color=color, scale=0.5), 1)
    frame = np.zeros((1, 32, 32, 3), np.uint8)
    frame[..., 0], frame[..., 1], frame[..., 2] = 40, 80, 160
    frame[0, 0] += 10
    box = engine.infer(frame)[0, 0]
    means = np.array([40, 80, 160])[order] * 0.5
    np.testing.assert_allclose(box[:3], means + 10 * 0.5 / 32, rtol=1e-5)
    np.testing.assert_allclose(box[3], means[0] + 10 * 0.5, rtol=1e-5)


def test_a_model_with_a_fixed_batch_takes_fewer_frames(tmp_path: Path, runtime_of: Open) -> None:
    engine = runtime_of(tiny_manifest(tmp_path / "fixed", batch=4), 8)
    reference = runtime_of(tiny_manifest(tmp_path / "free"), 8)
    assert engine.max_batch == 4
    for n in (4, 1, 3):
        np.testing.assert_allclose(engine.infer(frames(n)), reference.infer(frames(n)), rtol=1e-5)


def test_the_description_names_runtime_version_and_precision(tmp_path: Path, engine_of: Open) -> None:
    engine = engine_of(tiny_manifest(tmp_path), 1)
    runtime, version, device, precision = engine.description.split()
    assert runtime in ENGINES
    assert version[0].isdigit()
    assert device == ("cuda" if runtime == "tensorrt" else "cpu")
    assert precision == "f32"


def test_a_file_that_is_no_model_is_refused_by_name(tmp_path: Path, runtime_of: Open) -> None:
    weights = tmp_path / "broken.onnx"
    for content in (b"", b"not a model at all", tiny_onnx(tmp_path / "good.onnx").read_bytes()[:-40]):
        weights.write_bytes(content)
        manifest = ModelManifest.load(write_manifest(tmp_path, weights, FREE, TINY_CLASSES))
        with pytest.raises(ModelRefused, match=r"broken\.onnx.*again"):
            runtime_of(manifest, 1)


def test_weights_exchanged_after_the_manifest_was_checked_are_refused(tmp_path: Path, runtime_of: Open) -> None:
    manifest = tiny_manifest(tmp_path)
    tiny_onnx(manifest.weights, batch=2)
    with pytest.raises(ModelRefused, match=r"tiny\.onnx changed"):
        runtime_of(manifest, 1)


def test_weights_that_point_to_other_files_are_refused(
    tmp_path: Path, runtime_of: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "apart.onnx"
    model = onnx.load(tiny_onnx(tmp_path / "tiny.onnx"))
    onnx.save(model, weights, save_as_external_data=True, location="apart.bin", size_threshold=0)
    # Here both runtimes would find it.
    monkeypatch.chdir(tmp_path)
    manifest = ModelManifest.load(write_manifest(tmp_path, weights, FREE, TINY_CLASSES))
    with pytest.raises(ModelRefused, match=r"apart\.onnx keeps tensors in other files"):
        runtime_of(manifest, 1)


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        (replace(FREE, size=64), "correct .input."),
        (replace(FREE, name="data"), "name is 'data'"),
        (replace(FREE, dynamic_batch=False), "dynamic_batch = false"),
    ],
)
def test_a_manifest_that_contradicts_the_model_is_refused(
    tmp_path: Path, runtime_of: Open, written: Shape, remedy: str
) -> None:
    weights = tiny_onnx(tmp_path / "tiny.onnx")
    manifest = ModelManifest.load(write_manifest(tmp_path, weights, written, TINY_CLASSES))
    with pytest.raises(ModelRefused, match=rf"tiny\.onnx.*{remedy}"):
        runtime_of(manifest, 1)


def test_a_real_model_finds_the_same_twice(tmp_path: Path, runtime_of: Open) -> None:
    manifest = ModelManifest.load(write_manifest(tmp_path, shared_data("weights", "yolo11n_int8.onnx")))
    engine = runtime_of(manifest, 8)
    assert engine.max_batch == 1
    frame = frames(1, 320)
    np.testing.assert_array_equal(engine.infer(frame), engine.infer(frame))
    assert engine.infer(frame).shape == (1, 84, 2100)


def test_a_batch_the_graph_cannot_take_is_a_fault_and_the_next_batch_is_not(tmp_path: Path, runtime_of: Open) -> None:
    weights = even_batches_only(tmp_path / "even.onnx")
    engine = runtime_of(ModelManifest.load(write_manifest(tmp_path, weights, FREE, TINY_CLASSES)), 4)
    before = engine.infer(frames(2))
    with pytest.raises(EngineFault, match="3 frames"):
        engine.infer(frames(3))
    np.testing.assert_array_equal(engine.infer(frames(2)), before)


def test_a_compiled_model_can_be_kept_in_a_directory(tmp_path: Path) -> None:
    manifest, cache = tiny_manifest(tmp_path), tmp_path / "cache"
    first = OpenVinoEngine(manifest, 2, threads=1, precision="f32", cache=cache).infer(frames(2))
    assert [*cache.iterdir()]
    again = OpenVinoEngine(manifest, 2, threads=1, precision="f32", cache=cache).infer(frames(2))
    np.testing.assert_array_equal(first, again)
