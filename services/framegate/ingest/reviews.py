"""`/v1/reviews`: what waits for people, and what they decide."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.imageviews import CLASS_NAME, BoxView, ReviewView, review_document
from framegate.ingest.jsonbody import BODY, documented, read_document
from framegate.ingest.reading import FacilityQuery, parse_image_id
from framegate.ingest.reviewviews import ReleaseView, ReviewItemList, ReviewStatsView, item_document, stats_document
from framegate.kernel.reviews import (
    LONGEST_NOTE,
    MOST_BOXES,
    Choice,
    Decision,
    Redrawn,
    Review,
    ReviewConflict,
    ReviewRefused,
)
from framegate.kernel.states import Scope
from framegate.web.identity import Principal
from framegate.web.ids import parse_id
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem, invalid

router = APIRouter(tags=["reviews"])

Reviewer = Annotated[Principal, requires(Scope.REVIEWS_WRITE)]
ItemPath = Annotated[str, Path(description="The id of the image.", json_schema_extra={"format": "uuid"})]
ReviewPath = Annotated[str, Path(description="The id of the review.", json_schema_extra={"format": "uuid"})]
_MOST_ITEMS: Final = 50


class NextQuery(FacilityQuery):
    """How many."""

    n: int = Field(1, ge=1, le=_MOST_ITEMS, description="The most items to have in hand.")


class NewDecision(BaseModel):
    """One key press."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1, le=2**31 - 1, description="Of the item, as it was when it was shown.")
    shown_sha256: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the original that was on the screen, computed from its bytes: its ETag.",
    )
    decision: Literal["pass", "fail", "cannot-tell"]
    class_: str | None = Field(None, alias="class", pattern=CLASS_NAME, description="Of the damage; needed by a fail.")
    boxes: list[BoxView] = Field(
        default_factory=list, max_length=MOST_BOXES, description="Of a fail, instead of those that were found."
    )
    note: str = Field("", max_length=LONGEST_NOTE)


class NewSkip(BaseModel):
    """Somebody else shall decide."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1, le=2**31 - 1, description="Of the item.")
    note: str = Field("", max_length=LONGEST_NOTE)


_EXAMPLE: Final = {"version": 2, "shown_sha256": "ab" * 32, "decision": "fail", "class": "dent"}
_REFUSALS: Final = (*BODY, "review-conflict", "review-not-shown", "review-box-outside")


@router.post("/v1/reviews/next", response_model=ReviewItemList, responses=problems(*AUTHENTICATED))
async def next_reviews(
    query: Annotated[NextQuery, Query()],
    principal: Annotated[Principal, requires(Scope.REVIEWS_WRITE, takes_parameters=True)],
    api: ApiDep,
) -> Response:
    """Takes up to `n` items by falling risk into your hands: nobody else gets them until their lease ends.

    What you have in hand already comes first, with its lease begun anew.
    """
    found = await run_in_threadpool(
        api.deps.reviews.lease, principal.visible(query.facility), principal.actor, query.n, api.deps.desk.lease
    )
    return JSONResponse({"items": [item_document(item) for item in found]}, headers={"Cache-Control": "no-store"})


@router.post(
    "/v1/reviews/{item}/decide",
    response_model=ReviewView,
    responses=problems(*AUTHENTICATED, *_REFUSALS),
    openapi_extra=documented(NewDecision, _EXAMPLE),
)
async def decide_review(request: Request, item: ItemPath, principal: Reviewer, api: ApiDep) -> Response:
    """Decides an image, once for each version of its item. What follows from it waits until it cannot be taken back.

    Of two people who decide at once the second is answered 409. The same request sent again is answered alike.
    """
    said = await read_document(api, request, NewDecision)
    if (said.decision == "fail") != (said.class_ is not None):
        raise invalid("class", "a fail, and only a fail, names the class of the damage")
    if said.boxes and said.decision != "fail":
        raise invalid("boxes", "belong to a fail")
    boxes = tuple(
        Redrawn(drawn.class_, (drawn.box[0], drawn.box[1], drawn.box[2], drawn.box[3])) for drawn in said.boxes
    )
    decision = Decision(Choice(said.decision), said.class_ or "", boxes, said.note)
    return await _decide(api, principal, item, said.version, said.shown_sha256, decision)


@router.post(
    "/v1/reviews/{item}/skip",
    response_model=ReviewView,
    responses=problems(*AUTHENTICATED, *BODY, "review-conflict"),
    openapi_extra=documented(NewSkip, {"version": 2}),
)
async def skip_review(request: Request, item: ItemPath, principal: Reviewer, api: ApiDep) -> Response:
    """Leaves an image to somebody else; you get it again when there is nothing else."""
    said = await read_document(api, request, NewSkip)
    return await _decide(api, principal, item, said.version, "", Decision(Choice.SKIP, note=said.note))


@router.post("/v1/reviews/{item}/release", response_model=ReleaseView, responses=problems(*AUTHENTICATED))
async def release_review(item: ItemPath, principal: Reviewer, api: ApiDep) -> Response:
    """Gives an item back undecided, for others to have at once."""
    released = await run_in_threadpool(
        api.deps.reviews.release, principal.visible(None), parse_image_id(item), principal.actor
    )
    if released is None:
        raise Problem("not-found")
    return JSONResponse({"released": released})


@router.post("/v1/reviews/{review}/undo", response_model=ReviewView, responses=problems(*AUTHENTICATED, "review-final"))
async def undo_review(review: ReviewPath, principal: Reviewer, api: ApiDep) -> Response:
    """Takes back your own decision while its time for that lasts; the item is in your hands again."""
    wanted = parse_id(review)
    try:
        undone = await run_in_threadpool(
            api.deps.reviews.undo, principal.visible(None), wanted, principal.actor, api.deps.desk.lease
        )
    except ReviewRefused as error:
        raise Problem(error.slug, str(error)) from None
    return _answered(api, undone)


@router.get("/v1/reviews/stats", response_model=ReviewStatsView, responses=problems(*AUTHENTICATED))
async def review_stats(
    query: Annotated[FacilityQuery, Query()],
    principal: Annotated[Principal, requires(Scope.RESULTS_READ, takes_parameters=True)],
    api: ApiDep,
) -> Response:
    """What waits, who decided how much, and how many defects pass: the escape rate, with an interval."""
    found = await run_in_threadpool(api.deps.reviews.stats, principal.visible(query.facility))
    return JSONResponse(stats_document(found))


async def _decide(
    api: Api, principal: Principal, item: str, version: int, shown_sha256: str, decision: Decision
) -> Response:
    facilities, wanted, undo = principal.visible(None), parse_image_id(item), api.deps.desk.undo
    try:
        review = await run_in_threadpool(
            api.deps.reviews.decide, facilities, wanted, version, shown_sha256, decision, principal.actor, undo
        )
    except ReviewConflict as error:
        api.deps.metrics.reviewed("refused")
        raise Problem("review-conflict", str(error)) from None
    except ReviewRefused as error:
        api.deps.metrics.reviewed("refused")
        raise Problem(error.slug, str(error)) from None
    return _answered(api, review)


def _answered(api: Api, review: Review | None) -> Response:
    """Another facility's looks absent."""
    if review is None:
        raise Problem("not-found")
    api.deps.metrics.reviewed(str(review.decision.choice))
    return JSONResponse(review_document(review))
