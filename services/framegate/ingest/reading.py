"""What became of images: one, many, and as they end; and counts."""

import asyncio
import json
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.imageviews import (
    CLASS_NAME,
    REASON,
    ImagePage,
    ImageView,
    OutcomePage,
    StatsView,
    image_document,
    stats_document,
)
from framegate.ingest.parameters import METADATA, Name, parse_meta, parse_moment
from framegate.kernel.ids import REF_PATTERN, CameraId, FacilityId, ImageId
from framegate.kernel.states import ImageState, Lane, Scope, Verdict
from framegate.ports.store import ImageFilter, ImageRecord
from framegate.web.cursors import ImageCursors
from framegate.web.handlers import unknown_parameters
from framegate.web.identity import Principal
from framegate.web.ids import parse_id
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem
from framegate.web.stopping import is_stopping

router = APIRouter()

Reader = Annotated[Principal, requires(Scope.RESULTS_READ, takes_parameters=True)]
ImageIdPath = Annotated[str, Path(description="The id that the upload answered.", json_schema_extra={"format": "uuid"})]

_MOST_ITEMS: Final = 200
_MOST_WATCHERS: Final = 64
_POLL_S: Final = 0.25
_ONE_FACILITY = "Only this facility; without it, all facilities of the key."


class FacilityQuery(BaseModel):
    """Which of the key's facilities."""

    model_config = ConfigDict(extra="forbid")

    facility: Name | None = Field(None, description=_ONE_FACILITY, examples=["main"])


class ListQuery(FacilityQuery):
    """All given conditions hold."""

    # `meta.<name>` is the only other parameter; checked by hand below.
    model_config = ConfigDict(extra="allow")

    camera: Name | None = Field(None, description="Of this camera.", examples=["dock-3"])
    state: ImageState | None = Field(None, description="In this state.")
    verdict: Verdict | None = Field(None, description="With this verdict.")
    effective: Verdict | None = Field(None, description="With this verdict after what people decided.")
    reason: str | None = Field(None, description="That ended for this reason.", pattern=REASON, examples=["damage"])
    model: str | None = Field(
        None,
        description="Whose outcome rests on this model, `name@version`.",
        pattern=REF_PATTERN,
        examples=["carton@1"],
    )
    reviewed: bool | None = Field(None, description="Whether people decided about it.")
    lane: Lane | None = Field(None, description="From this lane.")
    detected: str | None = Field(
        None, description="On which this class was found.", pattern=CLASS_NAME, examples=["dent"]
    )
    min_confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="With a detection (of the class `detected`, if given) of at least this confidence.",
    )
    max_confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="With a detection of at most this confidence; with `min_confidence`, the same one.",
    )
    sha256: str | None = Field(None, description="With exactly these bytes.", pattern="^[0-9a-fA-F]{64}$")
    received_since: str | None = Field(
        None, description="Received at or after this RFC 3339 moment.", json_schema_extra={"format": "date-time"}
    )
    received_until: str | None = Field(
        None, description="Received before this RFC 3339 moment.", json_schema_extra={"format": "date-time"}
    )
    shipment: Name | None = Field(None, description="With this shipment.")
    sscc: Name | None = Field(None, description="With this logistic unit.")
    dock: Name | None = Field(None, description="With this dock.")
    pallet: Name | None = Field(None, description="With this pallet.")
    sku: Name | None = Field(None, description="With this article.")
    order: Name | None = Field(None, description="With this order.")
    lot: Name | None = Field(None, description="With this lot.")
    limit: int = Field(50, ge=1, le=_MOST_ITEMS, description="The most images on a page.")
    cursor: str | None = Field(
        None, max_length=256, description="`next` of the page before, or `previous` of the one after."
    )


class OutcomesQuery(FacilityQuery):
    """Where to go on and how long to wait."""

    after: int = Field(
        0, ge=-1, le=2**63 - 1, description="The last known sequence; 0 from the start, -1 only the newest."
    )
    wait: float = Field(0, ge=0, le=30, description="Seconds to wait for the first one.")
    limit: int = Field(_MOST_ITEMS, ge=1, le=_MOST_ITEMS, description="The most images at once.")


@router.get(
    "/v1/images", tags=["images"], response_model=ImagePage,
    responses={
        200: {"headers": {"Link": {"description": "rel=next and rel=prev", "schema": {"type": "string"}}}},
        **problems(*AUTHENTICATED, "invalid-cursor", "search-too-broad"),
    },
)  # fmt: skip
async def list_images(
    request: Request, query: Annotated[ListQuery, Query()], principal: Reader, api: ApiDep
) -> Response:
    """Images that fulfil all conditions, newest first, page by page. `meta.<name>` is a condition too."""
    now = api.deps.clock.now()
    facilities = principal.visible(query.facility)
    listing = _listing(query, principal.key_id, facilities)
    cursors = ImageCursors(api.cursors, listing, now)
    before, after = cursors.open(query.cursor)
    where = _filter(query, facilities, now, before, after)
    found = await run_in_threadpool(api.deps.results.images, where, query.limit + 1) if facilities else []
    page = cursors.page([record.facts.image_id for record in found], query.limit, before, after)
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    links = [
        f'</v1/images?{urlencode([*given, ("cursor", cursor)])}>; rel="{relation}"'
        for relation, cursor in (("next", page.next), ("prev", page.previous))
        if cursor is not None
    ]
    items = [image_document(record) for record in found[page.items]]
    headers = {"Link": ", ".join(links)} if links else {}
    return JSONResponse({"items": items, "next": page.next, "previous": page.previous}, headers=headers)


def _filter(
    query: ListQuery, facilities: frozenset[FacilityId], now: datetime, before: ImageId | None, after: ImageId | None
) -> ImageFilter:
    extra = dict(query.model_extra or {})
    unknown = [name for name in extra if not name.startswith("meta.")]
    if unknown:
        raise unknown_parameters(unknown)
    named = {name: value for name in METADATA if (value := getattr(query, name)) is not None}
    return ImageFilter(
        facilities=facilities,
        camera=CameraId(query.camera) if query.camera is not None else None,
        state=query.state,
        verdict=query.verdict,
        effective=query.effective,
        reason=query.reason,
        model=query.model,
        reviewed=query.reviewed,
        lane=query.lane,
        detected=query.detected,
        min_confidence=query.min_confidence,
        max_confidence=query.max_confidence,
        sha256=query.sha256.lower() if query.sha256 is not None else None,
        received_since=_moment("received_since", query.received_since, now),
        received_until=_moment("received_until", query.received_until, now),
        metadata=named | parse_meta(extra),
        before=before,
        after=after,
    )


def _moment(name: str, text: str | None, now: datetime) -> datetime | None:
    return None if text is None else parse_moment(name, text, now)


def _listing(query: ListQuery, key_id: str, facilities: frozenset[FacilityId]) -> str:
    """What a cursor is bound to: the caller and the conditions, not the size of the page."""
    conditions = query.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
    return json.dumps([key_id, sorted(facilities), conditions], sort_keys=True)


@router.get("/v1/images/{image_id}", tags=["images"], response_model=ImageView, responses=problems(*AUTHENTICATED))
async def show_image(
    image_id: ImageIdPath, principal: Annotated[Principal, requires(Scope.RESULTS_READ)], api: ApiDep
) -> Response:
    """Everything about one image."""
    return JSONResponse(image_document(await find_image(api, principal, image_id)))


def parse_image_id(text: str) -> ImageId:
    """As `parse_id`."""
    return ImageId(parse_id(text))


async def find_image(api: Api, principal: Principal, image_id: str) -> ImageRecord:
    """Raises `Problem`: what is no id and what belongs to others is not found alike."""
    wanted = parse_image_id(image_id)
    facilities = principal.visible(None)
    record = await run_in_threadpool(api.deps.results.image, facilities, wanted) if facilities else None
    if record is None:
        raise Problem("not-found")
    return record


@router.get("/v1/outcomes", tags=["images"], response_model=OutcomePage, responses=problems(*AUTHENTICATED))
async def list_outcomes(
    request: Request, query: Annotated[OutcomesQuery, Query()], principal: Reader, api: ApiDep
) -> Response:
    """Images in the order in which they ended; waits up to `wait` seconds while there is none."""
    facilities = principal.visible(query.facility)
    loop = asyncio.get_running_loop()
    # Beyond so many watchers nobody waits: they ask again, and the database is asked no more often.
    until = loop.time() + (query.wait if api.watchers < _MOST_WATCHERS else 0)
    api.watchers += 1
    try:
        while True:
            found = (
                await run_in_threadpool(api.deps.results.outcomes_after, facilities, query.after, query.limit)
                if facilities
                else []
            )
            if found or loop.time() >= until or is_stopping(request.scope) or await request.is_disconnected():
                break
            await asyncio.sleep(min(_POLL_S, max(0.0, until - loop.time())))
    finally:
        api.watchers -= 1
    items: list[dict[str, Any]] = [{"sequence": n, "image": image_document(record)} for n, record in found]
    return JSONResponse({"items": items, "next": found[-1][0] if found else max(query.after, 0)})


@router.get("/v1/stats", tags=["images"], response_model=StatsView, responses=problems(*AUTHENTICATED))
async def show_stats(query: Annotated[FacilityQuery, Query()], principal: Reader, api: ApiDep) -> Response:
    """How many images were accepted and what became of them; every accepted image is in exactly one of the numbers."""
    facilities = sorted(principal.visible(query.facility))
    conservation = api.deps.upkeep.conservation
    counts = [await run_in_threadpool(conservation, facility) for facility in facilities]
    return JSONResponse(stats_document(counts))
