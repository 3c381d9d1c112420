"""What is done to ONNX graphs, checked with ONNX Runtime and the starter model."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from framegate.adapters import onnx_graphs
from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import ModelManifest
from framegate.starter import starter_dir
from tests.support.models import TINY_CLASSES, convolving_manifest, tiny_manifest, tiny_onnx


def run(data: bytes, batch: NDArray[np.generic]) -> NDArray[np.float32]:
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    answer: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: batch})[0]
    return answer


def frames(n: int = 2, size: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, size, size, 3), np.uint8)


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_a_graph_that_takes_frames_answers_what_the_old_one_did(tmp_path: Path, color: str) -> None:
    manifest = tiny_manifest(tmp_path, color=color, scale=0.5)
    data, batch = manifest.weights.read_bytes(), frames()
    ordered = batch[..., ::-1] if color == "bgr" else batch
    old = run(data, ordered.transpose(0, 3, 1, 2).astype(np.float32) * np.float32(0.5))
    np.testing.assert_array_equal(run(onnx_graphs.with_frames_as_input(data, manifest), batch), old)


def test_bytes_are_cast_before_anything_else_because_tensorrt_computes_with_none(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path, color="bgr")
    graph = onnx.load_from_string(onnx_graphs.with_frames_as_input(manifest.weights.read_bytes(), manifest)).graph
    (readers,) = [[node.op_type for node in graph.node if i.name in node.input] for i in graph.input]
    assert readers == ["Cast"]
    assert [d.dim_value or d.dim_param for d in graph.input[0].type.tensor_type.shape.dim] == ["batch", 32, 32, 3]


def test_a_model_that_takes_half_floats_takes_frames_too(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path)
    model = onnx.load(manifest.weights)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    model.graph.node.insert(0, helper.make_node("Cast", ["images"], ["wide"], to=TensorProto.FLOAT))
    for node in model.graph.node[1:]:
        node.input[:] = ["wide" if name == "images" else name for name in node.input]
    taken = onnx_graphs.with_frames_as_input(model.SerializeToString(), manifest)
    exact = onnx_graphs.with_frames_as_input(manifest.weights.read_bytes(), manifest)
    np.testing.assert_allclose(run(taken, frames()), run(exact, frames()), rtol=1e-3)


def test_half_precision_stops_where_boxes_are_placed(tmp_path: Path) -> None:
    manifest = convolving_manifest(tmp_path)
    data, batch = manifest.weights.read_bytes(), frames()
    exact = run(onnx_graphs.with_frames_as_input(data, manifest), batch)
    half = onnx_graphs.in_half_precision(data, manifest)
    np.testing.assert_allclose(run(onnx_graphs.with_frames_as_input(half, manifest), batch), exact, atol=2e-3)
    types = {tensor.name: tensor.data_type for tensor in onnx.load_from_string(half).graph.initializer}
    assert TensorProto.FLOAT16 in types.values()
    assert types["place"] == TensorProto.FLOAT
    whole = run(half, batch.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    assert not np.array_equal(whole.astype(np.float16), whole), "boxes went through half floats"


def test_int8_for_tensorrt_is_signed_symmetric_and_stops_at_the_head(tmp_path: Path) -> None:
    manifest = convolving_manifest(tmp_path)
    data, batch = manifest.weights.read_bytes(), frames(4).transpose(0, 3, 1, 2).astype(np.float32) / 255
    quantised = onnx_graphs.in_int8(data, manifest, [batch], for_tensorrt=True)
    graph = onnx.load_from_string(quantised).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scaled = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert scaled
    assert all(values[node.input[2]].dtype == np.int8 and not values[node.input[2]].any() for node in scaled)
    assert {values[name].dtype for name in values if name.startswith("w1") and name.endswith("quantized")} == {
        np.dtype(np.int8)
    }
    assert "w2" in values, "the last convolution makes boxes and stays as it is"
    assert onnx_graphs.is_quantised(quantised, manifest)
    assert not onnx_graphs.is_quantised(data, manifest)
    np.testing.assert_allclose(run(quantised, batch), run(data, batch), atol=0.02)


def test_int8_for_processors_uses_seven_bits_of_its_weights_so_that_no_sum_overflows(tmp_path: Path) -> None:
    manifest = convolving_manifest(tmp_path)
    data, batch = manifest.weights.read_bytes(), frames(4).transpose(0, 3, 1, 2).astype(np.float32) / 255
    quantised = onnx_graphs.in_int8(data, manifest, [batch], for_tensorrt=False)
    values = {t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(quantised).graph.initializer}
    (weights,) = [value for name, value in values.items() if name.startswith("w1") and name.endswith("quantized")]
    assert weights.dtype == np.int8
    assert np.abs(weights.astype(int)).max() <= 64
    assert {value.dtype for name, value in values.items() if name.startswith("images") and "zero" in name} == {
        np.dtype(np.uint8)
    }
    np.testing.assert_allclose(run(quantised, batch), run(data, batch), atol=0.03)


def test_the_starter_in_half_precision_finds_the_same_boxes() -> None:
    manifest = ModelManifest.load(starter_dir())
    data, batch = manifest.weights.read_bytes(), frames(1, 640)
    half = onnx_graphs.for_tensorrt(data, manifest, half=True)
    exact = onnx_graphs.for_tensorrt(data, manifest, half=False)
    assert len(half) < 0.6 * len(exact)
    ours, theirs = run(half, batch)[0], run(exact, batch)[0]
    clear = theirs[theirs[:, 4] > 0.1]
    assert len(clear)
    for row in clear:
        same = ours[ours[:, 5] == row[5]]
        assert np.abs(same - row).max(axis=1).min() < 0.5


def test_a_model_that_branches_is_refused_with_the_remedy(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path)
    model = onnx.load(manifest.weights)
    branch = helper.make_graph([helper.make_node("Identity", ["means"], ["b"])], "branch", [], [])
    branch.output.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, None))
    model.graph.node.append(helper.make_node("If", ["yes"], ["unused"], then_branch=branch, else_branch=branch))
    with pytest.raises(ModelRefused, match=r"tiny\.onnx branches \(If\).*choose f32"):
        onnx_graphs.in_half_precision(model.SerializeToString(), manifest)


def test_two_outputs_are_refused(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path)
    model = onnx.load(tiny_onnx(tmp_path / "two.onnx"))
    model.graph.output.append(helper.make_tensor_value_info("flat", TensorProto.FLOAT, ["batch", 6]))
    with pytest.raises(ModelRefused, match="has 2 outputs"):
        onnx_graphs.for_tensorrt(model.SerializeToString(), manifest, half=False)
    assert manifest.classes == TINY_CLASSES
