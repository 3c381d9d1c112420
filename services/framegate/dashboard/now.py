"""`/`: what every camera sees now, what became of it, and what needs somebody."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.html import page
from framegate.dashboard.nowview import EACH, MOST_INCIDENTS, NowView, facilities_of, figures, glimpse_of, matter
from framegate.dashboard.query import PageQuery
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.incidents import IncidentState
from framegate.kernel.states import ImageState, Scope, Verdict
from framegate.ports.overview import Glimpse
from framegate.ports.store import ImageFilter
from framegate.web.identity import Principal
from framegate.web.permissions import requires

router = APIRouter(include_in_schema=False)

Reader = Annotated[Principal, requires(Scope.RESULTS_READ, page=True, takes_parameters=True)]
_FIVE_MINUTES: Final = timedelta(minutes=5)
_HOUR: Final = timedelta(hours=1)
#: Of one kind, over all cameras.
_MOST_OF_A_KIND: Final = 200
_INCIDENTS_READ: Final = 100

Newest = Mapping[tuple[FacilityId, CameraId], Sequence[Glimpse]]


class NowQuery(PageQuery):
    """`verdict`: only images that ended so."""

    verdict: Literal["pass", "fail", "review", "rejected", "failed"] | None = None


@router.get("/")
async def show_now(
    request: Request, query: Annotated[NowQuery, Query()], principal: Reader, pages: PagesDep
) -> Response:
    """Of all of the person's facilities, or of one."""
    facilities = principal.visible(query.facility)
    return page("now", request, pages, await run_in_threadpool(_now, pages, facilities, query))


def _now(pages: PageState, facilities: frozenset[FacilityId], query: NowQuery) -> NowView:
    deps = pages.deps
    # First: what ends while the rest is read is told once more by the stream, and shown once.
    last = deps.results.outcomes_after(facilities, -1, 1)
    hour = deps.overview.rates(facilities, _HOUR)
    incidents = matter(deps.incidents.incidents(facilities, frozenset({IncidentState.OPEN}), _INCIDENTS_READ))
    stream = {"after": last[0][0] if last else 0, **({"facility": query.facility} if query.facility else {})}
    return NowView(
        at=deps.clock.now(),
        figures=figures(deps.overview.rates(facilities, _FIVE_MINUTES), hour),
        incidents=incidents[:MOST_INCIDENTS],
        more_incidents=len(incidents[MOST_INCIDENTS:]),
        facilities=facilities_of(
            hour, _newest(pages, facilities, query.verdict), deps.camera_healths.faults(facilities), only=query.verdict
        ),
        only=query.verdict,
        stream=f"/live?{urlencode(stream)}",
    )


def _newest(pages: PageState, facilities: frozenset[FacilityId], only: str | None) -> Newest:
    images: Sequence[Glimpse]
    if only is None:
        images = pages.deps.overview.newest(facilities, EACH)
    else:
        verdict = Verdict(only) if only in set(Verdict) else None
        where = ImageFilter(facilities, verdict=verdict, state=None if verdict else ImageState(only))
        images = [glimpse_of(record) for record in pages.deps.results.images(where, _MOST_OF_A_KIND)]
    found: defaultdict[tuple[FacilityId, CameraId], list[Glimpse]] = defaultdict(list)
    for image in images:
        found[image.facility, image.camera].append(image)
    return found
