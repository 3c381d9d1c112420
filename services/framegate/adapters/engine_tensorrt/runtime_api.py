"""The parts of NVIDIA's Python interfaces that are used, as types: the vendor ships none.

A test holds the runtime half against the real bindings. The builder half is not part of any binding that installs without
a GPU; it follows the manual.
"""

from collections.abc import Sequence
from typing import Any, Protocol


class ExecutionContext(Protocol):
    """https://docs.nvidia.com/deeplearning/tensorrt/11.0.0/_static/python-api/infer/Core/ExecutionContext.html."""

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        """False when the shape is outside the profile."""
        ...

    def get_tensor_shape(self, name: str) -> Sequence[int]:
        """-1 where it is not known yet."""
        ...

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Device memory."""
        ...

    def execute_async_v3(self, stream_handle: int) -> bool:
        """False: not enqueued; the logger knows why."""
        ...


class CudaEngine(Protocol):
    """https://docs.nvidia.com/deeplearning/tensorrt/11.0.0/_static/python-api/infer/Core/Engine.html."""

    @property
    def num_io_tensors(self) -> int:
        """Inputs and outputs together."""
        ...

    @property
    def num_optimization_profiles(self) -> int:
        """At least 1."""
        ...

    def get_tensor_name(self, index: int) -> str:
        """Of one input or output."""
        ...

    def get_tensor_mode(self, name: str) -> Any:
        """A `TensorIOMode`."""
        ...

    def get_tensor_dtype(self, name: str) -> Any:
        """A `DataType`."""
        ...

    def get_tensor_shape(self, name: str) -> Sequence[int]:
        """-1 where it is dynamic."""
        ...

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> Sequence[Sequence[int]]:
        """Least, optimal and largest shape of an input."""
        ...

    def create_execution_context(self) -> ExecutionContext | None:
        """None when the device's memory does not suffice."""
        ...


class Runtime(Protocol):
    """https://docs.nvidia.com/deeplearning/tensorrt/11.0.0/_static/python-api/infer/Core/Runtime.html."""

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> CudaEngine | None:
        """None when it cannot be used here. Without a CUDA driver this ends the process with a segmentation fault."""
        ...


class Profile(Protocol):
    """https://docs.nvidia.com/deeplearning/tensorrt/11.0.0/_static/python-api/infer/Core/OptimizationProfile.html."""

    def set_shape(self, name: str, least: tuple[int, ...], best: tuple[int, ...], most: tuple[int, ...], /) -> None:
        """Raises `ValueError` when they contradict each other."""
        ...


class BuilderConfig(Protocol):
    """https://docs.nvidia.com/deeplearning/tensorrt/11.0.0/_static/python-api/infer/Core/BuilderConfig.html."""

    def add_optimization_profile(self, profile: Profile) -> int:
        """Its index, -1 when it is not valid."""
        ...

    def clear_flag(self, flag: Any) -> None:
        """A `BuilderFlag`."""
        ...


class Builder(Protocol):
    """https://docs.nvidia.com/deeplearning/tensorrt/11.0.0/_static/python-api/infer/Core/Builder.html."""

    def create_network(self, flags: int) -> Any:
        """An `INetworkDefinition`."""
        ...

    def create_builder_config(self) -> BuilderConfig:
        """The options."""
        ...

    def create_optimization_profile(self) -> Profile:
        """An empty one."""
        ...

    def build_serialized_network(self, network: Any, config: BuilderConfig) -> Any:
        """An `IHostMemory`, or None."""
        ...


class OnnxParser(Protocol):
    """https://docs.nvidia.com/deeplearning/tensorrt/11.0.0/_static/python-api/parsers/Onnx/pyOnnx.html."""

    @property
    def num_errors(self) -> int:
        """After a parse that failed."""
        ...

    def parse(self, model: bytes) -> bool:
        """False on errors."""
        ...

    def get_error(self, index: int) -> Any:
        """A `ParserError`; `str` describes it."""
        ...


class TensorRt(Protocol):
    """The module `tensorrt`; classes that are constructed or compared only are `Any`."""

    __version__: str
    ILogger: Any
    DataType: Any
    TensorIOMode: Any
    BuilderFlag: Any
    NetworkDefinitionCreationFlag: Any

    def Runtime(self, logger: Any) -> Runtime:  # noqa: N802
        """Must outlive its engines."""
        ...

    def Builder(self, logger: Any) -> Builder:  # noqa: N802
        """Missing from the lean and dispatch bindings."""
        ...

    def OnnxParser(self, network: Any, logger: Any) -> OnnxParser:  # noqa: N802
        """Adds the graph to `network`."""
        ...


class Driver(Protocol):
    """The module `cuda.bindings.driver`; each call returns (status, results...).

    https://nvidia.github.io/cuda-python/cuda-bindings/latest/module/driver.html
    """

    CUdevice_attribute: Any
    CUstream_flags: Any

    def cuInit(self, flags: int, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuDeviceGetCount(self) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuDeviceGet(self, ordinal: int, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuDeviceGetName(self, length: int, device: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuDeviceGetAttribute(self, attribute: Any, device: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuDevicePrimaryCtxRetain(self, device: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuDevicePrimaryCtxRelease(self, device: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuCtxSetCurrent(self, context: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuCtxSynchronize(self) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuStreamCreate(self, flags: int, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuStreamDestroy(self, stream: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuStreamSynchronize(self, stream: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuMemAlloc(self, size: int, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuMemFree(self, pointer: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuMemHostAlloc(self, size: int, flags: int, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuMemFreeHost(self, pointer: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuMemcpyHtoDAsync(self, to: Any, source: Any, size: int, stream: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuMemcpyDtoHAsync(self, to: Any, source: Any, size: int, stream: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
    def cuGetErrorName(self, status: Any, /) -> tuple[Any, ...]: ...  # noqa: D102, N802
