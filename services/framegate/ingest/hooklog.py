"""What became of messages: deliveries, their log, the dead ones, and replaying them."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import ApiDep
from framegate.ingest.hooks import EndpointIdPath, Manager, SearchingManager, find_endpoint
from framegate.ingest.hookviews import AttemptList, DeliveryList, ReplayView, attempts_document, deliveries_document
from framegate.ingest.jsonbody import BODY, documented, read_document
from framegate.ingest.parameters import Name, parse_moment
from framegate.ingest.reading import FacilityQuery
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.problems import Problem, invalid

router = APIRouter(tags=["hooks"])

_MOST_ITEMS: Final = 200


class LimitQuery(BaseModel):
    """How many."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=_MOST_ITEMS, description="The most of them.")


class DeadQuery(FacilityQuery):
    """Of which facilities, and how many."""

    limit: int = Field(50, ge=1, le=_MOST_ITEMS, description="The most of them.")


class Replay(BaseModel):
    """Which dead deliveries; all given conditions hold."""

    model_config = ConfigDict(extra="forbid")

    delivery_id: StrictInt | None = Field(None, ge=1, le=2**63 - 1, description="Only this one.")
    endpoint: UUID | None = Field(None, description="Only of this endpoint.")
    since: str | None = Field(
        None,
        description="Made at or after this RFC 3339 moment.",
        json_schema_extra={"format": "date-time"},
    )
    until: str | None = Field(
        None, description="Made before this RFC 3339 moment.", json_schema_extra={"format": "date-time"}
    )
    facility: Name | None = Field(None, description="Only of this facility; without it, of all facilities of the key.")
    all: StrictBool = Field(False, description="Every dead delivery; needed where no other condition is given.")


_EXAMPLE: Final = {"endpoint": "019ab3a0-5c1e-7c41-9d10-2f6f0c6a7e11", "since": "2026-11-23T10:15:00Z"}


@router.get("/v1/hooks/dead", response_model=DeliveryList, responses=problems(*AUTHENTICATED))
async def list_dead(query: Annotated[DeadQuery, Query()], principal: SearchingManager, api: ApiDep) -> Response:
    """Deliveries that were given up, newest first. They are kept for a while, and can be replayed."""
    facilities = principal.visible(query.facility)
    return JSONResponse(deliveries_document(await run_in_threadpool(api.deps.deliveries.dead, facilities, query.limit)))


@router.post(
    "/v1/hooks/replay",
    response_model=ReplayView,
    responses=problems(*AUTHENTICATED, *BODY, "hook-disabled"),
    openapi_extra=documented(Replay, _EXAMPLE),
)
async def replay(request: Request, principal: Manager, api: ApiDep) -> Response:
    """Makes dead deliveries due again, with the same message and a fresh schedule. Those of disabled endpoints stay dead.

    Receivers that have had a message already know it by its `webhook-id`.
    """
    wanted = await read_document(api, request, Replay)
    conditions = (wanted.delivery_id, wanted.endpoint, wanted.since, wanted.until, wanted.facility)
    if wanted.all == any(condition is not None for condition in conditions):
        raise invalid("all", "say which deliveries to replay, or all: true for every one")
    facilities = principal.visible(wanted.facility)
    now = api.deps.clock.now()
    since, until = (
        None if text is None else parse_moment(name, text, now)
        for name, text in (("since", wanted.since), ("until", wanted.until))
    )
    if wanted.endpoint is not None:
        endpoint = await find_endpoint(api, principal, str(wanted.endpoint))
        if endpoint.facility not in facilities:
            raise Problem("not-found")
        if not endpoint.enabled:
            raise Problem("hook-disabled")
    replayed = await run_in_threadpool(
        api.deps.deliveries.replay,
        facilities,
        delivery_id=wanted.delivery_id,
        endpoint_id=wanted.endpoint,
        since=since,
        until=until,
    )
    return JSONResponse({"replayed": replayed})


@router.get("/v1/hooks/{endpoint_id}/deliveries", response_model=DeliveryList, responses=problems(*AUTHENTICATED))
async def list_deliveries(
    endpoint_id: EndpointIdPath, query: Annotated[LimitQuery, Query()], principal: SearchingManager, api: ApiDep
) -> Response:
    """What is to reach an endpoint, has reached it, or was given up; newest first."""
    endpoint = await find_endpoint(api, principal, endpoint_id)
    found = await run_in_threadpool(api.deps.deliveries.deliveries, endpoint.endpoint_id, query.limit)
    return JSONResponse(deliveries_document(found))


@router.get("/v1/hooks/{endpoint_id}/attempts", response_model=AttemptList, responses=problems(*AUTHENTICATED))
async def list_attempts(
    endpoint_id: EndpointIdPath, query: Annotated[LimitQuery, Query()], principal: SearchingManager, api: ApiDep
) -> Response:
    """The delivery log of an endpoint: every try, newest first."""
    endpoint = await find_endpoint(api, principal, endpoint_id)
    return JSONResponse(
        attempts_document(await run_in_threadpool(api.deps.deliveries.log, endpoint.endpoint_id, query.limit))
    )
