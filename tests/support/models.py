"""Models for tests: tiny ones made on the spot, and manifests for any weights."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from framegate.kernel.manifest import ModelManifest

TINY_CLASSES = ("hole", "tear", "dent")
COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What a manifest says about weights, apart from their classes."""

    head: str
    size: int
    color: str = "rgb"
    scale: float = 1 / 255
    letterbox: str = "center"
    dynamic_batch: bool = False
    name: str = "images"


#: The real weights of the shared test data; all of them know the classes of COCO.
REAL = {
    "yolo26n_int8": Shape("end2end", 640),
    "yolo11n_int8": Shape("anchors", 320),
    "yolox_nano": Shape("yolox", 416, "bgr", 1.0, "top-left"),
}


def confidence_tolerance() -> float:
    """How far a confidence of the quantised models may be from the reference, which a processor with VNNI computed.

    Without VNNI, ONNX Runtime's sums of U8 x S8 products saturate at 16 bits: measured on an AMD EPYC with AVX2 only, one
    box of 20 is 0.054 off, while OpenVINO, which does not saturate, is 0.011 off there.
    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html#when-and-why-do-i-need-to-try-u8u8
    """
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text("utf-8").split() if cpuinfo.exists() else []
    return 0.05 if {"avx_vnni", "avx512_vnni"} & {*flags} else 0.06


def write_manifest(
    directory: Path, weights: Path, shape: Shape | None = None, classes: Sequence[str] | None = None
) -> Path:
    """Writes `<directory>/model.toml` for `weights`, wherever they lie; `shape` may be left out for the real ones."""
    shape = shape or REAL[weights.stem]
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "model.toml"
    file.write_text(
        f"""
schema = 1
name = "{weights.stem}"
version = "1"
licence = "test"
file = {json.dumps(str(weights.resolve()))}
sha256 = "{hashlib.sha256(weights.read_bytes()).hexdigest()}"
[model]
head = "{shape.head}"
classes = {json.dumps(list(classes or COCO))}
[input]
width = {shape.size}
height = {shape.size}
dynamic_batch = {json.dumps(shape.dynamic_batch)}
dynamic_size = false
name = "{shape.name}"
color = "{shape.color}"
scale = {shape.scale!r}
letterbox = "{shape.letterbox}"
""",
        "utf-8",
    )
    return file


def tiny_onnx(path: Path, batch: int | str = "batch", size: int = 32) -> Path:
    """A model whose one box tells what the graph was fed: x1, y1, x2, y2 = mean of channel 0, 1, 2 and of the first row
    of channel 0; confidence 0.5; class 1.
    """
    spread = np.zeros((4, 6), np.float32)
    spread[0, 0] = spread[1, 1] = spread[2, 2] = spread[3, 3] = 1
    constants: dict[str, NDArray[Any]] = {
        "spread": spread,
        "offset": np.array([0, 0, 0, 0, 0.5, 1], np.float32),
        "image": np.array([2, 3], np.int64),
        "one": np.array([1], np.int64),
        "from": np.array([0, 0], np.int64),
        "to": np.array([1, 1], np.int64),
        "planes": np.array([1, 2], np.int64),
    }
    nodes = [
        helper.make_node("ReduceMean", ["images", "image"], ["means"], keepdims=0),
        helper.make_node("Slice", ["images", "from", "to", "planes"], ["first"]),
        helper.make_node("ReduceMean", ["first", "image"], ["row"], keepdims=0),
        helper.make_node("Concat", ["means", "row"], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "spread"], ["placed"]),
        helper.make_node("Add", ["placed", "offset"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "one"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [batch, 1, 6])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def tiny_manifest(directory: Path, batch: int | str = "batch", color: str = "rgb", scale: float = 1.0) -> ModelManifest:
    """`tiny_onnx` with its manifest in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    weights = tiny_onnx(directory / "tiny.onnx", batch)
    shape = Shape("end2end", 32, color, scale, dynamic_batch=isinstance(batch, str))
    return ModelManifest.load(write_manifest(directory, weights, shape, TINY_CLASSES))


def convolving_onnx(path: Path) -> Path:
    """Two convolutions and a head that makes of them one clear box, which depends on the picture a little. 32 x 32."""
    rng = np.random.default_rng(1)
    constants: dict[str, NDArray[Any]] = {
        "w1": rng.normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32),
        "w2": rng.normal(0, 0.2, (6, 8, 3, 3)).astype(np.float32),
        "spread": np.array([1, 1, 1, 1, 0.1, 0], np.float32),
        "place": np.array([2, 3, 24, 25, 0.8, 1], np.float32),
        "one": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["images", "w1"], ["c1"]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"]),
        helper.make_node("GlobalAveragePool", ["c2"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Sigmoid", ["flat"], ["squeezed"]),
        helper.make_node("Mul", ["squeezed", "spread"], ["spreaded"]),
        helper.make_node("Add", ["spreaded", "place"], ["placed"]),
        helper.make_node("Unsqueeze", ["placed", "one"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "convolving",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 1, 6])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def convolving_manifest(directory: Path) -> ModelManifest:
    """`convolving_onnx` with its manifest in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    weights = convolving_onnx(directory / "convolving.onnx")
    return ModelManifest.load(
        write_manifest(directory, weights, Shape("end2end", 32, dynamic_batch=True), TINY_CLASSES)
    )


def constant_onnx(
    path: Path,
    output: NDArray[np.float32],
    takes: Sequence[int | str] = (1, 3, 64, 64),
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A model that answers `output` whatever it is shown."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["answer", "nothing"], ["output0"]),
    ]
    constants = {"zero": np.float32(0), "answer": output}
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, list(takes))],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, list(output.shape))],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save(model, path)
    return path


def tiny_classifier(directory: Path, size: int = 32, *, shares: bool = True) -> ModelManifest:
    """A classifier whose probabilities are the shares of red, green and blue in its input; without `shares` it answers
    with the means themselves, as one without its softmax would.
    """
    directory.mkdir(parents=True, exist_ok=True)
    axes = {"image": np.array([2, 3], np.int64), "classes": np.array([1], np.int64)}
    nodes = [
        helper.make_node("ReduceMean", ["images", "image"], ["means"], keepdims=0),
        helper.make_node("ReduceSum", ["means", "classes"], ["sum"], keepdims=1),
        helper.make_node("Div", ["means", "sum"], ["output0"]),
    ]
    if not shares:
        nodes[1:] = [helper.make_node("Identity", ["means"], ["output0"])]
        del axes["classes"]
    graph = helper.make_graph(
        nodes,
        "tiny-cls",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, size, size])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(value, name) for name, value in axes.items()],
    )
    weights = directory / "tiny-cls.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), weights)
    return ModelManifest.load(
        write_manifest(directory, weights, Shape("classify", size, dynamic_batch=True), TINY_CLASSES)
    )
