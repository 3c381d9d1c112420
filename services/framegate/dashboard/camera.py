"""`/cameras/{facility}/{camera}`: how well one camera is, what is usual for it, and what it has sent of late."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Annotated, Final

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.drifting import DriftView, drift_view
from framegate.dashboard.html import page
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.camera_health import CameraHealth, Fault
from framegate.kernel.drift_features import Kind
from framegate.kernel.drift_state import Subject
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.states import CameraStatus, Scope
from framegate.ports.store import Camera, ImageFilter, ImageRecord
from framegate.web.identity import Principal
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(include_in_schema=False)

_OF_LATE: Final = 60  #: images
_PICTURES: Final = 6
#: Measures of `Quality` with what they are for people.
_MEASURES: Final = (
    ("sharpness", "Sharpness", "the higher, the sharper"),
    ("exposure", "Brightness", "mean of 0 (black) to 255 (white)"),
    ("contrast", "Contrast", "deviation of the brightness"),
)
#: What a fault means, and what helps.
FAULT_WORDS: Final[dict[str, str]] = {
    Fault.FROZEN: "It sends the same picture again and again: restart it.",
    Fault.DARK: "There is no light in what was a bright picture: look at its lamp and its aperture.",
    Fault.BLOCKED: "Something uniform is before the lens: clear its view.",
    Fault.MOVED: "It looks at another place: turn it back, or say that it is well as it is.",
    Fault.DIRTY: "It sees its place, but blurred: clean the lens.",
    Fault.SILENT: "It sends nothing: look at its power and its network.",
    Fault.SUSPENDED: "Somebody said that it cannot be believed.",
}


@dataclass(frozen=True, slots=True)
class Trend:
    """One measure over the images of late, oldest first; None where an image could not be decoded."""

    title: str
    hint: str
    values: Sequence[float | None]
    usual: float | None

    @property
    def last(self) -> float | None:
        """Of the newest image that has it."""
        return next((value for value in reversed(self.values) if value is not None), None)


@dataclass(frozen=True, slots=True)
class CameraView:
    """`images`: those of late, newest first. `mix` counts how they ended."""

    camera: Camera
    faults: Sequence[tuple[str, str]]  #: with what helps
    health: CameraHealth | None
    trends: Sequence[Trend]
    images: Sequence[ImageRecord]
    mix: Sequence[tuple[str, int]]
    drift: DriftView | None  #: None: no image of it has ended yet

    @property
    def confirmed(self) -> bool:
        """Whether somebody vouched for it."""
        return self.camera.status is CameraStatus.CONFIRMED

    @property
    def parts(self) -> Sequence[tuple[str, int, str]]:
        """`mix` for a bar; what has no colour of its own is grey."""
        return [(end if end in ("pass", "fail", "review") else "other", number, end) for end, number in self.mix]

    @property
    def pictures(self) -> Sequence[ImageRecord]:
        """The newest few."""
        return self.images[:_PICTURES]


@router.get("/cameras/{facility}/{camera}")
async def show_camera(
    facility: str,
    camera: str,
    request: Request,
    principal: Annotated[Principal, requires(Scope.RESULTS_READ, page=True)],
    pages: PagesDep,
) -> Response:
    """Another facility's looks absent."""
    if facility not in principal.visible(None):
        raise Problem("not-found")
    view = await run_in_threadpool(_camera, pages, FacilityId(facility), CameraId(camera))
    return page("camera", request, pages, view)


def _camera(pages: PageState, facility: FacilityId, name: CameraId) -> CameraView:
    deps = pages.deps
    camera = next((each for each in deps.cameras.cameras(frozenset({facility})) if each.id == name), None)
    if camera is None:
        raise Problem("not-found")
    health = deps.camera_healths.health(facility, name)
    faults = deps.camera_healths.faults(frozenset({facility})).get((facility, name), ())
    images = deps.results.images(ImageFilter(frozenset({facility}), camera=name), _OF_LATE)
    ends = [str(image.effective_verdict or image.state) for image in images]
    return CameraView(
        camera,
        [(fault, FAULT_WORDS.get(fault, "")) for fault in faults],
        health,
        [_trend(images, health, *measure) for measure in _MEASURES],
        images,
        [(end, ends.count(end)) for end in dict.fromkeys(ends)],
        drift_view(pages, Subject(facility, Kind.CAMERA, name)),
    )


def _trend(images: Sequence[ImageRecord], health: CameraHealth | None, name: str, title: str, hint: str) -> Trend:
    values = [None if image.quality is None else image.quality.get(name) for image in reversed(images)]
    usual = None
    if health is not None and health.frames:
        mean = getattr(health, name).mean
        usual = exp(mean) if name == "sharpness" else mean  # it is learnt as a logarithm
    return Trend(title, hint, values, usual)
