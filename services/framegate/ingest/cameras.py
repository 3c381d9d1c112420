"""`/v1/cameras`: which there are, who vouches for them, and which cannot be believed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.jsonbody import BODY, documented, read_document
from framegate.ingest.parameters import Name, is_plain_text
from framegate.ingest.reading import FacilityQuery
from framegate.ingest.schemas import View
from framegate.kernel.camera_health import Fault
from framegate.kernel.ids import CameraId, FacilityId, is_name
from framegate.kernel.states import CameraStatus, Scope
from framegate.ports.notices import moment
from framegate.ports.store import Camera
from framegate.web.identity import Principal
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem, invalid

router = APIRouter(tags=["cameras"])

Admin = Annotated[Principal, requires(Scope.ADMIN)]
SearchingAdmin = Annotated[Principal, requires(Scope.ADMIN, takes_parameters=True)]
CameraPath = Annotated[str, Path(description="The name of the camera.")]


class CameraView(View):
    """A camera."""

    facility: str
    id: str
    status: CameraStatus = Field(description="Only images of confirmed cameras can pass by themselves.")
    faults: list[Fault] = Field(description="What it suffers from; nothing passes meanwhile. Empty: it is well.")
    created_at: datetime
    last_image_at: datetime | None


class CameraList(View):
    """All cameras of the facilities of the key."""

    items: list[CameraView]


class NewCamera(BaseModel):
    """A camera that somebody vouches for."""

    model_config = ConfigDict(extra="forbid")

    camera: Name = Field(description="As its images name it.", examples=["dock-3"])
    facility: Name | None = Field(None, description="Needed only with a key of several facilities.")


class Suspension(BaseModel):
    """Why a camera cannot be believed."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=256, description="For people: in the incident and in the audit.")


_NEW: Final = {"camera": "dock-3"}
_WHY: Final = {"reason": "A forklift hit its mast."}


@router.get("/v1/cameras", response_model=CameraList, responses=problems(*AUTHENTICATED))
async def list_cameras(
    query: Annotated[FacilityQuery, Query()],
    principal: Annotated[Principal, requires(Scope.RESULTS_READ, takes_parameters=True)],
    api: ApiDep,
) -> Response:
    """The cameras of the key's facilities, those that registered themselves included."""
    return JSONResponse({"items": await _documents(api, principal.visible(query.facility))})


@router.post(
    "/v1/cameras",
    response_model=CameraView,
    responses=problems(*AUTHENTICATED, *BODY),
    openapi_extra=documented(NewCamera, _NEW),
)
async def confirm_camera(request: Request, principal: Admin, api: ApiDep) -> Response:
    """Adds a camera, or confirms one that registered itself: from then on its images can pass by themselves."""
    wanted = await read_document(api, request, NewCamera)
    facility, camera = principal.facility(wanted.facility), CameraId(wanted.camera)
    await run_in_threadpool(api.deps.cameras.confirm_camera, facility, camera, principal.actor)
    return await _shown(api, facility, camera)


@router.post(
    "/v1/cameras/{camera}/suspend",
    response_model=CameraView,
    responses=problems(*AUTHENTICATED, *BODY),
    openapi_extra=documented(Suspension, _WHY),
)
async def suspend_camera(
    request: Request,
    camera: CameraPath,
    query: Annotated[FacilityQuery, Query()],
    principal: SearchingAdmin,
    api: ApiDep,
) -> Response:
    """Says that a camera cannot be believed: nothing of it passes by itself until somebody resumes it.

    People are told, like of any fault. Of a camera that is suspended already nothing changes.
    """
    said = await read_document(api, request, Suspension)
    if not is_plain_text(said.reason):
        raise invalid("reason", "holds 1 to 256 printable characters")
    facility, wanted = principal.facility(query.facility), _camera(camera)
    suspend = api.deps.camera_healths.suspend
    if not await run_in_threadpool(suspend, facility, wanted, said.reason, principal.actor):
        raise Problem("not-found")
    return await _shown(api, facility, wanted)


@router.post("/v1/cameras/{camera}/resume", response_model=CameraView, responses=problems(*AUTHENTICATED))
async def resume_camera(
    camera: CameraPath, query: Annotated[FacilityQuery, Query()], principal: SearchingAdmin, api: ApiDep
) -> Response:
    """Says that a camera is well as it is: all its faults end, and what comes now is what is usual for it.

    One that was only suspended keeps what is usual for it.
    """
    facility, wanted = principal.facility(query.facility), _camera(camera)
    await _shown(api, facility, wanted)
    await run_in_threadpool(api.deps.camera_healths.lift, facility, wanted, principal.actor)
    return await _shown(api, facility, wanted)


def camera_document(camera: Camera, faults: Sequence[str]) -> dict[str, Any]:
    """As `CameraView`."""
    return {
        "facility": camera.facility,
        "id": camera.id,
        "status": camera.status,
        "faults": list(faults),
        "created_at": moment(camera.created_at),
        "last_image_at": camera.last_image_at and moment(camera.last_image_at),
    }


def _camera(name: str) -> CameraId:
    """Raises `Problem`: what is no name is not found, like a camera that does not exist."""
    if not is_name(name):
        raise Problem("not-found")
    return CameraId(name)


async def _shown(api: Api, facility: FacilityId, camera: CameraId) -> Response:
    """Raises `Problem`."""
    found = [one for one in await _documents(api, frozenset({facility})) if one["id"] == camera]
    if not found:
        raise Problem("not-found")
    return JSONResponse(found[0])


async def _documents(api: Api, facilities: frozenset[FacilityId]) -> list[dict[str, Any]]:
    found = await run_in_threadpool(api.deps.cameras.cameras, facilities)
    faults = await run_in_threadpool(api.deps.camera_healths.faults, facilities)
    return [camera_document(camera, faults.get((camera.facility, camera.id), ())) for camera in found]
