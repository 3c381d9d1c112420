"""`GET /v1/images/{id}/content`: the original, or a picture with boxes."""

import asyncio
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.boxes import draw_boxes
from framegate.ingest.evidence import EXTENSIONS
from framegate.ingest.reading import ImageIdPath, find_image
from framegate.kernel.errors import BlobMissing
from framegate.kernel.imagefile import MediaType
from framegate.kernel.states import ImageState, Scope
from framegate.ports.store import ImageRecord
from framegate.web.identity import Principal
from framegate.web.links import LinkHolder
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(tags=["images"])

_TYPES: Final = tuple(EXTENSIONS)
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}


class ContentQuery(BaseModel):
    """Which picture."""

    model_config = ConfigDict(extra="forbid")

    boxes: Literal["0", "1"] = Field(
        "0", description="`1`: a JPEG with the detections drawn, at most 1920 pixels wide."
    )
    expires: str | None = Field(
        None, pattern="^[0-9]{1,12}$", description="Of a signed link: until when it holds, in seconds since 1970."
    )
    signature: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="Of a signed link, which replaces the key."
    )


@router.get(
    "/v1/images/{image_id}/content",
    response_class=Response,
    responses={
        200: {"description": "The bytes.", "content": dict.fromkeys(_TYPES, _BINARY)},
        **problems(*AUTHENTICATED, "content-gone", "boxes-unavailable", "overloaded", "link-expired", "link-invalid"),
    },
)
async def show_content(
    image_id: ImageIdPath,
    query: Annotated[ContentQuery, Query()],
    caller: Annotated[
        Principal | LinkHolder, requires(Scope.RESULTS_READ, produces=_TYPES, takes_parameters=True, or_link=True)
    ],
    api: ApiDep,
) -> Response:
    """The original exactly as it was uploaded, or (`boxes=1`) an upright preview with the detections drawn on it.

    What came over a bucket and is no image is `application/octet-stream`; where its bytes were not kept, a problem
    document says why. Links in messages have `expires` and `signature` and open without a key until they expire.
    """
    if isinstance(caller, LinkHolder):
        # What a link opened must not stay behind in a browser when it has expired.
        record, cache = await _linked(api, caller), "no-store"
    else:
        record = await find_image(api, caller, image_id)
        # Nor when a person has logged out.
        cache = "no-store" if caller.person else "private, max-age=31536000, immutable"
    if query.boxes == "1":
        return Response(await _drawn(api, record), media_type=MediaType.JPEG.value)
    facts = record.facts
    data = await _original(api, record)
    name = f"{facts.image_id}.{EXTENSIONS[facts.media_type]}"
    return Response(
        data,
        media_type=facts.media_type,
        headers={
            # Never shown by a browser in our name: these are foreign bytes.
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": cache,
            "ETag": f'"{facts.sha256}"',
        },
    )


async def _linked(api: Api, holder: LinkHolder) -> ImageRecord:
    record = await run_in_threadpool(api.deps.results.linked_image, holder.image_id)
    if record is None:
        raise Problem("not-found")
    return record


async def _original(api: Api, record: ImageRecord) -> bytes:
    try:
        return await run_in_threadpool(api.deps.blobs.get, record.facts.blob_key)
    except BlobMissing:
        raise Problem("content-gone") from None


async def _drawn(api: Api, record: ImageRecord) -> bytes:
    # This process decodes no file that has not been decoded before: a decided image was, completely and strictly,
    # by a child process that may die of it.
    if record.state is not ImageState.DECIDED:
        raise Problem("boxes-unavailable")
    with api.one_more_drawing():
        data = await _original(api, record)
        drawn = await asyncio.get_running_loop().run_in_executor(
            api.drawing, draw_boxes, data, record.facts.orientation, record.detections
        )
    if drawn is None:
        raise Problem("boxes-unavailable")
    return drawn
