"""A plan that was loaded, and what it takes and gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framegate.adapters.engine_tensorrt.platform import Complaints, Platform
from framegate.adapters.engine_tensorrt.runtime_api import CudaEngine, ExecutionContext, TensorRt
from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import ModelManifest


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output; `frame` is its shape without the batch."""

    name: str
    dtype: type[np.generic]
    frame: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A context and the batches it takes: from `least` to `most` frames.

    uint8 input is (n, height, width, 3) RGB and normalised in the plan; float input is (n, 3, height, width) and
    normalised by whoever calls, which is how other tools build engines.
    """

    context: ExecutionContext
    least: int
    most: int
    frames: Port
    output: Port
    keep: tuple[Any, ...]  #: runtime and engine, which must outlive the context

    @property
    def takes_frames(self) -> bool:
        """Whether the plan normalises."""
        return self.frames.dtype is np.uint8


def load_plan(platform: Platform, data: bytes, manifest: ModelManifest, complaints: Complaints) -> Plan:
    """Raises `ModelRefused`. The caller's thread has the CUDA context."""
    where, trt = manifest.weights, platform.tensorrt
    runtime = trt.Runtime(complaints.logger)
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise ModelRefused(
            f"TensorRT {platform.version} on {platform.cuda.device} cannot load the engine of {where}: "
            f"{complaints.take()}; build it again on this host from the ONNX file"
        )
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    outputs = [name for name in names if name not in inputs]
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelRefused(
            f"the engine of {where} has the inputs {inputs} and outputs {outputs}: export it with one each"
        )
    dtypes = _dtypes(trt, engine, names, where)
    least, most = _batches(engine, inputs[0])
    context = engine.create_execution_context()
    if context is None:
        raise ModelRefused(
            f"{platform.cuda.device} cannot hold the engine of {where}: {complaints.take()}; use a smaller max_batch"
        )
    size = (manifest.input.height, manifest.input.width)
    frame = (*size, 3) if dtypes[inputs[0]] is np.uint8 else (3, *size)
    if not context.set_input_shape(inputs[0], (most, *frame)):
        shape = tuple(engine.get_tensor_shape(inputs[0]))
        raise ModelRefused(
            f"the engine of {where} takes {shape}, not {(most, *frame)}: correct [input] in its manifest, or build it again"
        )
    shape = tuple(context.get_tensor_shape(outputs[0]))
    if len(shape) < 2 or min(shape) < 1 or shape[0] != most:
        raise ModelRefused(
            f"the engine of {where} answers {most} frames with the shape {shape}: export the model without NMS in the graph"
        )
    frames = Port(inputs[0], dtypes[inputs[0]], frame)
    output = Port(outputs[0], dtypes[outputs[0]], shape[1:])
    return Plan(context, least, most, frames, output, (runtime, engine))


def _batches(engine: CudaEngine, name: str) -> tuple[int, int]:
    """Least and most frames: of the first profile, or the fixed batch twice."""
    batch = engine.get_tensor_shape(name)[0]
    if batch != -1:
        return batch, batch
    least, _, most = engine.get_tensor_profile_shape(name, 0)
    return max(1, least[0]), most[0]


def _dtypes(trt: TensorRt, engine: CudaEngine, names: Sequence[str], where: Path) -> dict[str, type[np.generic]]:
    known: dict[Any, type[np.generic]] = {
        trt.DataType.FLOAT: np.float32,
        trt.DataType.HALF: np.float16,
        trt.DataType.UINT8: np.uint8,
    }
    types = {name: engine.get_tensor_dtype(name) for name in names}
    for name, dtype in types.items():
        if dtype not in known:
            raise ModelRefused(
                f"{name} of the engine of {where} has the type {dtype}: build it with float32 or float16"
            )
    return {name: known[dtype] for name, dtype in types.items()}
