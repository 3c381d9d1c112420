"""What every engine checks, whichever runtime it wraps: the weights file, the model's input, the frames."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import ModelManifest

# Messages of onnx.proto3 that lead to a tensor: field number -> the message it holds.
_FIELDS: Final[dict[str, dict[int, str]]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Graph": {1: "Node", 5: "Tensor", 15: "Sparse"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "Sparse", 23: "Sparse"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_DEEPEST = 64
_OTHERS: Final = {
    ".engine": "an engine of TensorRT: serve it with FRAMEGATE_ENGINE=tensorrt, or take the ONNX file it was built from",
    ".xml": "for OpenVINO's own tools: serve the ONNX file it was made from",
}


def read_checked(manifest: ModelManifest) -> bytes:
    """The weights' bytes, read once, so that what was checked against the sha256 is what is served.

    Raises `ModelRefused`.
    """
    try:
        data = manifest.weights.read_bytes()
    except OSError as error:
        raise ModelRefused(f"cannot read the weights {manifest.weights}: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise ModelRefused(f"{manifest.weights} changed while it was loaded: fetch it again or correct its manifest")
    return data


def read_weights(manifest: ModelManifest) -> bytes:
    """`read_checked` for an ONNX file that holds all its tensors. Raises `ModelRefused`.

    External data is refused here and not left to the runtimes: given bytes, they look for it in the working directory.
    """
    if remedy := _OTHERS.get(manifest.weights.suffix):
        raise ModelRefused(f"{manifest.weights} is {remedy}")
    data = read_checked(manifest)
    check_onnx(data, manifest.weights)
    return data


def check_onnx(data: bytes, where: Path) -> None:
    """Refuses what is no ONNX file by its structure, and tensors in other files; raises `ModelRefused`."""
    try:
        external = _has_external_data(memoryview(data), "Model", 0)
    except (ValueError, IndexError) as error:
        raise ModelRefused(f"{where} is not an ONNX file ({error}): export the model again") from error
    if external:
        raise ModelRefused(f"{where} keeps tensors in other files: export it with all weights in one file")


def check_input(manifest: ModelManifest, inputs: Mapping[str, Sequence[int | None]]) -> int | None:
    """Compares the model's NCHW `inputs` (None: a dynamic dimension) with the manifest; raises `ModelRefused`.

    Returns the batch the model was exported for, None when any batch will do.
    """
    where, want = manifest.weights, manifest.input
    if set(inputs) != {want.name}:
        raise ModelRefused(f"{where} has the inputs {sorted(inputs)}: the manifest's [input] name is {want.name!r}")
    shape = tuple(inputs[want.name])
    expected = (3, want.height, want.width)
    if len(shape) != 4 or any(d not in (None, e) for d, e in zip(shape[1:], expected, strict=True)):
        raise ModelRefused(
            f"{where} takes {shape}, not (n, 3, {want.height}, {want.width}): correct [input] in its manifest"
        )
    if want.dynamic_batch != (shape[0] is None):
        says = "true" if want.dynamic_batch else "false"
        raise ModelRefused(f"{where} takes {shape}: dynamic_batch = {says} in its manifest's [input] must be changed")
    return shape[0]


def check_frames(manifest: ModelManifest, max_batch: int, frames: NDArray[np.uint8]) -> int:
    """How many frames these are; raises `ValueError` for what no caller may pass."""
    shape = (manifest.input.height, manifest.input.width, 3)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != shape:
        raise ValueError(f"frames must be uint8 (n, {shape[0]}, {shape[1]}, 3), not {frames.dtype} {frames.shape}")
    if not 1 <= len(frames) <= max_batch:
        raise ValueError(f"{len(frames)} frames in a batch; this engine takes 1 to {max_batch}")
    return len(frames)


def _has_external_data(data: memoryview, kind: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    follow, at = _FIELDS[kind], 0
    while at < len(data):
        key, at = _varint(data, at)
        field, wire = key >> 3, key & 7
        value, at = _value(data, at, wire)
        if kind == "Tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value)):
            return True
        if field in follow:
            if not isinstance(value, memoryview):
                raise ValueError(f"field {field} of {kind} is not a message")
            if _has_external_data(value, follow[field], depth + 1):
                return True
    return False


def _value(data: memoryview, at: int, wire: int) -> tuple[Any, int]:
    """Protocol Buffers encoding: https://protobuf.dev/programming-guides/encoding/."""
    if wire == _VARINT:
        return _varint(data, at)
    if wire == _LENGTH:
        size, at = _varint(data, at)
    elif wire in (_FIXED64, _FIXED32):
        size = 8 if wire == _FIXED64 else 4
    else:
        raise ValueError(f"wire type {wire} at byte {at}")
    if at + size > len(data):
        raise ValueError("it is cut short")
    return data[at : at + size], at + size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"number too long at byte {at}")
