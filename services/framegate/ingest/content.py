"""`GET /v1/images/{id}/content`: the original, or a preview of it."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.previews import Size
from framegate.ingest.reading import ImageIdPath, find_image
from framegate.kernel.blobkeys import EXTENSIONS
from framegate.kernel.errors import BlobMissing
from framegate.kernel.imagefile import MediaType
from framegate.kernel.retention import Part
from framegate.kernel.states import Scope
from framegate.ports.audit import viewed
from framegate.ports.store import ImageRecord
from framegate.web.identity import Principal
from framegate.web.links import LinkHolder
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(tags=["images"])

_TYPES: Final = tuple(EXTENSIONS)
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_HEADERS: Final = {
    "ETag": {"description": "Of an original: its SHA-256.", "schema": {"type": "string"}},
    "X-Content-SHA256": {
        "description": "With a preview: the SHA-256 of the original that it was made of.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
}


class ContentQuery(BaseModel):
    """Which picture."""

    model_config = ConfigDict(extra="forbid")

    preview: Size | None = Field(
        None,
        description="An upright JPEG without metadata, its longer side at most 320 (`small`) or 1920 pixels (`large`), or not "
        "scaled (`full`).",
    )
    boxes: Literal["0", "1"] = Field(
        "0", description="`1`: a preview with the detections drawn on it, `large` unless `preview` says otherwise."
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
        200: {"description": "The bytes.", "content": dict.fromkeys(_TYPES, _BINARY), "headers": _HEADERS},
        304: {"description": "The preview is still the one that `If-None-Match` names.", "headers": _HEADERS},
        **problems(
            *AUTHENTICATED,
            "content-gone",
            "content-changed",
            "preview-unavailable",
            "overloaded",
            "link-expired",
            "link-invalid",
        ),
    },
)
async def show_content(
    request: Request,
    image_id: ImageIdPath,
    query: Annotated[ContentQuery, Query()],
    caller: Annotated[
        Principal | LinkHolder, requires(Scope.RESULTS_READ, produces=_TYPES, takes_parameters=True, or_link=True)
    ],
    api: ApiDep,
) -> Response:
    """The original exactly as it was uploaded, or (`preview`, `boxes=1`) an upright preview of it.

    A preview names in `X-Content-SHA256` the original that it was made of, which is checked when it is made. Previews are
    made of decided images only. A browser that keeps one asks each time whether it may still show it (`If-None-Match`).

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
    if query.preview is not None or query.boxes == "1":
        return await _preview(api, request, record, query, keep=not isinstance(caller, LinkHolder))
    facts = record.facts
    if isinstance(caller, Principal) and caller.person:
        await run_in_threadpool(
            viewed, api.deps.evidence.audit, facts.facility, facts.image_id, caller.actor, "original"
        )
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
    _check_kept(record)
    try:
        return await run_in_threadpool(api.deps.blobs.get, record.facts.blob_key)
    except BlobMissing:
        raise Problem("content-gone") from None


def _check_kept(record: ImageRecord) -> None:
    if record.erased(Part.ORIGINAL):
        # Its file, or a small preview, may still be there for a moment.
        raise Problem("content-gone")


async def _preview(api: Api, request: Request, record: ImageRecord, query: ContentQuery, *, keep: bool) -> Response:
    _check_kept(record)
    size, boxes = query.preview or Size.LARGE, query.boxes == "1"
    etag = api.previews.etag(record, size, boxes=boxes)
    headers = {
        "Cache-Control": "private, no-cache" if keep else "no-store",
        "ETag": etag,
        "X-Content-SHA256": record.facts.sha256,
    }
    if _is_known(request, etag):
        return Response(status_code=304, headers=headers)
    made = await api.previews.jpeg(record, size, boxes=boxes)
    return Response(made, media_type=MediaType.JPEG.value, headers=headers)


def _is_known(request: Request, etag: str) -> bool:
    """RFC 9110 §13.1.2."""
    named = ",".join(request.headers.getlist("if-none-match"))
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in named.split(","))
