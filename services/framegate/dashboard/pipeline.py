"""`/pipeline`: what waits where, who works on it, what is wrong, and what could not be handled."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.deps import PageDependencies
from framegate.dashboard.html import page
from framegate.dashboard.query import PageQuery
from framegate.dashboard.stages import StageView, Sums, Trouble, stages_of, sums_of, troubles
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.messages import NewerMessage, UndecodableMessage, decode
from framegate.kernel.states import Scope
from framegate.ports.overview import ALIVE, Missing
from framegate.ports.queue import DeadLetter
from framegate.web.identity import Principal
from framegate.web.logins import session_of
from framegate.web.permissions import requires

router = APIRouter(include_in_schema=False)

Reader = Annotated[Principal, requires(Scope.RESULTS_READ, page=True, takes_parameters=True)]
_MOST_LETTERS: Final = 100
_MOST_MISSING: Final = 20


@dataclass(frozen=True, slots=True)
class LetterView:
    """A dead letter; without an image when it is about none, or not readable."""

    id: str
    queue: str
    cause: str
    received: int
    died_at: datetime
    image: ImageId | None


@dataclass(frozen=True, slots=True)
class PipelineView:
    """`sums` None: nothing was counted yet. `letters` None: they are not for this person."""

    at: datetime
    stages: Sequence[StageView]
    troubles: Sequence[Trouble]
    sums: Sums | None
    missing: Sequence[Missing]
    letters: Sequence[LetterView] | None
    more_letters: bool


@router.get("/pipeline")
async def show_pipeline(
    request: Request, query: Annotated[PageQuery, Query()], principal: Reader, pages: PagesDep
) -> Response:
    """Stages work for all facilities alike; what was counted is that of the person's facilities, or of one."""
    facilities = principal.visible(query.facility)
    session = session_of(request)
    reads, administers = (session.principal(scope).facilities for scope in (Scope.RESULTS_READ, Scope.ADMIN))
    view = await run_in_threadpool(_pipeline, pages, facilities, reads, administers)
    return page("pipeline", request, pages, view)


def _pipeline(
    pages: PageState,
    facilities: frozenset[FacilityId],
    reads: frozenset[FacilityId],
    administers: frozenset[FacilityId],
) -> PipelineView:
    deps = pages.deps
    everywhere = deps.incidents.facilities()
    stages = stages_of(deps.overview.stages(), deps.workers.statuses(ALIVE))
    sees_all = reads >= everywhere
    if not sees_all:
        # A cause is free text that may name another facility's things.
        stages = [replace(stage, errors=_counted(stage.errors)) for stage in stages]
    missing = deps.overview.missing(facilities, _MOST_MISSING)
    # They are the machinery's and belong to no facility; and looking at them costs calls where the queue is elsewhere.
    all_of_them = bool(administers) and administers >= everywhere
    dead = _dead(deps) if sees_all else []
    return PipelineView(
        at=deps.clock.now(),
        stages=stages,
        troubles=troubles(stages, len(missing), len(dead)),
        sums=sums_of(deps.overview.stock(facilities)),
        missing=missing,
        letters=[_letter(letter) for letter in dead] if all_of_them else None,
        more_letters=len(dead) == _MOST_LETTERS,
    )


def _dead(deps: PageDependencies) -> list[DeadLetter]:
    with deps.dead_letters() as letters:
        return letters.list_dead(_MOST_LETTERS)


def _counted(errors: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    times = sum(number for _, number in errors)
    return [("causes are shown to who may see every facility", times)] if times else []


def _letter(letter: DeadLetter) -> LetterView:
    image = None
    with suppress(UndecodableMessage, NewerMessage):
        image = decode(letter.body).image_id
    return LetterView(letter.id, letter.queue, letter.cause, letter.receive_count, letter.died_at, image)
