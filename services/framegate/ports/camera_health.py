"""What is known of each camera's health. Every method may raise `DependencyUnavailable`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from framegate.kernel.camera_health import CameraHealth, FaultChange, HealthLimits
from framegate.kernel.ids import CameraId, FacilityId


@dataclass(frozen=True, slots=True)
class Followed:
    """What one call did."""

    images: int
    changes: Sequence[FaultChange]


class CameraHealths(Protocol):
    """A camera's faults are known to the gate (`ImageFacts.camera_faults`) and to intake from when they are written."""

    def follow(self, limits: HealthLimits, limit: int) -> Followed:
        """Judges up to `limit` ended images that nobody has judged yet, and who has been silent for too long.

        Health, alerts, audit and the place to go on from are written in one transaction, so that every image counts
        once. Callers take turns: whoever comes while another one is at it has done nothing. Images of the bulk lane are
        passed over: they are of another time.
        """
        ...

    def faulty(self) -> Mapping[str, int]:
        """How many cameras have each fault, with 0 for none."""
        ...

    def health(self, facility: FacilityId, camera: CameraId) -> CameraHealth | None:
        """None: nothing of it was judged yet."""
        ...

    def faults(
        self, facilities: frozenset[FacilityId] | None = None
    ) -> Mapping[tuple[FacilityId, CameraId], Sequence[str]]:
        """Those of all cameras that have any; None: of all facilities."""
        ...

    def suspend(self, facility: FacilityId, camera: CameraId, reason: str, actor: str) -> bool:
        """Gives it the fault `suspended`, which only `lift` ends; audited, and an incident like that of any other fault.

        False: there is no such camera. Nothing changes where it is suspended already.
        """
        ...

    def lift(self, facility: FacilityId, camera: CameraId, actor: str) -> Sequence[str]:
        """Ends its faults, which it returns, and forgets what was usual: what comes now is. Its incident ends; audited."""
        ...
