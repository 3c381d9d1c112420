"""`/hooks`: who is told of incidents, and whether it reaches them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.html import page
from framegate.dashboard.query import PageQuery
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.ids import FacilityId
from framegate.kernel.incidents import Change
from framegate.kernel.states import Scope
from framegate.ports.deliveries import DeliveryRecord, LoggedAttempt, Subscription
from framegate.ports.hooks import HookKind
from framegate.web.identity import Principal
from framegate.web.ids import parse_id
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(include_in_schema=False)

_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint, and what of it was given up lately."""

    endpoint: Subscription
    dead: int

    @property
    def state(self) -> str:
        """In a word."""
        if not self.endpoint.enabled:
            return "disabled"
        return "active" if self.endpoint.failing_since is None else "failing"


@dataclass(frozen=True, slots=True)
class HooksView:
    """Those in trouble first. `facilities`: where one may be added."""

    rows: Sequence[EndpointRow]
    dead: int  #: messages that were given up
    dead_cut: bool  #: there may be more
    facilities: Sequence[FacilityId]
    kinds: Sequence[HookKind]
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class HookView:
    """One endpoint with its latest deliveries and tries, newest first."""

    row: EndpointRow
    deliveries: Sequence[DeliveryRecord]
    attempts: Sequence[LoggedAttempt]


@router.get("/hooks")
async def list_hooks(
    request: Request,
    query: Annotated[PageQuery, Query()],
    principal: Annotated[Principal, requires(Scope.HOOKS_MANAGE, page=True, takes_parameters=True)],
    pages: PagesDep,
) -> Response:
    """All of the person's facilities, or of one."""
    facilities = principal.visible(query.facility)
    return page("hooks", request, pages, await run_in_threadpool(_hooks, pages, facilities))


@router.get("/hooks/{endpoint_id}")
async def show_hook(
    endpoint_id: str,
    request: Request,
    principal: Annotated[Principal, requires(Scope.HOOKS_MANAGE, page=True)],
    pages: PagesDep,
) -> Response:
    """Another facility's looks absent."""
    view = await run_in_threadpool(_hook, pages, principal.visible(None), endpoint_id)
    return page("hook", request, pages, view)


def _hooks(pages: PageState, facilities: frozenset[FacilityId]) -> HooksView:
    dead = pages.deps.deliveries.dead(facilities, _MOST)
    rows = [
        EndpointRow(endpoint, sum(record.endpoint_id == endpoint.endpoint_id for record in dead))
        for endpoint in pages.deps.endpoints.endpoints(facilities)
    ]
    rows.sort(key=lambda row: ("disabled", "failing", "active").index(row.state))
    return HooksView(rows, len(dead), len(dead) == _MOST, sorted(facilities), tuple(HookKind), tuple(Change))


def _hook(pages: PageState, facilities: frozenset[FacilityId], endpoint_id: str) -> HookView:
    endpoint = pages.deps.endpoints.endpoint(facilities, parse_id(endpoint_id))
    if endpoint is None:
        raise Problem("not-found")
    deliveries = pages.deps.deliveries.deliveries(endpoint.endpoint_id, _MOST)
    dead = sum(record.state == "dead" for record in deliveries)
    return HookView(EndpointRow(endpoint, dead), deliveries, pages.deps.deliveries.log(endpoint.endpoint_id, _MOST))
