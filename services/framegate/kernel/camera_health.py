"""What is known of a camera: what is usual for it, and which faults it has."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from math import sqrt
from typing import Any, Final, Self

from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.inspection import Prepared

Place = tuple[FacilityId, CameraId]


class Fault(StrEnum):
    """What a camera may suffer from, with the most certain first."""

    FROZEN = "frozen"  #: it sends the same picture again and again
    DARK = "dark"  #: there is no light in what was a bright picture
    BLOCKED = "blocked"  #: something uniform is before the lens
    MOVED = "moved"  #: it looks at another place
    DIRTY = "dirty"  #: it sees the place, but blurred
    SILENT = "silent"  #: it sends nothing
    SUSPENDED = "suspended"  #: somebody says that it cannot be believed, until somebody lifts that


#: Why the gate asks for a person where the camera has a fault.
CAMERA_FAULT: Final = "camera-fault"
FAULTS: Final = tuple(map(str, Fault))
#: Those that a policy may ignore: what a person said is not for it.
IGNORABLE: Final = tuple(fault for fault in FAULTS if fault != Fault.SUSPENDED)


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """When it is a fault. Frames are those of one camera in a row; luma is 0..255."""

    warm_up: int = 50  #: frames before anything is compared with what is usual
    memory: int = 500  #: frames that make up what is usual
    frozen_frames: int = 10  #: the same picture this often,
    frozen_s: float = 30.0  #: over at least this many seconds
    frozen_tiles: int = 56  #: of 64 that make two pictures the same: a clock covers a few; of live ones 2 were alike
    dark_exposure: float = 25.0  #: mean luma; the policy's too-dark begins there
    dark_share: float = 0.5  #: of the usual mean luma
    dark_frames: int = 5
    blocked_contrast: float = 6.0  #: deviation of the luma; the policy's flat begins there
    blocked_share: float = 0.3  #: of the usual contrast, and of the usual sharpness
    blocked_frames: int = 5
    moved_distance: float = 0.35  #: 1 - correlation of the mean layout of late with the usual one
    moved_deviations: float = 6.0  #: and so many standard deviations beyond the usual distance
    moved_frames: int = 20
    dirty_share: float = 0.4  #: of the usual sharpness
    dirty_deviations: float = 2.0  #: and so many standard deviations below it, of the logarithm
    dirty_frames: int = 25
    silent_times: float = 20.0  #: times the usual interval,
    silent_pauses: float = 2.0  #: times the longest pause of the last two weeks,
    silent_least_s: float = 600.0  #: and at least this long
    recovery: int = 10  #: frames without a sign of the fault until it is over


@dataclass(frozen=True, slots=True)
class Observation:
    """One live image that ended. Without measures where it could not be decoded: the camera is there, no more is known."""

    facility: FacilityId
    camera: CameraId
    at: datetime  #: when it was received: clocks of cameras are not to be trusted
    prepared: Prepared | None


@dataclass(frozen=True, slots=True)
class FaultChange:
    """A fault began or ended."""

    facility: FacilityId
    camera: CameraId
    fault: Fault
    began: bool
    detail: str  #: with the numbers
    well: bool  #: no other fault is left


@dataclass(slots=True)
class Baseline:
    """Exponentially weighted mean and variance (West 1979)."""

    mean: float = 0.0
    variance: float = 0.0

    def learn(self, value: float, weight: float) -> None:
        """`weight` is the share of this value, 0..1."""
        delta = value - self.mean
        self.mean += weight * delta
        self.variance = (1 - weight) * (self.variance + weight * delta * delta)

    @property
    def deviation(self) -> float:
        """Standard deviation."""
        return sqrt(self.variance)


@dataclass(slots=True)
class CameraHealth:
    """What is known of one camera. `framegate.kernel.camera_faults` changes it in place."""

    frames: int = 0  #: that were learnt from
    last_at: datetime | None = None
    sharpness: Baseline = field(default_factory=Baseline)  #: of its natural logarithm
    exposure: Baseline = field(default_factory=Baseline)
    contrast: Baseline = field(default_factory=Baseline)
    distance: Baseline = field(default_factory=Baseline)  #: of the layout of late from the usual one
    interval: Baseline = field(default_factory=Baseline)  #: seconds
    pause_s: float = 0.0  #: the longest of late
    began_with: float | None = None  #: log sharpness at the end of the warm-up
    layout: list[float] = field(default_factory=list)  #: the usual one, as mean of unit vectors
    recent: list[float] = field(default_factory=list)  #: the one of late
    tiles: str = ""  #: of the last frame, hexadecimal
    repeats: int = 0  #: how often the last picture came again
    same_since: datetime | None = None
    runs: dict[str, int] = field(default_factory=dict)  #: frames in a row with signs of a fault
    clear: dict[str, int] = field(default_factory=dict)  #: frames in a row without, for faults that hold
    faults: dict[str, datetime] = field(default_factory=dict)  #: those that hold, and since when

    def to_json(self) -> dict[str, Any]:
        """Rounded: these are measures."""
        raw = asdict(self)
        moments = {
            name: at and at.isoformat() for name, at in (("last_at", self.last_at), ("same_since", self.same_since))
        }
        vectors = {name: [round(v, 4) for v in raw[name]] for name in ("layout", "recent")}
        return raw | moments | vectors | {"faults": {name: at.isoformat() for name, at in self.faults.items()}}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Reverses `to_json`; entries of a newer release are left alone."""
        known = {name: value for name, value in raw.items() if name in cls.__slots__}
        for name in ("sharpness", "exposure", "contrast", "distance", "interval"):
            known[name] = Baseline(**raw[name])
        for name in ("last_at", "same_since"):
            known[name] = raw[name] and datetime.fromisoformat(raw[name])
        known["faults"] = {name: datetime.fromisoformat(at) for name, at in raw["faults"].items()}
        return cls(**known)
