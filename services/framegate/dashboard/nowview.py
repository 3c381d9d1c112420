"""What `/` shows: the figures of the last hour, and each camera with its newest images. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.incidents import Incident
from framegate.kernel.states import ImageState, Verdict
from framegate.ports.overview import CameraRate, Glimpse
from framegate.ports.store import ImageRecord

#: How an image can end, in the order in which it is told.
KINDS: Final = tuple(
    map(str, (Verdict.PASS, Verdict.FAIL, Verdict.REVIEW, ImageState.REJECTED, ImageState.FAILED)),
)
#: Newest images of each camera.
EACH: Final = 5
MOST_INCIDENTS: Final = 4
_TROUBLE: Final = frozenset({str(Verdict.FAIL), str(ImageState.FAILED)})


def glimpse_of(record: ImageRecord) -> Glimpse:
    """As much of it as a tile shows."""
    facts, verdict = record.facts, record.effective_verdict
    return Glimpse(facts.facility, facts.image_id, facts.camera, facts.received_at, record.state, verdict)


def kind_of(image: Glimpse) -> str:
    """Its verdict, or its state where it has none."""
    return str(image.verdict or image.state)


@dataclass(frozen=True, slots=True)
class CameraNow:
    """`ended`: how many images of the last hour ended how."""

    facility: FacilityId
    camera: CameraId
    dock: str | None
    faults: Sequence[str]
    images: Sequence[Glimpse]
    ended: Mapping[str, int]
    median_ms: float | None

    @property
    def place(self) -> str:
        """What tells it from all others."""
        return f"{self.facility}/{self.camera}"

    @property
    def total(self) -> int:
        """All that ended in the last hour."""
        return sum(self.ended.values())

    @property
    def troubled(self) -> bool:
        """Whether people should look at it first."""
        return bool(self.faults) or any(self.ended.get(kind) for kind in _TROUBLE)

    @property
    def pieces(self) -> list[tuple[str, int, str]]:
        """For the bar."""
        return [
            ("other" if kind == "rejected" else kind, self.ended[kind], kind) for kind in KINDS if self.ended.get(kind)
        ]

    @property
    def mix(self) -> str:
        """The same in words."""
        return ", ".join(f"{self.ended[kind]} {kind}" for kind in KINDS if self.ended.get(kind))


@dataclass(frozen=True, slots=True)
class FacilityNow:
    """`quiet`: cameras of which there is nothing to see now."""

    facility: FacilityId
    busy: Sequence[CameraNow]
    quiet: Sequence[CameraNow]


@dataclass(frozen=True, slots=True)
class Figures:
    """Images that ended. `median_ms`: to a verdict, of the camera in the middle, weighted by how many images it sent."""

    five_minutes: int
    hour: int
    kinds: Mapping[str, int]
    median_ms: float | None


@dataclass(frozen=True, slots=True)
class NowView:
    """`only`: the kind of images that is shown; None: all. `stream`: where what is new is told."""

    at: datetime
    figures: Figures
    incidents: Sequence[Incident]
    more_incidents: int
    facilities: Sequence[FacilityNow]
    only: str | None
    stream: str
    kinds: Sequence[str] = KINDS

    @property
    def cameras(self) -> int:
        """How many there are at all."""
        return sum(len(each.busy) + len(each.quiet) for each in self.facilities)


def figures(five_minutes: Sequence[CameraRate], hour: Sequence[CameraRate]) -> Figures:
    """Of the same cameras."""
    kinds: Counter[str] = Counter()
    for rate in hour:
        kinds.update(rate.ended)
    return Figures(sum(sum(rate.ended.values()) for rate in five_minutes), kinds.total(), kinds, _median(hour))


def _median(rates: Sequence[CameraRate]) -> float | None:
    timed = sorted((rate.median_ms, sum(rate.ended.values())) for rate in rates if rate.median_ms is not None)
    left = sum(n for _, n in timed) / 2
    for ms, n in timed:
        left -= n
        if left <= 0:
            return ms
    return None


def matter(incidents: Sequence[Incident]) -> list[Incident]:
    """The critical ones first, then those with the newest alerts."""
    newest = sorted(incidents, key=lambda incident: incident.last_at, reverse=True)
    return sorted(newest, key=lambda incident: incident.severity != "critical")


def facilities_of(
    rates: Sequence[CameraRate],
    newest: Mapping[tuple[FacilityId, CameraId], Sequence[Glimpse]],
    faults: Mapping[tuple[FacilityId, CameraId], Sequence[str]],
    *,
    only: str | None,
) -> list[FacilityNow]:
    """Cameras in trouble first, then by dock and name."""
    found = []
    for facility in sorted({rate.facility for rate in rates}):
        cameras = [_camera(rate, newest, faults) for rate in rates if rate.facility == facility]
        cameras.sort(key=lambda camera: (not camera.troubled, camera.dock or "", camera.camera))
        busy = [camera for camera in cameras if (camera.images if only else camera.total or camera.faults)]
        found.append(FacilityNow(facility, busy, [camera for camera in cameras if camera not in busy]))
    return found


def _camera(
    rate: CameraRate,
    newest: Mapping[tuple[FacilityId, CameraId], Sequence[Glimpse]],
    faults: Mapping[tuple[FacilityId, CameraId], Sequence[str]],
) -> CameraNow:
    place = rate.facility, rate.camera
    images, wrong = newest.get(place, ()), faults.get(place, ())
    return CameraNow(rate.facility, rate.camera, rate.dock, wrong, images[:EACH], rate.ended, rate.median_ms)
