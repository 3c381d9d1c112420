"""`/review`: where people decide what the gate could not, and what their decisions say about automatic passes."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.html import page
from framegate.dashboard.query import PageQuery
from framegate.dashboard.reviewviews import desk_view, item_view, quality_view
from framegate.dashboard.state import PagesDep
from framegate.kernel.ids import ImageId
from framegate.kernel.states import Scope
from framegate.web.identity import Principal
from framegate.web.ids import parse_id
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(include_in_schema=False)

Visitor = Annotated[Principal, requires(Scope.REVIEWS_WRITE, page=True, takes_parameters=True)]
Reviewer = Annotated[Principal, requires(Scope.REVIEWS_WRITE, page=True)]
Asked = Annotated[PageQuery, Query()]


@router.get("/review")
async def desk(request: Request, query: Asked, principal: Visitor, pages: PagesDep) -> Response:
    """The desk itself; its scripts ask the API for what to decide."""
    view = await run_in_threadpool(desk_view, pages.deps, principal.visible(query.facility))
    return page("review", request, pages, view)


@router.get("/review/quality")
async def quality(request: Request, query: Asked, principal: Visitor, pages: PagesDep) -> Response:
    """How many defects pass, as far as the blind sample tells, and who decided how much."""
    view = await run_in_threadpool(quality_view, pages.deps, principal.visible(query.facility))
    return page("review_quality", request, pages, view)


@router.get("/review/items/{image_id}")
async def item(request: Request, image_id: str, principal: Reviewer, pages: PagesDep) -> Response:
    """A piece of the desk: what a reviewer may know of an image before deciding, which is the same for every one."""
    wanted = ImageId(parse_id(image_id))
    view = await run_in_threadpool(item_view, pages.deps, principal.visible(None), wanted)
    if view is None:
        raise Problem("not-found")
    return page("review_item", request, pages, view)
