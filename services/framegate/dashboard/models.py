"""`/models`: which model decides, which others there are, and how they compare."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.drifting import drift_view, drifting
from framegate.dashboard.html import page
from framegate.dashboard.modelviews import ModelsView, ModelView, Serving, Trial, model_row, model_view
from framegate.dashboard.query import PageQuery
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.drift_features import Kind
from framegate.kernel.drift_state import Subject
from framegate.kernel.errors import ModelRefused
from framegate.kernel.ids import NAME_PATTERN, FacilityId
from framegate.kernel.rollout import Rollout
from framegate.kernel.states import Scope, Stage
from framegate.ports.registry import ALIVE, CLEAR, ShadowComparison
from framegate.web.identity import Principal
from framegate.web.logins import session_of
from framegate.web.permissions import requires
from framegate.web.problems import Problem
from framegate.worker.deploying import before

router = APIRouter(include_in_schema=False)

Reader = Annotated[Principal, requires(Scope.RESULTS_READ, page=True, takes_parameters=True)]

_HISTORY: Final = 20
_REF: Final = re.compile(NAME_PATTERN.strip("^$") + "@" + NAME_PATTERN.strip("^$"))


@router.get("/models")
async def list_models(
    request: Request, query: Annotated[PageQuery, Query()], principal: Reader, pages: PagesDep
) -> Response:
    """The same in every facility, but for figures: these count the images of all of them."""
    seen = principal.visible(query.facility)
    manager = session_of(request).principal(Scope.MODELS_MANAGE)
    view = await run_in_threadpool(_models, pages, principal.facilities, manager.facilities, seen)
    return page("models", request, pages, view)


@router.get("/models/{ref}")
async def show_model(
    ref: str, request: Request, query: Annotated[PageQuery, Query()], principal: Reader, pages: PagesDep
) -> Response:
    """One model."""
    seen = principal.visible(query.facility)
    manager = session_of(request).principal(Scope.MODELS_MANAGE)
    view = await run_in_threadpool(_model, pages, ref, manager.facilities, seen)
    return page("model", request, pages, view)


def _models(
    pages: PageState, reads: frozenset[FacilityId], manages: frozenset[FacilityId], seen: frozenset[FacilityId]
) -> ModelsView:
    registry = pages.deps.registry
    everywhere = pages.deps.incidents.facilities()
    history = registry.deployments(_HISTORY)
    serving = _serving(pages)
    active, may_manage, sees_figures = serving.active, everywhere <= manages, everywhere <= reads
    rollout = active.rollout if active else None
    drifts: dict[str, list[str]] = {}
    for facility, ref in sorted(drifting(pages, seen, Kind.MODEL)):
        drifts.setdefault(ref, []).append(facility)
    return ModelsView(
        serving,
        [model_row(model, rollout, drifts.get(model.ref, ())) for model in registry.models()],
        history,
        may_manage,
        sees_figures,
        _back(pages) if may_manage else None,
        _trial(pages, serving) if sees_figures else None,
        _shadow(pages, rollout) if sees_figures else None,
    )


def _model(pages: PageState, ref: str, manages: frozenset[FacilityId], seen: frozenset[FacilityId]) -> ModelView:
    registry = pages.deps.registry
    found = registry.model(ref) if _REF.fullmatch(ref) else None
    if found is None:
        raise Problem("not-found")
    may_manage = pages.deps.incidents.facilities() <= manages
    drifts = [drift_view(pages, Subject(facility, Kind.MODEL, ref)) for facility in sorted(seen)]
    known = [one for one in drifts if one is not None]
    return model_view(found, _serving(pages), registry.events(ref), known, manages=may_manage)


def _serving(pages: PageState) -> Serving:
    registry = pages.deps.registry
    active, newest = registry.active(), registry.deployment()
    followed = newest if newest is not None and newest.state == "pending" else active
    alive = sum(Stage.INFERENCE in each.stages for each in pages.deps.workers.statuses(ALIVE))
    return Serving(active, newest, alive, sorted(registry.awaited(followed.number)) if followed else ())


def _back(pages: PageState) -> Rollout | None:
    try:
        return before(pages.deps.registry)
    except ModelRefused:
        return None


def _trial(pages: PageState, serving: Serving) -> Trial | None:
    """Only with a canary: a single model has nothing to be compared with, and its images are many."""
    active = serving.active
    if active is None or active.rollout.canary is None:
        return None
    tallies = pages.deps.registry.tally(active.number)
    roles = {"incumbent": active.rollout.incumbent, "canary": active.rollout.canary}
    return Trial([(role, key.ref, tallies[key.ref]) for role, key in roles.items() if key.ref in tallies])


def _shadow(pages: PageState, rollout: Rollout | None) -> ShadowComparison | None:
    if rollout is None or rollout.shadow is None:
        return None
    return pages.deps.shadows.compare_shadow(rollout.shadow, CLEAR)
