"""Memory of one input or output: pinned on the host, and its twin on the device."""

from contextlib import ExitStack
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framegate.adapters.engine_tensorrt.cuda import Cuda


class Buffer:
    """Allocated once for the largest batch; a smaller one uses its beginning."""

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: type[np.generic], closing: ExitStack) -> None:
        """`shape` starts with the largest batch. `closing` frees it. Raises `CudaError`."""
        self._cuda = cuda
        self._frame_bytes = prod(shape[1:]) * np.dtype(dtype).itemsize
        size = shape[0] * self._frame_bytes
        self._memory = cuda.pinned(size)
        closing.callback(cuda.free_pinned, self._memory)
        self.address = cuda.device_memory(size)
        closing.callback(cuda.free, self.address)
        self.array: NDArray[Any] = self._memory.view(dtype).reshape(shape)

    def send(self, n: int) -> None:
        """Enqueues the copy of n frames to the device."""
        self._cuda.to_device(self.address, self._memory, n * self._frame_bytes)

    def fetch(self, n: int) -> None:
        """Enqueues the copy of n frames from the device."""
        self._cuda.to_host(self._memory, self.address, n * self._frame_bytes)
