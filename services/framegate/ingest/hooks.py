"""`/v1/hooks`: endpoints of receivers."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.hookviews import (
    EndpointList,
    EndpointSecretView,
    EndpointView,
    TrialView,
    endpoint_document,
    trial_document,
)
from framegate.ingest.jsonbody import BODY, documented, read_document
from framegate.ingest.parameters import Name
from framegate.ingest.reading import FacilityQuery
from framegate.kernel.hooksecrets import secret_of, secrets_of
from framegate.kernel.incidents import Change
from framegate.kernel.states import Scope
from framegate.ports.deliveries import Subscription
from framegate.ports.hooks import Endpoint, Hook, HookKind, HookRefused
from framegate.ports.notices import trial
from framegate.web.identity import Principal
from framegate.web.ids import parse_id
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(tags=["hooks"])

Manager = Annotated[Principal, requires(Scope.HOOKS_MANAGE)]
SearchingManager = Annotated[Principal, requires(Scope.HOOKS_MANAGE, takes_parameters=True)]
EndpointIdPath = Annotated[
    str, Path(description="The id that the endpoint was given.", json_schema_extra={"format": "uuid"})
]

#: Of one facility. A bound for mistakes: two requests at once may pass it by one.
MOST_ENDPOINTS: Final = 100


class NewEndpoint(BaseModel):
    """Where messages are to go, and which."""

    model_config = ConfigDict(extra="forbid")

    kind: HookKind = Field(HookKind.WEBHOOK, description="What the receiver understands.")
    target: str = Field(
        description="An https:// URL, or for SNS the ARN of a topic.", examples=["https://example.org/framegate"]
    )
    changes: list[Change] = Field(
        default_factory=list, max_length=len(Change), description="What to tell of; without it, of every change."
    )
    min_severity: Literal["critical", "warning"] = Field(
        "warning", description="`critical`: only of what is critical by then."
    )
    facility: Name | None = Field(None, description="Needed only with a key of several facilities.")


_EXAMPLE: Final = {"target": "https://example.org/framegate", "changes": ["incident.opened", "incident.escalated"]}


@router.post(
    "/v1/hooks",
    status_code=201,
    response_model=EndpointSecretView,
    response_description="The endpoint, with its secret. Keep it: it is never shown again.",
    responses=problems(
        *AUTHENTICATED, *BODY, "too-many-hooks", "invalid-webhook-url", "blocked-address", "hook-kind-unavailable",
        "overloaded",
    ),
    openapi_extra=documented(NewEndpoint, _EXAMPLE),
)  # fmt: skip
async def add_endpoint(request: Request, principal: Manager, api: ApiDep) -> Response:
    """Adds an endpoint, which is told of every incident of its facility from now on.

    Its target is looked at, and nothing is sent: `test` does that.
    """
    wanted = await read_document(api, request, NewEndpoint)
    facility = principal.facility(wanted.facility)
    hook = _hook(api, wanted.kind)
    existing = await run_in_threadpool(api.deps.endpoints.endpoints, frozenset({facility}))
    if len(existing) >= MOST_ENDPOINTS:
        raise Problem("too-many-hooks")
    try:
        await api.outside.run(hook.check, wanted.target)
    except HookRefused as error:
        raise Problem(error.slug, f"target: {error}", errors=({"name": "target", "detail": str(error)},)) from None
    now = api.deps.clock.now()
    new = Subscription.new(
        facility,
        wanted.kind,
        wanted.target,
        now,
        principal.actor,
        changes=wanted.changes,
        min_severity=wanted.min_severity,
    )
    await run_in_threadpool(api.deps.endpoints.add_endpoint, new, principal.actor)
    return _with_secret(api, new, 201)


@router.get("/v1/hooks", response_model=EndpointList, responses=problems(*AUTHENTICATED))
async def list_endpoints(
    query: Annotated[FacilityQuery, Query()], principal: SearchingManager, api: ApiDep
) -> Response:
    """The endpoints of the key's facilities, and how they are."""
    found = await run_in_threadpool(api.deps.endpoints.endpoints, principal.visible(query.facility))
    now = api.deps.clock.now()
    return JSONResponse({"items": [endpoint_document(endpoint, now) for endpoint in found]})


@router.get("/v1/hooks/{endpoint_id}", response_model=EndpointView, responses=problems(*AUTHENTICATED))
async def show_endpoint(endpoint_id: EndpointIdPath, principal: Manager, api: ApiDep) -> Response:
    """One endpoint, and how it is."""
    return _shown(api, await find_endpoint(api, principal, endpoint_id))


@router.delete(
    "/v1/hooks/{endpoint_id}",
    status_code=204,
    response_description="It is gone, with what was to be delivered to it.",
    responses=problems(*AUTHENTICATED),
)
async def remove_endpoint(endpoint_id: EndpointIdPath, principal: Manager, api: ApiDep) -> Response:
    """Removes an endpoint, its deliveries and its log."""
    endpoint = await find_endpoint(api, principal, endpoint_id)
    if not await run_in_threadpool(api.deps.endpoints.remove, endpoint.endpoint_id, principal.actor):
        raise Problem("not-found")
    return Response(status_code=204)


@router.post(
    "/v1/hooks/{endpoint_id}/rotate",
    response_model=EndpointSecretView,
    response_description="The endpoint, with its new secret. Keep it: it is never shown again.",
    responses=problems(*AUTHENTICATED, "hook-without-secret"),
)
async def rotate_secret(endpoint_id: EndpointIdPath, principal: Manager, api: ApiDep) -> Response:
    """Gives a webhook a new secret. The one before signs along until `both_sign_until`, a day later.

    Rotating again within that day ends the older one at once: rotate twice where a secret has leaked.
    """
    endpoint = await find_endpoint(api, principal, endpoint_id)
    if endpoint.kind is not HookKind.WEBHOOK:
        raise Problem("hook-without-secret")
    return _with_secret(
        api, _still(await run_in_threadpool(api.deps.endpoints.rotate, endpoint.endpoint_id, principal.actor)), 200
    )


@router.post("/v1/hooks/{endpoint_id}/enable", response_model=EndpointView, responses=problems(*AUTHENTICATED))
async def enable_endpoint(endpoint_id: EndpointIdPath, principal: Manager, api: ApiDep) -> Response:
    """Sends to a disabled endpoint again, what happens from now on. What died meanwhile can be replayed."""
    endpoint = await find_endpoint(api, principal, endpoint_id)
    return _shown(
        api, _still(await run_in_threadpool(api.deps.endpoints.enable, endpoint.endpoint_id, principal.actor))
    )


@router.post(
    "/v1/hooks/{endpoint_id}/test",
    response_model=TrialView,
    response_description="What became of it, also when the receiver refused it.",
    responses=problems(*AUTHENTICATED, "hook-kind-unavailable", "overloaded"),
)
async def try_endpoint(endpoint_id: EndpointIdPath, principal: Manager, api: ApiDep) -> Response:
    """Sends a message of the type `framegate.test`, once and at once. It changes nothing about the endpoint."""
    to = await find_endpoint(api, principal, endpoint_id)
    hook, now = _hook(api, to.kind), api.deps.clock.now()
    webhook = to.kind is HookKind.WEBHOOK
    signing = secrets_of(api.deps.pepper, to.endpoint_id, to.generation, to.rotated_at, now) if webhook else ()
    endpoint = Endpoint(str(to.endpoint_id), to.kind, to.target, signing)
    attempt = await api.outside.run(hook.deliver, endpoint, trial(to.facility, now, principal.actor))
    return JSONResponse(trial_document(attempt))


async def find_endpoint(api: Api, principal: Principal, endpoint_id: str) -> Subscription:
    """Raises `Problem`: what is no id and what belongs to others is not found alike."""
    wanted = parse_id(endpoint_id)
    return _still(await run_in_threadpool(api.deps.endpoints.endpoint, principal.visible(None), wanted))


def _still(endpoint: Subscription | None) -> Subscription:
    """It may have been removed meanwhile."""
    if endpoint is None:
        raise Problem("not-found")
    return endpoint


def _hook(api: Api, kind: HookKind) -> Hook:
    hook = api.deps.hooks.get(kind)
    if hook is None:
        raise Problem("hook-kind-unavailable")
    return hook


def _shown(api: Api, endpoint: Subscription) -> Response:
    return JSONResponse(endpoint_document(endpoint, api.deps.clock.now()))


def _with_secret(api: Api, endpoint: Subscription, status: int) -> Response:
    webhook = endpoint.kind is HookKind.WEBHOOK
    secret = secret_of(api.deps.pepper, endpoint.endpoint_id, endpoint.generation) if webhook else None
    document = endpoint_document(endpoint, api.deps.clock.now()) | {"secret": secret}
    return JSONResponse(document, status, headers={"Cache-Control": "no-store"})
