"""An engine, timed, and its frames counted."""

import time

import numpy as np
from numpy.typing import NDArray

from framegate.observability.catalogue import ENGINE_IMAGES, ENGINE_SECONDS
from framegate.observability.metrics import Metrics
from framegate.ports.engine import Engine


class MeasuredEngine:
    """`Engine`. `model` is the name@version of what it runs."""

    def __init__(self, engine: Engine, model: str, metrics: Metrics) -> None:
        self._engine, self._model, self._metrics = engine, model, metrics

    @property
    def description(self) -> str:
        """See the port."""
        return self._engine.description

    @property
    def max_batch(self) -> int:
        """See the port."""
        return self._engine.max_batch

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See the port."""
        started = time.perf_counter()
        raw = self._engine.infer(frames)
        self._metrics.observe(ENGINE_SECONDS, time.perf_counter() - started, model=self._model)
        self._metrics.count(ENGINE_IMAGES, len(frames), model=self._model)
        return raw

    def close(self) -> None:
        """See the port."""
        self._engine.close()
