"""`POST /v1/uploads`: images that go to the bucket without passing the API."""

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.announcements import MOST_BYTES, Announcement, documented_body, parse_announcements
from framegate.ingest.api import Api, ApiDep
from framegate.ingest.images import ACCEPTED, accepted_answer
from framegate.ingest.jsonbody import read_json
from framegate.ingest.objects import ObjectIntake
from framegate.ingest.reading import parse_image_id
from framegate.ingest.schemas import AcceptedView, PresignedList, presigned_document
from framegate.kernel.ids import new_image_id
from framegate.kernel.states import Scope
from framegate.ports.store import Accepted
from framegate.ports.uploads import NewUpload
from framegate.web.identity import Principal
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(tags=["uploads"])

#: How long a form is taken: long enough for a hundred files over a slow line.
_VALID_FOR: Final = timedelta(hours=1)
_DOCUMENTATION: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": f"One upload, or up to a hundred of them; at most {MOST_BYTES} bytes.",
        "content": {"application/json": {"schema": documented_body()}},
    }
}


@router.post(
    "/v1/uploads",
    status_code=201,
    response_model=PresignedList,
    response_description="What was announced; nothing is taken in yet.",
    responses=problems(
        *AUTHENTICATED, "payload-too-large", "unsupported-media-type", "upload-too-slow", "uploads-unavailable",
        "overloaded",
    ),
    openapi_extra=_DOCUMENTATION,
)  # fmt: skip
async def announce_uploads(
    request: Request, principal: Annotated[Principal, requires(Scope.IMAGES_WRITE, people=False)], api: ApiDep
) -> Response:
    """Gives a form for each upload, with which exactly these bytes can be sent to the bucket.

    The image is taken in when the bucket tells of it, or when `complete` is called.
    """
    objects = _objects(api)
    api.backlog.check()
    body = await read_json(api, request, MOST_BYTES, "; announce fewer at once")
    now = api.deps.clock.now()
    found = parse_announcements(body, principal, now, api.deps.limits.image.max_bytes)
    uploads = [_new_upload(announcement, principal, api) for announcement in found]
    posts = await run_in_threadpool(objects.announce, uploads)
    documents = [presigned_document(upload, post) for upload, post in zip(uploads, posts, strict=True)]
    return JSONResponse({"uploads": documents}, 201)


@router.post(
    "/v1/uploads/{upload_id}/complete",
    status_code=202,
    response_model=AcceptedView,
    response_description="The image is durably stored and recorded; its outcome follows.",
    responses={
        202: ACCEPTED,
        **problems(*AUTHENTICATED, "upload-missing", "digest-mismatch", "uploads-unavailable", "overloaded"),
    },
)
async def complete_upload(
    upload_id: Annotated[str, Path(description="The id that the announcement gave.")],
    principal: Annotated[Principal, requires(Scope.IMAGES_WRITE, people=False)],
    api: ApiDep,
) -> Response:
    """Takes in an announced image that is in the bucket now, without waiting for the bucket to tell of it.

    Calling it again answers the same. Needed only where the bucket's events do not reach Framegate.
    """
    objects = _objects(api)
    api.backlog.check()
    upload = await _find(objects, principal, upload_id)
    return accepted_answer(await run_in_threadpool(_complete, api, objects, upload))


def _objects(api: Api) -> ObjectIntake:
    if api.deps.objects is None:
        raise Problem("uploads-unavailable")
    return api.deps.objects


def _new_upload(announcement: Announcement, principal: Principal, api: Api) -> NewUpload:
    now, parameters = api.deps.clock.now(), announcement.parameters
    return NewUpload(
        upload_id=new_image_id(),
        facility=announcement.facility,
        key_id=principal.key_id,
        camera=parameters.camera,
        lane=parameters.lane,
        captured_at=parameters.captured_at,
        metadata=parameters.metadata,
        media_type=announcement.media_type,
        sha256=announcement.sha256,
        size_bytes=announcement.size_bytes,
        created_at=now,
        expires_at=now + _VALID_FOR,
    )


async def _find(objects: ObjectIntake, principal: Principal, upload_id: str) -> NewUpload:
    """Raises `Problem`: what is no id and what belongs to others is not found alike."""
    wanted = parse_image_id(upload_id)
    visible = principal.visible(None)
    upload = await run_in_threadpool(objects.announced, wanted)
    if upload is None or upload.facility not in visible:
        raise Problem("not-found")
    return upload


def _complete(api: Api, objects: ObjectIntake, upload: NewUpload) -> Accepted:
    # Known already by an event or an earlier call: its object may be gone by now.
    known = api.deps.results.image(frozenset({upload.facility}), upload.upload_id)
    if known is not None:
        return Accepted(upload.upload_id, known.state, known.duplicate_of, replayed=True)
    return objects.complete(upload)
