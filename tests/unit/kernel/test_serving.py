import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import Head, ModelInput, ModelManifest
from framegate.kernel.serving import read_weights


def manifest(file: Path) -> ModelManifest:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    box = ModelInput(32, 32, dynamic_batch=True, dynamic_size=False)
    return ModelManifest("m", "1", "test", file, digest, Head.END2END, ("a",), box, 0.1, {}, (), {})


def apart(name: str) -> TensorProto:
    """A tensor whose values are in another file."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def save(file: Path, *nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> Path:
    graph = helper.make_graph(nodes, "g", [], [], initializers)
    file.write_bytes(helper.make_model(graph).SerializeToString())
    return file


def test_a_model_with_its_weights_inside_is_read_whole(tmp_path: Path) -> None:
    inside = numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
    file = save(tmp_path / "m.onnx", helper.make_node("Constant", [], ["c"], value=inside), initializers=(inside,))
    assert read_weights(manifest(file)) == file.read_bytes()


def test_a_tensor_elsewhere_is_found_wherever_it_hides(tmp_path: Path) -> None:
    constant = helper.make_node("Constant", [], ["c"], value=apart("w"))
    branch = helper.make_graph([constant], "branch", [], [])
    sparse = helper.make_sparse_tensor(apart("v"), numpy_helper.from_array(np.zeros(4, np.int64), "i"), [9])
    hiding_places = [
        save(tmp_path / "initializer.onnx", initializers=(apart("w"),)),
        save(tmp_path / "attribute.onnx", constant),
        save(tmp_path / "branch.onnx", helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)),
        save(tmp_path / "sparse.onnx", helper.make_node("Constant", [], ["c"], sparse_value=sparse)),
    ]
    for file in hiding_places:
        with pytest.raises(ModelRefused, match=rf"{file.name} keeps tensors in other files"):
            read_weights(manifest(file))


def test_branches_nested_beyond_reason_are_refused(tmp_path: Path) -> None:
    def message(field: int, content: bytes) -> bytes:
        size = len(content)
        return bytes([field << 3 | 2, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14]) + content

    graph = b""
    for _ in range(2000):
        node = message(5, message(6, graph))
        graph = message(1, node)
    file = tmp_path / "deep.onnx"
    file.write_bytes(message(7, graph))
    with pytest.raises(ModelRefused, match=r"deep\.onnx is not an ONNX file \(nested too deeply\)"):
        read_weights(manifest(file))


@given(st.binary(max_size=200))
def test_whatever_the_bytes_are_the_answer_is_the_bytes_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.onnx"
    file.write_bytes(data)
    with suppress(ModelRefused):
        assert read_weights(manifest(file)) == data


def test_weights_that_are_gone_are_named(tmp_path: Path) -> None:
    file = save(tmp_path / "m.onnx")
    known = manifest(file)
    file.unlink()
    with pytest.raises(ModelRefused, match=r"cannot read the weights .*m\.onnx: No such file"):
        read_weights(known)
