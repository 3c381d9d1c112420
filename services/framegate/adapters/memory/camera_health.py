"""The health of cameras in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from framegate.adapters.memory.state import MemoryState
from framegate.kernel.camera_faults import alert_about, awake_since, fall_silent, judge, lifted, suspend
from framegate.kernel.camera_health import FAULTS, CameraHealth, FaultChange, HealthLimits, Observation, Place
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.incidents import SYSTEM, RaisedAlert
from framegate.kernel.inspection import Alert
from framegate.kernel.states import Lane
from framegate.ports.camera_health import Followed


class MemoryCameraHealths:
    """`CameraHealths`. Safe for use from several threads."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self._awake: tuple[datetime, datetime] | None = None  #: since when, and when it looked last

    def follow(self, limits: HealthLimits, limit: int) -> Followed:
        """See the port."""
        with self._state.lock:
            now = self._state.now()
            awake = awake_since(*self._awake, now) if self._awake else now
            self._awake = awake, now
            ended = [
                self._state.images[image] for image in self._state.ends[self._state.judged : self._state.judged + limit]
            ]
            images = [
                Observation(row.facts.facility, row.facts.camera, row.facts.received_at, row.prepared)
                for row in ended
                if row.facts.lane is Lane.LIVE
            ]
            changes = judge(self._state.health, images, limits)
            if len(ended) < limit:
                changes += self._silent(now, awake, limits)
            for change in changes:
                action = "camera.fault" if change.began else "camera.recovered"
                self._tell(change, action, SYSTEM, {"fault": str(change.fault), "detail": change.detail})
            self._state.judged += len(ended)
            return Followed(len(ended), changes)

    def _silent(self, now: datetime, awake: datetime, limits: HealthLimits) -> list[FaultChange]:
        waiting = {(row.facts.facility, row.facts.camera) for row in self._state.images.values() if not row.ended}
        changes: list[FaultChange] = []
        for place, health in self._state.health.items():
            if place not in waiting:
                changes += fall_silent(health, place, now, awake, limits)
        return changes

    def _tell(self, change: FaultChange, action: str, actor: str, body: Mapping[str, str]) -> None:
        alert = alert_about(change)
        if alert is not None:
            self._raise(change.facility, alert)
        self._state.record(change.facility, actor, action, str(change.camera), body)

    def _raise(self, facility: FacilityId, alert: Alert) -> None:
        self._state.alerts.append(RaisedAlert(uuid4(), facility, None, alert, self._state.now()))

    def faulty(self) -> Mapping[str, int]:
        """See the port."""
        with self._state.lock:
            return {name: sum(name in health.faults for health in self._state.health.values()) for name in FAULTS}

    def health(self, facility: FacilityId, camera: CameraId) -> CameraHealth | None:
        """See the port."""
        with self._state.lock:
            found = self._state.health.get((facility, camera))
            return CameraHealth.from_json(found.to_json()) if found is not None else None

    def faults(self, facilities: frozenset[FacilityId] | None = None) -> Mapping[Place, Sequence[str]]:
        """See the port."""
        with self._state.lock:
            return {
                place: self._state.faults_of(*place)
                for place, health in self._state.health.items()
                if health.faults and (facilities is None or place[0] in facilities)
            }

    def suspend(self, facility: FacilityId, camera: CameraId, reason: str, actor: str) -> bool:
        """See the port."""
        place = facility, camera
        with self._state.lock:
            if place not in self._state.cameras:
                return False
            health = self._state.health.setdefault(place, CameraHealth())
            for change in suspend(health, place, self._state.now(), actor, reason):
                self._tell(change, "camera.suspended", actor, {"reason": reason})
            return True

    def lift(self, facility: FacilityId, camera: CameraId, actor: str) -> Sequence[str]:
        """See the port."""
        with self._state.lock:
            health = self._state.health.get((facility, camera))
            if health is None:
                return ()
            faults = self._state.faults_of(facility, camera)
            self._state.health[facility, camera], alert = lifted(health, (facility, camera), actor)
            if alert is not None:
                self._raise(facility, alert)
            self._state.record(facility, actor, "camera.lifted", str(camera), {"faults": list(faults)})
            return faults
