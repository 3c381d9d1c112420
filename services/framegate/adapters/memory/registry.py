"""Cameras, policies, workers and keys in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from framegate.adapters.memory.state import MemoryState
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, FacilityId
from framegate.kernel.states import CameraStatus, Stage
from framegate.ports.clock import Clock
from framegate.ports.store import ApiKey, Camera, PolicyVersion, WorkerStatus, superseded


class MemoryCameras:
    """`Cameras`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def cameras(self, facilities: frozenset[FacilityId] | None = None) -> list[Camera]:
        """Ordered by facility and id."""
        with self._state.lock:
            places = sorted(place for place in self._state.cameras if facilities is None or place[0] in facilities)
            return [self._state.cameras[place] for place in places]

    def confirm_camera(self, facility: FacilityId, camera: CameraId, actor: str) -> Camera:
        """Confirming twice changes nothing and is not audited again."""
        with self._state.lock:
            known = self._state.cameras.get((facility, camera))
            if known is not None and known.status is CameraStatus.CONFIRMED:
                return known
            known = known or Camera(facility, camera, CameraStatus.UNCONFIRMED, self._state.now(), None)
            confirmed = replace(known, status=CameraStatus.CONFIRMED)
            self._state.cameras[facility, camera] = confirmed
            self._state.record(facility, actor, "camera.confirmed", str(camera), {})
            return confirmed


class MemoryPolicies:
    """`Policies`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def current_policy(self, facility: FacilityId) -> PolicyVersion | None:
        """The newest version."""
        with self._state.lock:
            versions = self._state.policies.get(facility)
            return versions[-1] if versions else None

    def current_policies(self) -> list[PolicyVersion]:
        """See the port."""
        with self._state.lock:
            return [versions[-1] for _, versions in sorted(self._state.policies.items()) if versions]

    def policy(self, facility: FacilityId, version: int) -> PolicyVersion | None:
        """That version."""
        with self._state.lock:
            versions = self._state.policies.get(facility, [])
            return versions[version - 1] if 0 < version <= len(versions) else None

    def policy_history(self, facility: FacilityId, limit: int, before: int | None = None) -> list[PolicyVersion]:
        """See the port."""
        with self._state.lock:
            versions = self._state.policies.get(facility, [])
            return [one for one in versions[::-1] if before is None or one.version < before][:limit]

    def add_policy(
        self, facility: FacilityId, document: Mapping[str, Any], actor: str, expected: int | None = None
    ) -> PolicyVersion:
        """See the port."""
        with self._state.lock:
            versions = self._state.policies.setdefault(facility, [])
            if versions and versions[-1].document == document:
                return versions[-1]
            if expected is not None and expected != len(versions):
                raise superseded(facility, expected, versions[-1] if versions else None)
            version = PolicyVersion(facility, len(versions) + 1, dict(document), self._state.now(), actor)
            versions.append(version)
            self._state.record(facility, actor, "policy.added", str(version.version), document)
            return version


class MemoryWorkers:
    """`Workers`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[float, WorkerStatus]] = {}

    def report(self, name: str, stages: Sequence[Stage], ready: bool, reason: str, metrics_port: int | None) -> None:
        """Replaces what `name` said before."""
        status = WorkerStatus(name, tuple(map(str, stages)), ready, reason, 0.0, metrics_port)
        self._seen[name] = (self._clock.monotonic(), status)

    def forget(self, name: str | None = None) -> None:
        """One, or all."""
        if name is None:
            self._seen.clear()
        else:
            self._seen.pop(name, None)

    def statuses(self, within: timedelta) -> list[WorkerStatus]:
        """Ordered by name."""
        now = self._clock.monotonic()
        aged = [replace(status, seen_s_ago=now - at) for _, (at, status) in sorted(self._seen.copy().items())]
        return [status for status in aged if status.seen_s_ago <= within.total_seconds()]


class MemoryKeys:
    """`Keys`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def add_key(self, key: ApiKey, actor: str) -> None:
        """Raises ValueError for an id that is taken."""
        with self._state.lock:
            if key.key_id in self._state.keys:
                raise ValueError(f"there is a key {key.key_id} already")
            self._state.keys[key.key_id] = key
            self._audit(key, actor, "key.added")

    def find_key(self, key_id: str) -> ApiKey | None:
        """Also expired and revoked ones."""
        return self._state.keys.get(key_id)

    def keys(self) -> list[ApiKey]:
        """Oldest first."""
        with self._state.lock:
            return sorted(self._state.keys.values(), key=lambda key: key.created_at)

    def revoke_key(self, key_id: str, actor: str) -> bool:
        """True as well when it was revoked before; the first time stays."""
        with self._state.lock:
            key = self._state.keys.get(key_id)
            if key is None:
                return False
            if key.revoked_at is None:
                self._state.keys[key_id] = replace(key, revoked_at=self._state.now())
                self._audit(key, actor, "key.revoked")
            return True

    def replace_key(self, key_id: str, new: ApiKey, until: datetime, actor: str) -> bool:
        """The old one never holds longer than it would have."""
        with self._state.lock:
            old = self._state.keys.get(key_id)
            if old is None or old.revoked_at is not None:
                return False
            self.add_key(new, actor)
            self._state.keys[key_id] = replace(old, expires_at=min(old.expires_at, until))
            self._audit(old, actor, "key.replaced")
            return True

    def _audit(self, key: ApiKey, actor: str, action: str) -> None:
        for facility in sorted(key.facilities) or [DEFAULT_FACILITY]:
            self._state.record(facility, actor, action, key.key_id, {"name": key.name, "scopes": sorted(key.scopes)})
