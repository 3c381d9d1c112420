"""`/live`: every outcome as it happens, as the piece of `/` that shows it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.html import fragment
from framegate.dashboard.nowview import glimpse_of, kind_of
from framegate.dashboard.query import PageQuery
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.ids import FacilityId
from framegate.kernel.states import Scope
from framegate.ports.store import ImageRecord, Results
from framegate.web.events import MEDIA_TYPE, EventStream, last_event_id
from framegate.web.fanout import Broadcaster, News, Source, Viewer
from framegate.web.identity import Principal
from framegate.web.permissions import caller_id, requires, still_allowed

router = APIRouter(include_in_schema=False)

Listener = Annotated[Principal, requires(Scope.RESULTS_READ, produces=(MEDIA_TYPE,), takes_parameters=True)]


class LiveQuery(PageQuery):
    """`after`: the sequence up to which a page has everything. A browser that comes back says it in a header instead."""

    after: int | None = Field(None, ge=0, le=2**63 - 1)


def outcomes(results: Results) -> Source:
    """What the pages are told of."""

    def source(facilities: frozenset[FacilityId], after: int, limit: int) -> Sequence[News]:
        found = results.outcomes_after(facilities, after, limit)
        return [News(record.facts.facility, sequence, "outcome", _outcome(record)) for sequence, record in found]

    return source


def _outcome(record: ImageRecord) -> str:
    image = glimpse_of(record)
    return json.dumps(
        {
            "place": f"{image.facility}/{image.camera}",
            "image": str(image.image_id),
            "kind": kind_of(image),
            "at": record.decided_at and record.decided_at.isoformat(),
            "html": fragment("tiles", "tile", image),
        }
    )


async def _broadcaster(request: Request) -> Broadcaster:
    found: Broadcaster = request.app.state.live
    return found


@router.get("/live")
async def listen(
    request: Request,
    query: Annotated[LiveQuery, Query()],
    principal: Listener,
    pages: PagesDep,
    live: Annotated[Broadcaster, Depends(_broadcaster)],
) -> Response:
    """Of the caller's facilities, or of one."""
    facilities, who = principal.visible(query.facility), caller_id(request, principal)
    after = last_event_id(request)
    after = query.after if after is None else after
    return EventStream(
        lambda: _watch(pages, live, who, facilities, after),
        lambda: still_allowed(request, principal),
        pages.deps.clock,
        over_https=pages.over_https,
    )


@contextmanager
def _watch(
    pages: PageState, live: Broadcaster, who: str, facilities: frozenset[FacilityId], after: int | None
) -> Iterator[Viewer]:
    try:
        with live.watch(who, facilities, after) as viewer:
            pages.deps.tell_viewers(live.watching)
            yield viewer
    finally:
        pages.deps.tell_viewers(live.watching)
