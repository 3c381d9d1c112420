"""`/incidents`: what people have to take care of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.html import page
from framegate.dashboard.query import PageQuery
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.incidents import Incident, IncidentState
from framegate.kernel.states import Scope
from framegate.ports.incidents import IncidentEvent
from framegate.ports.store import ImageRecord
from framegate.web.identity import Principal
from framegate.web.ids import parse_id
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(include_in_schema=False)

_MOST: Final = 100
_GOING_ON: Final = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED})
_OVER: Final = frozenset({IncidentState.RESOLVED})


class IncidentsQuery(PageQuery):
    """Those that go on, or those that are over."""

    show: Literal["over"] | None = None


@dataclass(frozen=True, slots=True)
class IncidentsView:
    """Going on: critical first, then those that nobody has acknowledged. Over: the latest first."""

    incidents: Sequence[Incident]
    over: bool
    cut: bool  #: there are more


@dataclass(frozen=True, slots=True)
class IncidentView:
    """One, with what happened, oldest first, and the pictures that it began and went on with."""

    incident: Incident
    events: Sequence[IncidentEvent]
    first: ImageRecord | None
    last: ImageRecord | None


@router.get("/incidents")
async def list_incidents(
    request: Request,
    query: Annotated[IncidentsQuery, Query()],
    principal: Annotated[Principal, requires(Scope.RESULTS_READ, page=True, takes_parameters=True)],
    pages: PagesDep,
) -> Response:
    """All of the person's facilities, or of one."""
    over, facilities = query.show is not None, principal.visible(query.facility)
    states = _OVER if over else _GOING_ON
    found = await run_in_threadpool(pages.deps.incidents.incidents, facilities, states, _MOST + 1)
    shown = found[:_MOST]
    if not over:
        shown.sort(key=lambda each: (each.severity != "critical", each.state is not IncidentState.OPEN))
    return page("incidents", request, pages, IncidentsView(shown, over, len(found) > _MOST))


@router.get("/incidents/{incident_id}")
async def show_incident(
    incident_id: str,
    request: Request,
    principal: Annotated[Principal, requires(Scope.RESULTS_READ, page=True)],
    pages: PagesDep,
) -> Response:
    """Another facility's looks absent."""
    view = await run_in_threadpool(_incident, pages, principal.visible(None), incident_id)
    return page("incident", request, pages, view)


def _incident(pages: PageState, facilities: frozenset[FacilityId], incident_id: str) -> IncidentView:
    deps = pages.deps
    incident = deps.incidents.incident(facilities, parse_id(incident_id))
    if incident is None:
        raise Problem("not-found")

    def image(wanted: ImageId | None) -> ImageRecord | None:
        return deps.results.image(facilities, wanted) if wanted is not None else None

    last = incident.last_image if incident.last_image != incident.first_image else None
    return IncidentView(incident, deps.incidents.events(incident.incident_id), image(incident.first_image), image(last))
