"""The engine file: a header that says what the plan was built from, for and with, then TensorRT's plan.

The layout is that of ultralytics' exporter, so that one reader reads both: a 4-byte little-endian length, that many bytes
of JSON, the plan. https://github.com/ultralytics/ultralytics/blob/main/ultralytics/utils/export/engine.py
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import ModelInput

Precision = Literal["f32", "f16", "int8"]
_ENTRY = "framegate"
_LENGTH_BYTES = 4
#: Goes up when graphs are prepared differently.
RECIPE = 1


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Engines are equal when all of this is. Plans run on the kind of GPU and the version that built them only.

    https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/advanced.html
    """

    onnx: str  #: sha256 of the weights it was built from
    compute_capability: str
    device: str
    tensorrt: str
    precision: Precision
    max_batch: int  #: the profile: 1 to this many frames, fastest for this many
    input: str  #: how frames are normalised

    @property
    def digest(self) -> str:
        """Names the file in the cache."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


def describe_input(model: ModelInput) -> str:
    """What the graph does with frames before the model's own input."""
    batch = "n" if model.dynamic_batch else "fixed"
    return f"{RECIPE} {model.name} {batch} {model.color} {model.width}x{model.height} {model.scale!r}"


@dataclass(frozen=True, slots=True)
class EngineFile:
    """A parsed file; `key` is None for an engine that somebody else built."""

    key: EngineKey | None
    plan: bytes


def pack(key: EngineKey, plan: bytes) -> bytes:
    """The file's bytes."""
    entry = {**asdict(key), "plan_sha256": hashlib.sha256(plan).hexdigest()}
    header = json.dumps({_ENTRY: entry}, sort_keys=True).encode()
    return len(header).to_bytes(_LENGTH_BYTES, "little") + header + plan


def unpack(data: bytes, where: Path) -> EngineFile:
    """Takes our files, ultralytics' and bare plans. Raises `ModelRefused` for a damaged one of ours or an empty one."""
    header, plan = _split(data)
    if not plan:
        raise ModelRefused(f"{where} holds no TensorRT engine: build it again from the ONNX file")
    if _ENTRY not in header:
        return EngineFile(None, plan)
    try:
        entry = header[_ENTRY]
        key = EngineKey(**{field.name: entry[field.name] for field in fields(EngineKey)})
        expected = entry["plan_sha256"]
    except (KeyError, TypeError) as error:
        raise ModelRefused(f"the header of {where} is not complete ({error!r}): build the engine again") from error
    if hashlib.sha256(plan).hexdigest() != expected:
        raise ModelRefused(f"{where} is damaged, its plan is not the one that was written: build the engine again")
    return EngineFile(key, plan)


def check_key(found: EngineKey, wanted: EngineKey, where: Path, remedy: str) -> None:
    """Raises `ModelRefused` with the first thing that differs."""
    for field in fields(EngineKey):
        has, wants = getattr(found, field.name), getattr(wanted, field.name)
        if has != wants:
            name = field.name.replace("_", " ")
            raise ModelRefused(f"{where} was built with {name} {has}, here it is {wants}: {remedy}")


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """A bare plan starts with letters: read as a length, they reach beyond any file."""
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    if end > len(data):
        return {}, data
    try:
        header = json.loads(data[_LENGTH_BYTES:end])
    except ValueError:
        return {}, data
    return (header, data[end:]) if isinstance(header, dict) else ({}, data)
