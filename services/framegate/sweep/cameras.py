"""Watches the cameras by the images that ended."""

from typing import Final

from framegate.kernel.camera_health import HealthLimits
from framegate.observability.catalogue import CAMERA_FAULT_CHANGES, CAMERA_FAULTS
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.camera_health import CameraHealths
from framegate.sweep.housework import housework

_AT_ONCE: Final = 500
#: Then the others of this process have their turn.
_ROUNDS: Final = 20


class CameraWatch:
    """Several take turns; each shows the same gauge."""

    def __init__(self, cameras: CameraHealths, limits: HealthLimits, metrics: Metrics, log: Log) -> None:
        self._cameras, self._limits, self._metrics, self._log = cameras, limits, metrics, log

    def look(self) -> None:
        """Judges what has ended since the last look. Troubles are counted: nobody waits for this."""
        with housework("cameras", self._metrics, self._log):
            for _ in range(_ROUNDS):
                if self._follow() < _AT_ONCE:
                    break
            for fault, count in self._cameras.faulty().items():
                self._metrics.set(CAMERA_FAULTS, count, fault=fault)

    def _follow(self) -> int:
        followed = self._cameras.follow(self._limits, _AT_ONCE)
        for change in followed.changes:
            what = "began" if change.began else "ended"
            self._metrics.count(CAMERA_FAULT_CHANGES, fault=str(change.fault), change=what)
            log = self._log.bind(facility=change.facility, camera=change.camera, fault=str(change.fault))
            if change.began:
                log.warning("a camera has a fault", action="camera_fault_began", detail=change.detail)
            else:
                log.info("a camera is well again", action="camera_fault_ended", detail=change.detail)
        return followed.images
