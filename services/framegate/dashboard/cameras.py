"""`/cameras`: each camera, whether somebody vouched for it, and how well it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.drifting import drifting
from framegate.dashboard.html import page
from framegate.dashboard.query import PageQuery
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.drift_features import Kind
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.states import CameraStatus, Scope
from framegate.web.identity import Principal
from framegate.web.permissions import requires

router = APIRouter(include_in_schema=False)

Reader = Annotated[Principal, requires(Scope.RESULTS_READ, page=True, takes_parameters=True)]


@dataclass(frozen=True, slots=True)
class CameraRow:
    """A camera in the list. `faults`: those that hold now; `drifts`: the measures that do."""

    facility: FacilityId
    camera: CameraId
    confirmed: bool
    faults: Sequence[str]
    drifts: Sequence[str]
    last_image_at: datetime | None


@dataclass(frozen=True, slots=True)
class CamerasView:
    """Those with a fault first, then those that drift, then those that nobody confirmed."""

    rows: Sequence[CameraRow]

    @property
    def faulty(self) -> int:
        """How many have a fault."""
        return sum(bool(row.faults) for row in self.rows)

    @property
    def drifting(self) -> int:
        """How many are not what they were."""
        return sum(bool(row.drifts) for row in self.rows)

    @property
    def unconfirmed(self) -> int:
        """How many nobody vouched for."""
        return sum(not row.confirmed for row in self.rows)


@router.get("/cameras")
async def list_cameras(
    request: Request, query: Annotated[PageQuery, Query()], principal: Reader, pages: PagesDep
) -> Response:
    """All of the person's facilities, or of one."""
    facilities = principal.visible(query.facility)
    return page("cameras", request, pages, await run_in_threadpool(_cameras, pages, facilities))


def _cameras(pages: PageState, facilities: frozenset[FacilityId]) -> CamerasView:
    cameras = pages.deps.cameras.cameras(facilities)
    faults: Mapping[tuple[FacilityId, CameraId], Sequence[str]] = pages.deps.camera_healths.faults(facilities)
    drifts = drifting(pages, facilities, Kind.CAMERA)
    rows = [
        CameraRow(
            camera.facility,
            camera.id,
            camera.status is CameraStatus.CONFIRMED,
            faults.get((camera.facility, camera.id), ()),
            drifts.get((camera.facility, camera.id), ()),
            camera.last_image_at,
        )
        for camera in cameras
    ]
    return CamerasView(
        sorted(rows, key=lambda row: (not row.faults, not row.drifts, row.confirmed, row.facility, row.camera))
    )
