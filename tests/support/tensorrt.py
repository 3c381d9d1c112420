"""A driver and a TensorRT without a GPU: they compute with ONNX Runtime, and are as strict about memory as a device is.

What is enqueued on a stream happens only when somebody waits for it, copies stay inside what was allocated, and calls need
the context of their own thread.
"""

import ctypes
import json
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto

from framegate.adapters import onnx_graphs
from framegate.adapters.engine_tensorrt import Platform, TensorRtEngine
from framegate.adapters.engine_tensorrt.cuda import Cuda
from framegate.kernel.manifest import ModelManifest

OUT_OF_MEMORY, INVALID_VALUE, INVALID_CONTEXT, ILLEGAL_ADDRESS = 2, 1, 201, 700
_NAMES = {2: b"CUDA_ERROR_OUT_OF_MEMORY", 1: b"CUDA_ERROR_INVALID_VALUE", 201: b"CUDA_ERROR_INVALID_CONTEXT"}
_NAMES[ILLEGAL_ADDRESS] = b"CUDA_ERROR_ILLEGAL_ADDRESS"
_MAGIC = b"ptrt"


@dataclass
class FakeDriver:
    """`cuda.bindings.driver`."""

    devices: int = 1
    name: str = "Fake GPU"
    capability: tuple[int, int] = (8, 9)
    fails: dict[str, int] = field(default_factory=dict)  #: call -> error, once
    sticky: int = 0  #: the error that every further call returns
    memory: dict[int, Any] = field(default_factory=dict)
    queue: list[Callable[[], None]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    CUdevice_attribute = SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR="major", CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR="minor"
    )
    CUstream_flags = SimpleNamespace(CU_STREAM_NON_BLOCKING=1)

    def __post_init__(self) -> None:
        self._thread = threading.local()

    def __getattribute__(self, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if not name.startswith("cu") or not callable(value) or name == "cuGetErrorName":
            return value

        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(name)
            status = self.sticky or self.fails.pop(name, 0)
            if name.startswith(("cuMem", "cuStream", "cuCtxSync")) and not getattr(self._thread, "bound", False):
                status = status or INVALID_CONTEXT
            if status:
                return (status, None) if name.endswith(("Get", "Alloc", "Create", "Retain", "Count")) else (status,)
            results = value(*arguments)
            return (self.sticky, *results)

        return call

    def cuInit(self, flags: int) -> tuple[Any, ...]:  # noqa: N802
        return ()

    def cuDeviceGetCount(self) -> tuple[Any, ...]:  # noqa: N802
        return (self.devices,)

    def cuDeviceGet(self, ordinal: int) -> tuple[Any, ...]:  # noqa: N802
        return (ordinal,)

    def cuDeviceGetName(self, length: int, device: int) -> tuple[Any, ...]:  # noqa: N802
        return (self.name.encode().ljust(length, b"\0"),)

    def cuDeviceGetAttribute(self, attribute: str, device: int) -> tuple[Any, ...]:  # noqa: N802
        return (self.capability[attribute == "minor"],)

    def cuDevicePrimaryCtxRetain(self, device: int) -> tuple[Any, ...]:  # noqa: N802
        return ("context",)

    def cuDevicePrimaryCtxRelease(self, device: int) -> tuple[Any, ...]:  # noqa: N802
        return ()

    def cuCtxSetCurrent(self, context: str) -> tuple[Any, ...]:  # noqa: N802
        self._thread.bound = context == "context"
        return ()

    def cuCtxSynchronize(self) -> tuple[Any, ...]:  # noqa: N802
        return self._drain()

    def cuStreamCreate(self, flags: int) -> tuple[Any, ...]:  # noqa: N802
        return (77,)

    def cuStreamDestroy(self, stream: int) -> tuple[Any, ...]:  # noqa: N802
        return ()

    def cuStreamSynchronize(self, stream: int) -> tuple[Any, ...]:  # noqa: N802
        return self._drain()

    def cuMemAlloc(self, size: int) -> tuple[Any, ...]:  # noqa: N802
        return (self._allocate(size),)

    def cuMemFree(self, pointer: int) -> tuple[Any, ...]:  # noqa: N802
        del self.memory[pointer]
        return ()

    def cuMemHostAlloc(self, size: int, flags: int) -> tuple[Any, ...]:  # noqa: N802
        return (self._allocate(size),)

    def cuMemFreeHost(self, pointer: int) -> tuple[Any, ...]:  # noqa: N802
        del self.memory[pointer]
        return ()

    def cuMemcpyHtoDAsync(self, to: int, source: int, size: int, stream: int) -> tuple[Any, ...]:  # noqa: N802
        return self._copy(to, source, size)

    def cuMemcpyDtoHAsync(self, to: int, source: int, size: int, stream: int) -> tuple[Any, ...]:  # noqa: N802
        return self._copy(to, source, size)

    def cuGetErrorName(self, status: int) -> tuple[Any, ...]:  # noqa: N802
        return 0, _NAMES[status]

    def _allocate(self, size: int) -> int:
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return ctypes.addressof(block)

    def _copy(self, to: int, source: int, size: int) -> tuple[Any, ...]:
        assert size <= min(len(self.memory[to]), len(self.memory[source])), "a copy beyond what was allocated"
        self.queue.append(lambda: ctypes.memmove(to, source, size) and None)
        return ()

    def _drain(self) -> tuple[Any, ...]:
        for work in self.queue:
            work()
        self.queue.clear()
        return ()


class DataType(Enum):
    FLOAT, HALF, UINT8, INT64 = range(4)


class TensorIOMode(Enum):
    NONE, INPUT, OUTPUT = range(3)


class Severity(Enum):
    INTERNAL_ERROR, ERROR, WARNING = range(3)


class ILogger:
    Severity = Severity

    def log(self, severity: Severity, message: str) -> None:
        raise NotImplementedError


class Flag(IntEnum):
    STRONGLY_TYPED = 1


_TYPES = {
    TensorProto.FLOAT: DataType.FLOAT,
    TensorProto.FLOAT16: DataType.HALF,
    TensorProto.UINT8: DataType.UINT8,
    TensorProto.INT64: DataType.INT64,
}
_NUMPY = {DataType.FLOAT: np.float32, DataType.HALF: np.float16, DataType.UINT8: np.uint8}


class FakeTensorRt:
    """The module `tensorrt`. A plan is the ONNX file with its profile before it."""

    ILogger, DataType, TensorIOMode = ILogger, DataType, TensorIOMode
    BuilderFlag = SimpleNamespace(TF32="TF32")
    NetworkDefinitionCreationFlag = Flag

    def __init__(self, driver: FakeDriver, version: str = "11.4.0.106") -> None:
        self.driver, self.__version__ = driver, version
        self.builds = 0
        self.networks: list[int] = []
        self.cleared: list[str] = []
        self.profile: list[tuple[int, ...]] | None = None
        self.refuses_to_run = False  #: execute_async_v3 returns False, once
        self.loses_the_device = False  #: the next kernel makes the context unusable
        self.shapes: list[tuple[int, ...]] = []  #: of every execution

    def Runtime(self, logger: ILogger) -> Any:  # noqa: N802
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: self._load(plan, logger))

    def Builder(self, logger: ILogger) -> Any:  # noqa: N802
        return FakeBuilder(self, logger)

    def OnnxParser(self, network: SimpleNamespace, logger: ILogger) -> Any:  # noqa: N802
        return FakeParser(network)

    def _load(self, plan: bytes, logger: ILogger) -> Any:
        if not plan.startswith(_MAGIC):
            logger.log(Severity.WARNING, "only a warning")
            logger.log(Severity.ERROR, "the plan was made by\nanother version")
            return None
        end = 8 + int.from_bytes(plan[4:8], "little")
        return FakeEngine(self, json.loads(plan[8:end]), plan[end:], logger)


def fake_plan(data: bytes, batches: tuple[int, int, int] | None) -> bytes:
    """As TensorRT would have built `data` with a profile of these batches."""
    header = json.dumps({"batches": batches}).encode()
    # The letters are far longer than any file when they are read as a length.
    return _MAGIC + len(header).to_bytes(4, "little") + header + data


class FakeBuilder:
    def __init__(self, trt: FakeTensorRt, logger: ILogger) -> None:
        self._trt, self._logger = trt, logger
        trt.profile = None

    def create_network(self, flags: int) -> SimpleNamespace:
        self._trt.networks.append(flags)
        return SimpleNamespace(data=b"", get_input=lambda index: None)

    def create_builder_config(self) -> SimpleNamespace:
        return SimpleNamespace(add_optimization_profile=lambda profile: 0, clear_flag=self._trt.cleared.append)

    def create_optimization_profile(self) -> SimpleNamespace:
        def set_shape(name: str, *shapes: tuple[int, ...]) -> None:
            self._trt.profile = list(shapes)

        return SimpleNamespace(set_shape=set_shape)

    def build_serialized_network(self, network: SimpleNamespace, config: Any) -> bytes | None:
        self._trt.builds += 1
        if network.data.endswith(b"unbuildable"):
            self._logger.log(Severity.ERROR, "no tactic")
            return None
        shapes = self._trt.profile
        return fake_plan(network.data, (shapes[0][0], shapes[1][0], shapes[2][0]) if shapes else None)


class FakeParser:
    num_errors = 1

    def __init__(self, network: SimpleNamespace) -> None:
        self._network = network

    def parse(self, data: bytes) -> bool:
        graph = onnx.load_from_string(data).graph
        if any(node.op_type == "NonMaxSuppression" for node in graph.node):
            return False
        shape = [d.dim_value or -1 for d in graph.input[0].type.tensor_type.shape.dim]
        self._network.data = data
        self._network.get_input = lambda index: SimpleNamespace(name=graph.input[0].name, shape=shape)
        return True

    def get_error(self, index: int) -> str:
        return "NonMaxSuppression is not known"


class FakeEngine:
    num_optimization_profiles = 1

    def __init__(self, trt: FakeTensorRt, header: dict[str, Any], data: bytes, logger: ILogger) -> None:
        graph = onnx.load_from_string(data).graph
        self.trt, self.logger, self.batches = trt, logger, header["batches"]
        self.session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
        self.tensors = {t.name: t.type.tensor_type for t in (*graph.input, *graph.output)}
        self.input = graph.input[0].name
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == self.input else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return _TYPES[self.tensors[name].elem_type]

    def get_tensor_shape(self, name: str) -> list[int]:
        return [d.dim_value or -1 for d in self.tensors[name].shape.dim]

    def get_tensor_profile_shape(self, name: str, index: int) -> list[list[int]]:
        return [[batch, *self.get_tensor_shape(name)[1:]] for batch in self.batches]

    def create_execution_context(self) -> "FakeContext | None":
        return FakeContext(self) if self.trt.driver.memory is not None else None


class FakeContext:
    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()
        self._known: dict[int, tuple[int, ...]] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        own = self._engine.get_tensor_shape(name)
        batches = self._engine.batches or (own[0], own[0], own[0])
        fits = batches[0] <= shape[0] <= batches[2] and len(shape) == len(own)
        if not fits or any(o not in (-1, s) for o, s in zip(own[1:], shape[1:], strict=True)):
            return False
        self._shape = shape
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if self._shape[0] not in self._known:
            try:
                self._known[self._shape[0]] = self._compute(np.zeros(self._shape, self._dtype())).shape
            except Exception:
                return (-1,)
        return self._known[self._shape[0]]

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream: int) -> bool:
        trt = self._engine.trt
        assert stream == 77, "not the engine's own stream"
        if trt.refuses_to_run:
            trt.refuses_to_run = False
            self._engine.logger.log(Severity.ERROR, "enqueue failed")
            return False
        trt.shapes.append(self._shape)
        trt.driver.queue.append(self._kernel)
        return True

    def _kernel(self) -> None:
        trt, engine = self._engine.trt, self._engine
        if trt.loses_the_device:
            trt.driver.sticky = ILLEGAL_ADDRESS
            return
        batch = np.empty(self._shape, self._dtype())
        ctypes.memmove(batch.ctypes.data, self._addresses[engine.input], batch.nbytes)
        output = np.ascontiguousarray(self._compute(batch))
        (name,) = [tensor for tensor in engine.tensors if tensor != engine.input]
        assert output.nbytes <= len(trt.driver.memory[self._addresses[name]]), "an output beyond what was allocated"
        ctypes.memmove(self._addresses[name], output.ctypes.data, output.nbytes)

    def _dtype(self) -> type[np.generic]:
        return _NUMPY[self._engine.get_tensor_dtype(self._engine.input)]

    def _compute(self, batch: Any) -> Any:
        return self._engine.session.run(None, {self._engine.input: batch})[0]


def fake_platform(driver: FakeDriver | None = None, version: str = "11.4.0.106") -> Platform:
    driver = driver or FakeDriver()
    return Platform(Cuda(driver), FakeTensorRt(driver, version))


def fake_engine(manifest: ModelManifest, max_batch: int, platform: Platform | None = None) -> TensorRtEngine:
    """f32, from the ONNX file, without a cache to come back to."""
    with tempfile.TemporaryDirectory() as directory:
        cache = Path(directory) / "engines"
        return TensorRtEngine(manifest, max_batch, cache, onnx_graphs, "f32", lambda: platform or fake_platform())
