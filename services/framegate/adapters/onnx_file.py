"""What an ONNX file says about itself: inputs, outputs, and the metadata that ultralytics leaves in it."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import onnxruntime as ort

from framegate.kernel.errors import ModelRefused
from framegate.kernel.weights import Shape, WeightsFacts

_ERRORS_ONLY: Final = 3


def describe_onnx(data: bytes, where: Path) -> WeightsFacts:
    """Loads the graph without optimising it. Raises `ModelRefused` for what ONNX Runtime cannot load or is no picture model."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # The bindings' errors share no base class but Exception.
        brief = " ".join(str(error).split())[:300]
        raise ModelRefused(
            f"ONNX Runtime {ort.__version__} cannot load {where}: {brief}; export the model again, without custom "
            "operators and with all weights in one file"
        ) from error
    inputs, outputs = _shapes(session.get_inputs()), _shapes(session.get_outputs())
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelRefused(
            f"{where} has the inputs {sorted(inputs)} and the outputs {sorted(outputs)}: "
            "export a detector or classifier with one of each (no masks, no key points, NMS left out)"
        )
    (name, taken), (given,) = inputs.popitem(), outputs.values()
    said: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    return WeightsFacts(
        format="onnx",
        input_name=name,
        input_shape=taken,
        output_shape=given,
        classes=_names(said.get("names", ""), where),
        size=_size(said.get("imgsz", "")),
        stride=_integer(said.get("stride", "")),
        task=said.get("task", ""),
        end2end=said.get("end2end", "").lower() == "true",
        licence=said.get("license", "").split(" License", 1)[0].strip(),
        origin=" ".join(part for part in (said.get("description", ""), said.get("version", "")) if part),
    )


def _shapes(ports: Any) -> dict[str, Shape]:
    """ONNX Runtime gives symbolic dimensions as text or None, and unknown ones as 0 or less."""
    return {p.name: tuple(d if isinstance(d, int) and d > 0 else None for d in p.shape) for p in ports}


def _literal(text: str) -> Any:
    """Ultralytics writes `str()` of Python values. None for what is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _names(text: str, where: Path) -> tuple[str, ...]:
    """A dictionary from 0, 1, ... to names as ultralytics writes it, or names with commas between them."""
    if not text.strip():
        return ()
    if not text.lstrip().startswith("{"):
        return tuple(name.strip() for name in text.split(","))
    names = _literal(text)
    if not isinstance(names, dict) or sorted(map(str, names)) != sorted(map(str, range(len(names)))):
        raise ModelRefused(f"the class names in the metadata of {where} are damaged: give --classes FILE")
    return tuple(str(names[i]) for i in range(len(names)))


def _size(text: str) -> tuple[int, int] | None:
    """(width, height): `imgsz` is [height, width], or one number for both."""
    match _literal(text):
        case int(side):
            return side, side
        case [int(height), int(width)] | (int(height), int(width)):
            return width, height
    return None


def _integer(text: str) -> int | None:
    value = _literal(text)
    return value if isinstance(value, int) else None
