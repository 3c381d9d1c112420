"""One CUDA device through NVIDIA's binding of the driver: memory, copies, a stream, and what an error means."""

import ctypes
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from framegate.adapters.engine_tensorrt.runtime_api import Driver
from framegate.kernel.errors import EngineFault, FramegateError, ModelRefused, Unrecoverable

_REMEDY: Final = "install the NVIDIA driver, make a GPU visible to this process, or use another engine"
_NAME_BYTES: Final = 128


class CudaError(Exception):
    """A call of the driver failed."""


class Cuda:
    """The first visible device (`CUDA_VISIBLE_DEVICES`), its primary context, and a stream of its own."""

    def __init__(self, driver: Driver) -> None:
        """Raises `ModelRefused` where there is no driver or no device."""
        self._driver = driver
        try:
            self._call("cuInit", 0)
            (count,) = self._call("cuDeviceGetCount")
            if not count:
                raise ModelRefused(f"the CUDA driver sees no GPU: {_REMEDY}")
            (self._device,) = self._call("cuDeviceGet", 0)
            self.device = self._text(*self._call("cuDeviceGetName", _NAME_BYTES, self._device))
            self.compute_capability = f"{self._attribute('MAJOR')}.{self._attribute('MINOR')}"
            (self._context,) = self._call("cuDevicePrimaryCtxRetain", self._device)
            self.bind()
            flags = int(driver.CUstream_flags.CU_STREAM_NON_BLOCKING)
            (self._stream,) = self._call("cuStreamCreate", flags)
        except (CudaError, RuntimeError) as error:
            # RuntimeError: the binding did not find the driver's library.
            raise ModelRefused(f"CUDA cannot be used: {error}; {_REMEDY}") from error

    @classmethod
    def find(cls) -> Self:
        """The real one; raises `ModelRefused`. Loads nothing of TensorRT."""
        try:
            from cuda.bindings import driver
        except ImportError as error:
            raise ModelRefused(f"cuda-bindings cannot be imported ({error}): pip install 'framegate[gpu]'") from error
        return cls(driver)

    @property
    def stream(self) -> int:
        """The handle that TensorRT enqueues on. Never the default stream: there it would synchronise the device."""
        return int(self._stream)

    def bind(self) -> None:
        """Makes this device's context the calling thread's: a model is loaded in one thread and served in another."""
        self._call("cuCtxSetCurrent", self._context)

    def device_memory(self, size: int) -> int:
        """The address of `size` bytes; free it."""
        (pointer,) = self._call("cuMemAlloc", size)
        return int(pointer)

    def free(self, pointer: int) -> None:
        """Frees device memory."""
        self._call("cuMemFree", pointer)

    def pinned(self, size: int) -> NDArray[np.uint8]:
        """`size` bytes that the device reads and writes without a copy; free them, and use no view of them after that."""
        (pointer,) = self._call("cuMemHostAlloc", size, 0)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(int(pointer)))

    def free_pinned(self, memory: NDArray[np.uint8]) -> None:
        """Frees what `pinned` gave."""
        self._call("cuMemFreeHost", memory.ctypes.data)

    def to_device(self, pointer: int, memory: NDArray[np.uint8], size: int) -> None:
        """Enqueues a copy of the first `size` bytes of pinned `memory`."""
        self._call("cuMemcpyHtoDAsync", pointer, memory.ctypes.data, size, self._stream)

    def to_host(self, memory: NDArray[np.uint8], pointer: int, size: int) -> None:
        """Enqueues a copy of `size` bytes into pinned `memory`."""
        self._call("cuMemcpyDtoHAsync", memory.ctypes.data, pointer, size, self._stream)

    def wait(self) -> None:
        """Until everything enqueued is done. Errors of kernels come to light here."""
        self._call("cuStreamSynchronize", self._stream)

    def fault(self, detail: str) -> FramegateError:
        """What to raise after a failure: `Unrecoverable` when the context is lost, else `EngineFault`.

        After a fault of a kernel "any further CUDA work will return the same error" until the process is relaunched, after
        a want of memory it does not: so the context is asked, and no list of error numbers is kept. TensorRT's own
        refusals, which carry no CUDA error, are told apart in the same way.
        https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html
        """
        try:
            self._call("cuCtxSynchronize")
        except CudaError as error:
            return Unrecoverable(f"the GPU is lost to this process ({error}): {detail}")
        return EngineFault(detail)

    def close(self) -> None:
        """Gives the stream and the context back."""
        self._call("cuStreamDestroy", self._stream)
        self._call("cuDevicePrimaryCtxRelease", self._device)

    def _attribute(self, part: str) -> int:
        name = f"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{part}"
        (value,) = self._call("cuDeviceGetAttribute", getattr(self._driver.CUdevice_attribute, name), self._device)
        return int(value)

    def _call(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        status, *results = getattr(self._driver, name)(*arguments)
        if int(status):
            _, error = self._driver.cuGetErrorName(status)
            raise CudaError(f"{name}: {self._text(error)}")
        return tuple(results)

    @staticmethod
    def _text(raw: Any) -> str:
        return raw.split(b"\0", 1)[0].decode("ascii", "replace") if isinstance(raw, bytes) else str(raw)
