"""The shadow: a model that looks at what others have decided, after them and with what time is left."""

import os
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from framegate.inference.fleet import Fleet, LoadedModel
from framegate.inference.stage import Job, finding
from framegate.kernel.inspection import Failed
from framegate.observability.catalogue import SHADOW_IMAGES
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.registry import ShadowResult, Shadows
from framegate.worker.batching import ReadyBuffer

#: Frames that wait for the shadow; what comes on top is skipped, so that it never holds anything up.
_ROOM: Final = 32
_NICE: Final = 15


class ShadowRunner:
    """A thread of its own, while it is open. The shadow's engine is used by no other."""

    def __init__(self, fleet: Fleet, shadows: Shadows, metrics: Metrics, log: Log) -> None:
        self._fleet, self._shadows, self._metrics, self._log = fleet, shadows, metrics, log
        self._waiting: ReadyBuffer[Job] = ReadyBuffer()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._waiting.close()
        self._thread.join(timeout=2)

    def offer(self, jobs: Sequence[Job]) -> None:
        """Never waits, never raises."""
        shadow = self._fleet.shadow
        if shadow is None:
            return
        # Of a second look it would see a part only; what it finds stands beside the whole.
        for job in (one for one in jobs if one.claim.first is None):
            taken = shadow.fits(job.prepared.letterbox) and len(self._waiting) < _ROOM and self._waiting.put(job)
            if not taken:
                self._metrics.count(SHADOW_IMAGES, result="skipped")

    def _run(self) -> None:
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while jobs := self._waiting.take(8):
            shadow = self._fleet.shadow
            if shadow is None:
                continue
            try:
                self.look(shadow, jobs)
            except Exception:
                # Its errors are its own: nothing that was decided depends on it.
                self._metrics.count(SHADOW_IMAGES, len(jobs), result="failed")
                self._log.exception("the shadow failed", action="shadow_failed", model=shadow.key.ref)

    def look(self, shadow: LoadedModel, jobs: Sequence[Job]) -> None:
        """Infers and records."""
        decoded = shadow.infer([(job.content, job.prepared.letterbox) for job in jobs])
        results = []
        for job, rows in zip(jobs, decoded, strict=True):
            found = finding(rows, job.prepared.letterbox, shadow.manifest, shadow.engine.description)
            if isinstance(found, Failed):
                self._metrics.count(SHADOW_IMAGES, result="failed")
                continue
            image = job.claim.image
            results.append(
                ShadowResult(image.facility, image.image_id, shadow.key, found.engine, found.detections, found.classes)
            )
        if results:
            self._shadows.record_shadow(results)
            self._metrics.count(SHADOW_IMAGES, len(results), result="recorded")
