"""What is done to an ONNX graph before a runtime gets it: frames as input, half precision, INT8.

Half precision and INT8 stop at the head, the nodes after the last convolutions: half a float cannot tell pixel 515.2 from
515.0, and a box is made of such numbers. TensorRT 11 has no precision of its own any more, it builds what the graph says:
https://docs.nvidia.com/deeplearning/tensorrt/latest/api/migration/tensorrt-10x-to-11x-python-api-patterns.html
"""

import contextlib
import logging
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.serving import check_input

_FRAMES: Final = "framegate_frames"
_SCALE, _ORDER = "framegate_scale", "framegate_order"
_CONVOLUTIONS: Final = ("Conv", "ConvTranspose")


def is_quantised(data: bytes, manifest: ModelManifest) -> bool:
    """Whether the model carries its own INT8 scales (Q/DQ nodes)."""
    return any(node.op_type == "QuantizeLinear" for node in _load(data, manifest).graph.node)


def for_tensorrt(data: bytes, manifest: ModelManifest, *, half: bool) -> bytes:
    """The model as TensorRT builds it: frames in, in half precision where it is wanted.

    Raises `ModelRefused`, also when the model is not what its manifest says.
    """
    graph = _load(data, manifest).graph
    check_input(manifest, _inputs(graph))
    if len(graph.output) != 1:
        raise ModelRefused(f"{manifest.weights} has {len(graph.output)} outputs: export a detector with one")
    return with_frames_as_input(in_half_precision(data, manifest) if half else data, manifest)


def with_frames_as_input(data: bytes, manifest: ModelManifest) -> bytes:
    """The graph takes uint8 RGB (n, height, width, 3) and normalises it itself, as the manifest's [input] says.

    The cast comes first: TensorRT knows uint8 only at the border of a network.
    https://docs.nvidia.com/deeplearning/tensorrt/latest/_static/python-api/infer/FoundationalTypes/DataType.html
    """
    onnx_model, model = _load(data, manifest), manifest.input
    graph = onnx_model.graph
    old = next(i for i in graph.input if i.name == model.name)
    element_type, batch = old.type.tensor_type.elem_type, old.type.tensor_type.shape.dim[0]
    frames = helper.make_tensor_value_info(
        _FRAMES, TensorProto.UINT8, [batch.dim_param or batch.dim_value, model.height, model.width, 3]
    )
    nodes = [helper.make_node("Cast", [_FRAMES], ["framegate_float"], to=TensorProto.FLOAT)]
    last = "framegate_float"
    if model.color == "bgr":
        graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), _ORDER))
        nodes.append(helper.make_node("Gather", [last, _ORDER], ["framegate_ordered"], axis=3))
        last = "framegate_ordered"
    graph.initializer.append(numpy_helper.from_array(np.array(model.scale, np.float32), _SCALE))
    nodes += [
        helper.make_node("Mul", [last, _SCALE], ["framegate_scaled"]),
        helper.make_node("Transpose", ["framegate_scaled"], ["framegate_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["framegate_planes"], [model.name], to=element_type),
    ]
    rest = list(graph.node)
    del graph.node[:], graph.input[:]
    graph.input.append(frames)
    graph.node.extend([*nodes, *rest])
    return _bytes(onnx_model, manifest)


def in_half_precision(data: bytes, manifest: ModelManifest) -> bytes:
    """float16 up to the head; input, output and head stay float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx_model = _load(data, manifest)
    head = _head(onnx_model.graph, manifest)
    try:
        half = convert_float_to_float16(onnx_model, keep_io_types=True, op_block_list=[], node_block_list=head)
    except Exception as error:
        # The converter raises whatever its parts raise.
        raise ModelRefused(f"{manifest.weights} cannot be brought to half precision: {error}; use f32") from error
    _keep_head_whole(half.graph)
    return _bytes(half, manifest)


def in_int8(
    data: bytes, manifest: ModelManifest, batches: Sequence[NDArray[np.float32]], *, for_tensorrt: bool
) -> bytes:
    """Convolutions up to the head in INT8, with scales from `batches` (n, 3, height, width), the model's own input.

    TensorRT takes signed, symmetric values only. Processors get unsigned activations and weights of seven bits: without
    VNNI their sums of eight-bit products overflow.
    https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/work-quantized-types.html
    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    onnx_model = _load(data, manifest)
    with tempfile.TemporaryDirectory(prefix="framegate-int8-") as directory, _without_advice():
        target = Path(directory) / "model.onnx"
        try:
            quantize_static(
                onnx_model,
                target,
                _reader(batches, manifest.input.name),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=_head(onnx_model.graph, manifest),
                per_channel=True,
                reduce_range=not for_tensorrt,
                activation_type=QuantType.QInt8 if for_tensorrt else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"ActivationSymmetric": for_tensorrt, "QuantizeBias": not for_tensorrt},
            )
        except Exception as error:
            # The quantiser raises whatever its parts raise.
            raise ModelRefused(f"{manifest.weights} cannot be quantised: {error}; export it with f32") from error
        return target.read_bytes()


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """The quantiser advises on standard error to optimise graphs first; exported detectors have nothing to fold."""
    root = logging.getLogger()
    root.addFilter(_is_no_advice)
    try:
        yield
    finally:
        root.removeFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()


def _reader(batches: Sequence[NDArray[np.float32]], name: str) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    rest: Iterator[NDArray[np.float32]] = iter(batches)

    def get_next(_: Any) -> dict[str, NDArray[np.float32]] | None:
        batch = next(rest, None)
        return None if batch is None else {name: batch}

    return type("Reader", (CalibrationDataReader,), {"get_next": get_next})()


def _head(graph: Any, manifest: ModelManifest) -> list[str]:
    """Names of the nodes after which no convolution comes, the last convolutions included."""
    nodes, readers = list(graph.node), defaultdict(list)
    for number, node in enumerate(nodes):
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise ModelRefused(
                f"{manifest.weights} branches ({node.op_type}) and can be used as it is only: choose f32"
            )
        node.name = node.name or f"framegate_{number}"
        for name in node.input:
            readers[name].append(number)
    convolves = [False] * len(nodes)
    for number in reversed(range(len(nodes))):
        after = [reader for name in nodes[number].output for reader in readers[name]]
        convolves[number] = any(nodes[r].op_type in _CONVOLUTIONS or convolves[r] for r in after)
    return [node.name for node, body in zip(nodes, convolves, strict=True) if not body]


def _keep_head_whole(graph: Any) -> None:
    """The converter casts to half and back between any two nodes that it was told to leave alone: takes that out."""
    made_by = {name: node for node in graph.node for name in node.output}
    outputs, whole = {output.name for output in graph.output}, dict[str, str]()
    for node in graph.node:
        source = made_by.get(node.input[0]) if node.input else None
        if source is not None and _casts_to(node) == TensorProto.FLOAT and _casts_to(source) == TensorProto.FLOAT16:
            whole[node.output[0]] = whole.get(source.input[0], source.input[0])
    for node in graph.node:
        if node.output[0] in whole and node.output[0] in outputs:
            node.CopyFrom(helper.make_node("Identity", [whole[node.output[0]]], list(node.output), node.name))
        for place, name in enumerate(node.input):
            node.input[place] = whole.get(name, name)
    read = outputs.union(*(node.input for node in graph.node))
    kept = [node for node in graph.node if read.intersection(node.output)]
    # The converter appends its casts at the end.
    maker = {name: number for number, node in enumerate(kept) for name in node.output}
    needs = {number: [maker[name] for name in node.input if name in maker] for number, node in enumerate(kept)}
    del graph.node[:]
    graph.node.extend(kept[number] for number in TopologicalSorter(needs).static_order())


def _casts_to(node: Any) -> int | None:
    return next((a.i for a in node.attribute if a.name == "to"), None) if node.op_type == "Cast" else None


def _inputs(graph: Any) -> dict[str, list[int | None]]:
    weights = {tensor.name for tensor in graph.initializer}
    return {
        i.name: [d.dim_value if d.HasField("dim_value") else None for d in i.type.tensor_type.shape.dim]
        for i in graph.input
        if i.name not in weights
    }


def _load(data: bytes, manifest: ModelManifest) -> Any:
    try:
        model = onnx.load_from_string(data)
    except Exception as error:
        # The bindings' errors share no base class but Exception.
        raise ModelRefused(f"{manifest.weights} is not an ONNX file: {error}; export the model again") from error
    if not model.graph.node:
        raise ModelRefused(f"{manifest.weights} is not an ONNX file, it has no nodes: export the model again")
    return model


def _bytes(model: Any, manifest: ModelManifest) -> bytes:
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelRefused(f"{manifest.weights} cannot be changed as is needed: {error}; use another engine") from error
    return bytes(model.SerializeToString())
