"""Parts of stages that outlive the workers they are given to, so that all modes of a benchmark use the same."""

import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from framegate.gate.stage import GateHandler
from framegate.inference.fleet import Fleet
from framegate.kernel.ids import CameraId, FacilityId
from framegate.observability.catalogue import Metric
from framegate.observability.metrics import Metrics
from framegate.ports.engine import Engine
from framegate.ports.progress import Claim
from framegate.preprocess.decoder_pool import DecodedFrame, DecodeJob, DecoderChild


class NoMetrics(Metrics):
    """Writes nothing."""

    def count(self, metric: Metric, amount: float = 1, /, **labels: str) -> None:
        """Nothing."""

    def set(self, metric: Metric, value: float, /, **labels: str) -> None:
        """Nothing."""

    def observe(self, metric: Metric, value: float, trace_id: str = "", /, **labels: str) -> None:
        """Nothing."""

    def camera(self, facility: FacilityId, camera: CameraId) -> str:
        """Nobody's."""
        return ""


class KeptChild(DecoderChild):
    """Outlives the worker that uses it."""

    repeats = False  #: its last answer instead of decoding
    _last: DecodedFrame | None = None

    def prepare(self, job: DecodeJob) -> DecodedFrame:
        """All jobs are of one size."""
        if self._last is None or not self.repeats:
            self._last = super().prepare(job)
        return self._last

    def close(self) -> None:
        """Not now."""

    def cpu_s(self) -> float:
        """Of the child until now: clock_getcpuclockid(3), which Python lacks; the ticks of /proc are too coarse."""
        if self._process is None:
            raise RuntimeError("the decoder is gone")
        return time.clock_gettime((~self._process._process.pid << 3) | 2)


class KeptFleet(Fleet):
    """Outlives the worker that uses it."""

    def close(self) -> None:
        """Not now."""


class Repeating:
    """`Engine`, which may repeat its last answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.repeats = engine, False
        self.description, self.max_batch, self.close = engine.description, engine.max_batch, engine.close
        self._last: NDArray[np.float32] | None = None

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See the port."""
        if self._last is None or not self.repeats:
            self._last = self._engine.infer(frames)
        return self._last


class CountingGate(GateHandler):
    """Says when images have ended."""

    ended: threading.Semaphore

    def settled(self, jobs: Sequence[Claim]) -> None:
        """Their outcomes are durable."""
        self.ended.release(len(jobs))
