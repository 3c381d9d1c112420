"""`/v1/models` and `/v1/deployments`: who vouches for a model, and what serves.

Importing and checking a model needs its files and the engines: those are commands.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.everywhere import check_everywhere
from framegate.ingest.jsonbody import BODY, documented, read_document
from framegate.ingest.modelviews import (
    Approval,
    DeploymentList,
    DeploymentView,
    Figures,
    ModelDetailView,
    ModelList,
    NewDeployment,
    deployment_document,
    deployments_document,
    model_detail_document,
    model_document,
)
from framegate.ingest.parameters import is_plain_text
from framegate.kernel.errors import BlobMissing, FramegateError, ModelRefused
from framegate.kernel.ids import is_ref
from framegate.kernel.rollout import ModelState, Rollout
from framegate.kernel.states import Scope
from framegate.observability.logs import get_log
from framegate.ports.registry import CLEAR, Deployment, DeploymentState, RegisteredModel
from framegate.web.identity import Principal
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem, invalid
from framegate.worker.deploying import POLL_S, before, planned

router = APIRouter(tags=["models"])

Manager = Annotated[Principal, requires(Scope.MODELS_MANAGE)]
Reader = Annotated[Principal, requires(Scope.RESULTS_READ)]
RefPath = Annotated[str, Path(description="NAME@VERSION.", examples=["carton@2"])]

#: For how long a deployment is followed until the workers have it.
_FOLLOWED_S: Final = 120.0
_ORDERS: Final = (*AUTHENTICATED, "needs-every-facility", "model-refused", "overloaded")


class DeploymentsQuery(BaseModel):
    """How many, and what more."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100, description="The most deployments.")
    figures: bool = Field(
        False, description="With tallies and the shadow's comparison, which count the images of every facility."
    )


@router.get("/v1/models", response_model=ModelList, responses=problems(*AUTHENTICATED))
async def list_models(principal: Reader, api: ApiDep) -> Response:
    """Every model with its state, and what serves."""
    found = await run_in_threadpool(api.deps.registry.models)
    serving = await _serving(api)
    return JSONResponse({"items": [model_document(model, serving) for model in found]})


@router.get("/v1/models/{ref}", response_model=ModelDetailView, responses=problems(*AUTHENTICATED))
async def show_model(ref: RefPath, principal: Reader, api: ApiDep) -> Response:
    """A model's manifest and its history."""
    return await _shown(api, await _find(api, ref))


@router.post(
    "/v1/models/{ref}/approve",
    response_model=ModelDetailView,
    responses=problems(*AUTHENTICATED, *BODY, "needs-every-facility", "model-refused"),
    openapi_extra=documented(Approval, {"comment": "Compared on 2,000 images of both docks."}),
)
async def approve_model(request: Request, ref: RefPath, principal: Manager, api: ApiDep) -> Response:
    """Records that you take the responsibility for a checked model; only then it can decide images."""
    said = await read_document(api, request, Approval)
    await check_everywhere(api, principal)
    if not is_plain_text(said.comment):
        raise invalid("comment", "holds 1 to 256 printable characters")
    model = await _find(api, ref)
    body = {"comment": said.comment}
    try:
        approved = await run_in_threadpool(
            api.deps.registry.advance, model.ref, ModelState.APPROVED, principal.actor, body
        )
    except ModelRefused as error:
        raise Problem("model-refused", str(error)) from None
    return await _shown(api, approved)


@router.get(
    "/v1/deployments", response_model=DeploymentList, responses=problems(*AUTHENTICATED, "needs-every-facility")
)
async def list_deployments(
    query: Annotated[DeploymentsQuery, Query()],
    principal: Annotated[Principal, requires(Scope.RESULTS_READ, takes_parameters=True)],
    api: ApiDep,
) -> Response:
    """What served and what serves, newest first."""
    if query.figures:
        await check_everywhere(api, principal)
    found = await run_in_threadpool(api.deps.registry.deployments, query.limit)
    active = await run_in_threadpool(api.deps.registry.active)
    figures = await run_in_threadpool(_figures, api, active) if query.figures and active else Figures()
    return JSONResponse(deployments_document(found, active, figures))


@router.post(
    "/v1/deployments",
    status_code=202,
    response_model=DeploymentView,
    response_description="It is ordered; while it is `pending`, the workers load it. GET /v1/deployments tells when it serves.",
    responses=problems(*_ORDERS, *BODY),
    openapi_extra=documented(NewDeployment, {"model": "carton@2", "canary": 0.05}),
)
async def deploy_model(request: Request, principal: Manager, api: ApiDep) -> Response:
    """Lets an approved model serve, in all facilities. Workers load it beside the old one, and no image is lost."""
    said = await read_document(api, request, NewDeployment)
    await check_everywhere(api, principal)

    def rollout() -> Rollout:
        return planned(api.deps.registry, said.model, canary=said.canary, shadow=said.shadow)

    return await _ordered(api, principal, rollout, "")


@router.post(
    "/v1/deployments/rollback",
    status_code=202,
    response_model=DeploymentView,
    response_description="What serves again, as soon as it is not `pending` any more.",
    responses=problems(*_ORDERS),
)
async def roll_back(principal: Manager, api: ApiDep) -> Response:
    """Goes back: takes a canary and a shadow away, or else brings back the model that served before."""
    await check_everywhere(api, principal)
    return await _ordered(api, principal, lambda: before(api.deps.registry), "rollback")


async def _ordered(api: Api, principal: Principal, rollout: Callable[[], Rollout], detail: str) -> Response:
    def order() -> Deployment:
        return api.deps.deploying.order(rollout(), principal.actor, detail)

    try:
        deployment = await api.operating.run(order)
    except (ModelRefused, BlobMissing) as error:
        raise Problem("model-refused", str(error)) from None
    api.beside(_follow(api, deployment))
    return JSONResponse(deployment_document(deployment), 202)


async def _follow(api: Api, deployment: Deployment) -> None:
    """Nobody waits for it: workers make it active by themselves. A policy that came from the model before follows."""
    until = api.deps.clock.monotonic() + _FOLLOWED_S
    try:
        while deployment.state is DeploymentState.PENDING and api.deps.clock.monotonic() < until:
            await asyncio.sleep(POLL_S)
            deployment = await run_in_threadpool(api.deps.registry.settle, deployment.number)
        await run_in_threadpool(api.deps.deploying.conclude, deployment)
    except FramegateError as error:
        get_log().warning("cannot follow a deployment", action="deployment_follow_failed", error=str(error))


def _figures(api: Api, active: Deployment) -> Figures:
    tallies, shadow = api.deps.registry.tally(active.number), active.rollout.shadow
    if shadow is None:
        return Figures(tallies)
    return Figures(tallies, shadow.ref, api.deps.shadows.compare_shadow(shadow, CLEAR))


async def _find(api: Api, ref: str) -> RegisteredModel:
    """Raises `Problem`."""
    found = await run_in_threadpool(api.deps.registry.model, ref) if is_ref(ref) else None
    if found is None:
        raise Problem("not-found")
    return found


async def _shown(api: Api, model: RegisteredModel) -> Response:
    events = await run_in_threadpool(api.deps.registry.events, model.ref)
    return JSONResponse(model_detail_document(model, await _serving(api), events))


async def _serving(api: Api) -> Rollout | None:
    active = await run_in_threadpool(api.deps.registry.active)
    return active.rollout if active else None
