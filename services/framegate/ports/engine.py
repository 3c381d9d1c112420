"""The engine: a loaded model that turns frames into raw outputs."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Loaded once. Not safe for use from several threads at a time: one engine, one thread."""

    @property
    def description(self) -> str:
        """Runtime, version and precision, as it is stored with every outcome."""
        ...

    @property
    def max_batch(self) -> int:
        """The most frames `infer` takes; a model exported with a fixed batch has exactly that many."""
        ...

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """`frames` (n, height, width, 3) RGB uint8, n <= max_batch -> the raw output, first axis n.

        The result is the caller's to keep. Raises `EngineFault` when this batch cannot be inferred and `Unrecoverable`
        when no batch can be any more.
        """
        ...

    def close(self) -> None:
        """Frees the device; the engine is not used after it."""
        ...
