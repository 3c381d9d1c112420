"""`/v1/incidents`: what people have to take care of."""

from collections.abc import Callable
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.hookviews import IncidentDetailView, IncidentList, IncidentView, event_document
from framegate.ingest.reading import FacilityQuery
from framegate.kernel.ids import FacilityId
from framegate.kernel.incidents import Incident, IncidentState
from framegate.kernel.states import Scope
from framegate.ports.incidents import Announce
from framegate.ports.notices import describe, last_image
from framegate.web.identity import Principal
from framegate.web.ids import parse_id
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(tags=["incidents"])

IncidentIdPath = Annotated[
    str, Path(description="The id of the incident, as messages have it.", json_schema_extra={"format": "uuid"})
]
Reviewer = Annotated[Principal, requires(Scope.REVIEWS_WRITE)]

#: `Incidents.acknowledge` or `Incidents.resolve`.
_Act = Callable[[frozenset[FacilityId], UUID, str, Announce], Incident | None]
_MOST_ITEMS: Final = 200


class IncidentsQuery(FacilityQuery):
    """Which, and how many."""

    state: list[IncidentState] = Field(
        [IncidentState.OPEN, IncidentState.ACKNOWLEDGED],
        description="In one of these states; may be given several times. Without it, those that are not over.",
    )
    limit: int = Field(50, ge=1, le=_MOST_ITEMS, description="The most of them.")


@router.get("/v1/incidents", response_model=IncidentList, responses=problems(*AUTHENTICATED))
async def list_incidents(
    query: Annotated[IncidentsQuery, Query()],
    principal: Annotated[Principal, requires(Scope.RESULTS_READ, takes_parameters=True, repeatable=("state",))],
    api: ApiDep,
) -> Response:
    """Incidents, those with the newest alerts first."""
    found = await run_in_threadpool(
        api.deps.incidents.incidents, principal.visible(query.facility), frozenset(query.state), query.limit
    )
    return JSONResponse({"items": [describe(incident) for incident in found]})


@router.get("/v1/incidents/{incident_id}", response_model=IncidentDetailView, responses=problems(*AUTHENTICATED))
async def show_incident(
    incident_id: IncidentIdPath, principal: Annotated[Principal, requires(Scope.RESULTS_READ)], api: ApiDep
) -> Response:
    """One incident with what happened, and a new link to its last image that opens without a key for a week."""
    wanted = parse_id(incident_id)
    incident = _found(await run_in_threadpool(api.deps.incidents.incident, principal.visible(None), wanted))
    events = await run_in_threadpool(api.deps.incidents.events, wanted)
    image = last_image(incident, api.deps.public_url, api.deps.pepper, api.deps.clock.now())
    return JSONResponse(describe(incident) | {"events": [event_document(event) for event in events], "image": image})


@router.post("/v1/incidents/{incident_id}/acknowledge", response_model=IncidentView, responses=problems(*AUTHENTICATED))
async def acknowledge_incident(incident_id: IncidentIdPath, principal: Reviewer, api: ApiDep) -> Response:
    """Says that somebody takes care of an open incident: it does not escalate any more. Any other stays as it is."""
    return await _act(api, principal, incident_id, api.deps.incidents.acknowledge)


@router.post("/v1/incidents/{incident_id}/resolve", response_model=IncidentView, responses=problems(*AUTHENTICATED))
async def resolve_incident(incident_id: IncidentIdPath, principal: Reviewer, api: ApiDep) -> Response:
    """Ends an incident: the next alert about the same opens another one. One that is over stays as it is."""
    return await _act(api, principal, incident_id, api.deps.incidents.resolve)


async def _act(api: Api, principal: Principal, incident_id: str, act: _Act) -> Response:
    facilities, wanted = principal.visible(None), parse_id(incident_id)
    done = await run_in_threadpool(act, facilities, wanted, principal.actor, api.deps.announce)
    return JSONResponse(describe(_found(done)))


def _found(incident: Incident | None) -> Incident:
    """Another facility's looks absent."""
    if incident is None:
        raise Problem("not-found")
    return incident
