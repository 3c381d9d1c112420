"""How long what a process depends on takes to answer, and how often it does not."""

import time
from types import TracebackType
from typing import Literal, Self

from framegate.kernel.errors import Transient
from framegate.observability.catalogue import DEPENDENCY_ERRORS, DEPENDENCY_SECONDS
from framegate.observability.metrics import Metrics

Dependency = Literal["database", "queue", "blobs"]


class Calls:
    """Of one dependency: `with calls("claim"):`. What fails is timed as well, so that timeouts are seen."""

    def __init__(self, metrics: Metrics, dependency: Dependency) -> None:
        self._metrics, self._dependency = metrics, dependency

    def __call__(self, operation: str, *, waits: bool = False) -> "_Call":
        """From here to the end of the `with`. `waits`: it takes as long as nothing comes, which says nothing; not timed."""
        return _Call(self._metrics, self._dependency, operation, waits)


class _Call:
    __slots__ = ("_dependency", "_metrics", "_operation", "_started", "_waits")

    def __init__(self, metrics: Metrics, dependency: Dependency, operation: str, waits: bool) -> None:
        self._metrics, self._dependency, self._operation, self._waits = metrics, dependency, operation, waits
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        elapsed_s = time.perf_counter() - self._started
        labels = {"dependency": self._dependency, "operation": self._operation}
        if isinstance(error, Transient):
            self._metrics.count(DEPENDENCY_ERRORS, **labels)
        if not self._waits:
            self._metrics.observe(DEPENDENCY_SECONDS, elapsed_s, **labels)
