"""`/pipeline`: what waits where, who works on it, what is wrong, and what could not be handled."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.html import page
from framegate.dashboard.query import PageQuery
from framegate.dashboard.stages import LaneView, StageView, Trouble, WorkerView, troubles
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.messages import Message, NewerMessage, UndecodableMessage, decode
from framegate.kernel.states import Lane, Scope, Stage
from framegate.pipeline import PIPELINE, STEPS, queue_name
from framegate.ports.queue import DeadLetter
from framegate.ports.store import WorkerStatus
from framegate.web.identity import Principal
from framegate.web.logins import session_of
from framegate.web.permissions import requires

router = APIRouter(include_in_schema=False)

Reader = Annotated[Principal, requires(Scope.RESULTS_READ, page=True, takes_parameters=True)]
_REPORTED_WITHIN: Final = timedelta(seconds=10)
_MOST_LETTERS: Final = 100


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
    """`letters` None: they are not for this person. `more_letters`: there are others beyond these."""

    at: datetime
    stages: Sequence[StageView]
    troubles: Sequence[Trouble]
    letters: Sequence[LetterView] | None
    more_letters: bool


@router.get("/pipeline")
async def show_pipeline(
    request: Request, query: Annotated[PageQuery, Query()], principal: Reader, pages: PagesDep
) -> Response:
    """Stages work for all facilities alike."""
    principal.visible(query.facility)
    administers = session_of(request).principal(Scope.ADMIN).facilities
    return page("pipeline", request, pages, await run_in_threadpool(_pipeline, pages, administers))


def _pipeline(pages: PageState, administers: frozenset[FacilityId]) -> PipelineView:
    deps = pages.deps
    statuses = deps.workers.statuses(_REPORTED_WITHIN)
    stages = [_stage(pages, step.stage, statuses) for step in PIPELINE]
    dead = deps.dead_letters.list_dead(_MOST_LETTERS)
    # They are the machinery's and belong to no facility.
    all_of_them = bool(administers) and administers >= deps.incidents.facilities()
    letters = [_letter(letter) for letter in dead] if all_of_them else None
    return PipelineView(
        deps.clock.now(), stages, troubles(stages, 0, len(dead)), letters, more_letters=len(dead) == _MOST_LETTERS
    )


def _stage(pages: PageState, stage: Stage, statuses: Sequence[WorkerStatus]) -> StageView:
    consumes = STEPS[stage].consumes
    lanes = [_lane(pages, consumes, lane) for lane in Lane] if consumes is not None else []
    workers = [WorkerView(s.name, s.ready, s.reason, s.seen_s_ago) for s in statuses if stage in s.stages]
    return StageView(stage, STEPS[stage].does, lanes, None, None, sorted(workers, key=lambda worker: worker.name))


def _lane(pages: PageState, consumes: type[Message], lane: Lane) -> LaneView:
    depth = pages.deps.queue.depth(queue_name(consumes, lane))
    return LaneView(lane, depth.ready + depth.delayed, depth.in_flight, depth.oldest_age_s)


def _letter(letter: DeadLetter) -> LetterView:
    image = None
    with suppress(UndecodableMessage, NewerMessage):
        image = decode(letter.body).image_id
    return LetterView(letter.id, letter.queue, letter.cause, letter.receive_count, letter.died_at, image)
