"""`/v1/policy`: the rules that decide in a facility, version by version."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.jsonbody import BODY, documented, read_document
from framegate.ingest.policyviews import (
    MOST_FAULTS,
    MOST_POLICY_BYTES,
    NewPolicy,
    PolicyCheckView,
    PolicyHistory,
    PolicyText,
    PolicyTrialView,
    PolicyView,
    Trial,
    check_document,
    history_item,
    policy_document,
    trial_document,
)
from framegate.ingest.reading import FacilityQuery
from framegate.kernel.durations import parse_duration
from framegate.kernel.policies import EverythingForPeople, PolicyRefused
from framegate.kernel.states import Scope
from framegate.ports.store import PolicyConflict, PolicyVersion
from framegate.web.identity import Principal
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem, invalid

router = APIRouter(tags=["policy"])

Admin = Annotated[Principal, requires(Scope.ADMIN)]
Reader = Annotated[Principal, requires(Scope.RESULTS_READ, takes_parameters=True)]
VersionPath = Annotated[str, Path(description="The number of the version.", json_schema_extra={"format": "int32"})]

_LONGEST: Final = timedelta(days=365)
_SIMULATED_S: Final = 20.0
_DOCUMENT: Final = {
    "schema": 1,
    "classes": {"dent": {"review": 0.25, "fail": 0.6}},
    "otherwise": {"review": 0.25, "fail": None},
}
_BAD: Final = (*AUTHENTICATED, *BODY, "overloaded")


class HistoryQuery(FacilityQuery):
    """How far back."""

    limit: int = Field(20, ge=1, le=100, description="The most versions.")
    before: int | None = Field(None, ge=1, le=2**31 - 1, description="Only those older than this one.")


@router.get("/v1/policy", response_model=PolicyView, responses=problems(*AUTHENTICATED))
async def show_policy(query: Annotated[FacilityQuery, Query()], principal: Reader, api: ApiDep) -> Response:
    """The version that holds."""
    facility = principal.facility(query.facility)
    return _shown(api, await run_in_threadpool(api.deps.policies.current_policy, facility))


@router.get("/v1/policy/history", response_model=PolicyHistory, responses=problems(*AUTHENTICATED))
async def policy_history(query: Annotated[HistoryQuery, Query()], principal: Reader, api: ApiDep) -> Response:
    """The versions, newest first, and what each changed."""
    facility = principal.facility(query.facility)
    history = api.deps.policies.policy_history
    found = await run_in_threadpool(history, facility, query.limit + 1, query.before)
    items = [
        history_item(one, api.deps.rules.compare(found[n + 1].document, one.document) if n + 1 < len(found) else ())
        for n, one in enumerate(found[: query.limit])
    ]
    return JSONResponse({"items": items})


@router.get("/v1/policy/{version}", response_model=PolicyView, responses=problems(*AUTHENTICATED))
async def show_policy_version(
    version: VersionPath, query: Annotated[FacilityQuery, Query()], principal: Reader, api: ApiDep
) -> Response:
    """One version, also one that holds no more."""
    facility = principal.facility(query.facility)
    if not (version.isascii() and version.isdecimal() and len(version) < 10):
        raise Problem("not-found")
    return _shown(api, await run_in_threadpool(api.deps.policies.policy, facility, int(version)))


@router.post(
    "/v1/policy/check",
    response_model=PolicyCheckView,
    responses=problems(*_BAD),
    openapi_extra=documented(PolicyText, {"document": _DOCUMENT}, MOST_POLICY_BYTES),
)
async def check_policy(request: Request, principal: Admin, api: ApiDep) -> Response:
    """Says what is wrong with a policy, each fault with its entry, and what it would change. Changes nothing."""
    said = await read_document(api, request, PolicyText, MOST_POLICY_BYTES)
    facility = principal.facility(said.facility)
    return JSONResponse(check_document(await api.trying.run(api.deps.rules.check, facility, said.source)))


@router.post(
    "/v1/policy/simulate",
    response_model=PolicyTrialView,
    responses=problems(*_BAD, "policy-refused"),
    openapi_extra=documented(Trial, {"document": _DOCUMENT, "since": "1d"}, MOST_POLICY_BYTES),
)
async def simulate_policy(request: Request, principal: Admin, api: ApiDep) -> Response:
    """Decides stored images again under another policy, for 20 seconds at most. Changes nothing, and no model runs."""
    said = await read_document(api, request, Trial, MOST_POLICY_BYTES)
    facility = principal.facility(said.facility)
    try:
        age = timedelta(seconds=parse_duration(said.since))
    except ValueError:
        raise invalid("since", "is written as 90s, 30m, 12h or 7d") from None
    if age > _LONGEST:
        raise invalid("since", "goes back at most 365d")
    try:
        trial = await api.trying.run(api.deps.rules.simulate, facility, said.source, age, said.limit, _SIMULATED_S)
    except PolicyRefused as error:
        raise _refused(error) from None
    return JSONResponse(trial_document(trial))


@router.put(
    "/v1/policy",
    response_model=PolicyView,
    responses=problems(*_BAD, "policy-refused", "policy-conflict", "policy-for-people-only"),
    openapi_extra=documented(NewPolicy, {"document": _DOCUMENT, "expected": 3}, MOST_POLICY_BYTES),
)
async def apply_policy(request: Request, principal: Admin, api: ApiDep) -> Response:
    """Makes a policy the next version, by which images are decided within seconds.

    Of two people who apply at once the second is answered 409. To go back, send the document of an old version.
    """
    said = await read_document(api, request, NewPolicy, MOST_POLICY_BYTES)
    facility = principal.facility(said.facility)

    def apply() -> PolicyVersion:
        return api.deps.rules.apply(facility, said.source, said.expected, principal.actor, force=said.force)

    try:
        return _shown(api, await api.trying.run(apply))
    except EverythingForPeople as error:
        raise Problem("policy-for-people-only", str(error)) from None
    except PolicyRefused as error:
        raise _refused(error) from None
    except PolicyConflict as error:
        raise Problem("policy-conflict", str(error)) from None


def _shown(api: Api, version: PolicyVersion | None) -> Response:
    if version is None:
        raise Problem("not-found")
    return JSONResponse(policy_document(version, api.deps.rules.written(version.document)))


def _refused(error: PolicyRefused) -> Problem:
    faults = tuple({"name": fault.path, "detail": fault.detail} for fault in error.faults[:MOST_FAULTS])
    return Problem("policy-refused", "The policy has faults: see `errors`.", errors=faults)
