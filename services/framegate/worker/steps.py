"""How long each step of the worker's loop takes."""

import time
from types import TracebackType
from typing import Literal, Self

from framegate.observability.catalogue import STEP_SECONDS
from framegate.observability.metrics import Metrics

Step = Literal["receive", "claim", "load", "handle", "settle"]


class Steps:
    """Of one stage: `with steps("claim"):`. What fails counts as well, so that a dependency's timeouts are seen."""

    def __init__(self, metrics: Metrics, stage: str) -> None:
        self._metrics, self._stage = metrics, stage

    def __call__(self, step: Step) -> "_Timing":
        """From here to the end of the `with`."""
        return _Timing(self._metrics, self._stage, step)


class _Timing:
    __slots__ = ("_metrics", "_stage", "_started", "_step")

    def __init__(self, metrics: Metrics, stage: str, step: Step) -> None:
        self._metrics, self._stage, self._step = metrics, stage, step
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        elapsed_s = time.perf_counter() - self._started
        self._metrics.observe(STEP_SECONDS, elapsed_s, stage=self._stage, step=self._step)
