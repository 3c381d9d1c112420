"""`/inspections`: searching images, page by page, and all that is found as a file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from framegate.dashboard.exporting import FORMATS, as_file
from framegate.dashboard.html import page
from framegate.dashboard.searching import Chip, Conditions, ExportQuery, SearchQuery, chips_of, moment
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.errors import TooBroad
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.states import ImageState, Scope, Verdict
from framegate.ports.overview import Facets
from framegate.ports.store import ImageRecord
from framegate.web.cursors import Cursors, ImageCursors
from framegate.web.identity import Principal
from framegate.web.permissions import requires

router = APIRouter(include_in_schema=False)

Reader = Annotated[Principal, requires(Scope.RESULTS_READ, page=True, takes_parameters=True)]
Exporter = Annotated[
    Principal, requires(Scope.RESULTS_READ, page=True, takes_parameters=True, produces=tuple(FORMATS.values()))
]

#: Whole rows of pictures, whatever fits beside each other.
_ITEMS: Final = 48


@dataclass(frozen=True, slots=True)
class SearchView:
    """A page of what was found. `too_broad`: it would have taken too long to find anything."""

    query: SearchQuery
    chips: Sequence[Chip]
    items: Sequence[ImageRecord]
    newer: str | None
    older: str | None
    choices: Facets
    since: datetime | None
    until: datetime | None
    too_broad: bool = False
    verdicts: Sequence[str] = tuple(Verdict)
    states: Sequence[str] = tuple(ImageState)

    @property
    def kept(self) -> dict[str, str]:
        """What a link set and the form has no field for."""
        return {
            name: self.query.given[name]
            for name in ("facility", "verdict", "lane", "sha256")
            if name in self.query.given
        }

    @property
    def more(self) -> bool:
        """Whether a condition of the part that is closed at first is given."""
        return bool(set(self.query.given) - {"facility", "since", "until", "camera", "effective", "shipment"})


@router.get("/inspections")
async def list_inspections(
    request: Request, query: Annotated[SearchQuery, Query()], principal: Reader, pages: PagesDep
) -> Response:
    """Newest first."""
    facilities = principal.visible(query.facility)
    view = await run_in_threadpool(_search, pages, query, facilities, principal.key_id)
    return page("inspections", request, pages, view)


@router.get("/inspections/export")
async def export_inspections(
    query: Annotated[ExportQuery, Query()], principal: Exporter, pages: PagesDep
) -> StreamingResponse:
    """Everything that is found, newest first, as CSV or as JSON Lines; it is audited who took it."""
    facilities = principal.visible(query.facility)
    given = {name: value for name, value in query.given.items() if name != "facility"}
    return await as_file(pages.deps, query.where(facilities), query.form, principal.actor, given)


def _search(pages: PageState, query: SearchQuery, facilities: frozenset[FacilityId], who: str) -> SearchView:
    deps, now = pages.deps, pages.deps.clock.now()
    cursors = ImageCursors(Cursors(deps.pepper), _listing(query, who, facilities), now)
    before, after = cursors.open(query.cursor)
    where = replace(query.where(facilities), before=before, after=after)
    too_broad, found = False, list[ImageRecord]()
    try:
        found = deps.results.images(where, _ITEMS + 1) if facilities else []
    except TooBroad:
        too_broad = True
    part = cursors.page([ImageId(record.facts.image_id) for record in found], _ITEMS, before, after)
    return SearchView(
        query=query,
        chips=chips_of(query),
        items=found[part.items],
        newer=part.previous,
        older=part.next,
        choices=_facets(pages, facilities),
        since=None if query.since is None else moment(query.since),
        until=None if query.until is None else moment(query.until),
        too_broad=too_broad,
    )


def _facets(pages: PageState, facilities: frozenset[FacilityId]) -> Facets:
    """Only to choose from: without them, people type."""
    try:
        return pages.deps.overview.facets(facilities)
    except TooBroad:
        return Facets((), (), (), ())


def _listing(query: Conditions, who: str, facilities: frozenset[FacilityId]) -> str:
    """What a cursor is bound to: who asks, and the conditions."""
    return json.dumps(["inspections", who, sorted(facilities), query.given], sort_keys=True)
