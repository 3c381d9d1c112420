"""`/healthz`, `/readyz`, and what problems mean."""

import asyncio
from datetime import timedelta
from typing import Annotated, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.manual import STYLE_SOURCE, manual
from framegate.ingest.schemas import AliveView, ProblemKindView, ReadyView
from framegate.kernel.errors import FramegateError
from framegate.kernel.states import Stage
from framegate.web.html import html_headers
from framegate.web.openapi import ANYWHERE, build_openapi, problems
from framegate.web.permissions import public
from framegate.web.problems import KINDS, Problem

router = APIRouter(tags=["health"])

_REPORTED_WITHIN: Final = timedelta(seconds=10)
_PATIENCE_S: Final = 5.0


@router.get("/healthz", dependencies=[public()], response_model=AliveView, responses=problems(*ANYWHERE))
async def alive(api: ApiDep) -> Response:
    """Whether this process answers; nothing else is asked."""
    return JSONResponse({"alive": True, "version": api.deps.version})


@router.get(
    "/readyz",
    dependencies=[public()],
    response_model=ReadyView,
    responses={**problems(*ANYWHERE), 503: {"model": ReadyView, "description": "Something is not ready."}},
)
async def ready(api: ApiDep) -> Response:
    """Whether uploads get through to a verdict: the database answers and every stage has reported lately."""
    try:
        # The thread is left behind when it takes too long: a probe must get its answer.
        missing = await asyncio.wait_for(run_sync(_missing, api, abandon_on_cancel=True), _PATIENCE_S)
    except (FramegateError, TimeoutError):
        missing = {Stage.INGEST.value: "the database does not answer"}
    return JSONResponse({"ready": not missing, "stages": missing}, 503 if missing else 200)


def _missing(api: Api) -> dict[str, str]:
    statuses = api.deps.workers.statuses(_REPORTED_WITHIN)
    missing = {}
    for stage in sorted(api.deps.required_stages):
        workers = [status for status in statuses if stage in status.stages]
        if not any(status.ready for status in workers):
            missing[stage.value] = workers[0].reason if workers else "no worker has reported within 10 s"
    return missing


@router.get(
    "/problems/{slug}",
    dependencies=[public()],
    response_model=ProblemKindView,
    responses=problems(*ANYWHERE, "not-found"),
)
async def problem_kind(slug: Annotated[str, Path(description="The last part of a problem's `type`.")]) -> Response:
    """What a problem means and what to do about it."""
    kind = KINDS.get(slug)
    if kind is None:
        raise Problem("not-found")
    return JSONResponse({"title": kind.title, "status": kind.status, "remedy": kind.remedy})


@router.get("/openapi.json", dependencies=[public()], include_in_schema=False)
async def openapi(request: Request) -> Response:
    """This API as an OpenAPI document."""
    return JSONResponse(build_openapi(request.app))


@router.get("/docs", dependencies=[public(produces=("text/html",))], include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The OpenAPI document for people."""
    headers = html_headers(over_https=False, style=STYLE_SOURCE)
    return HTMLResponse(manual(build_openapi(request.app)), headers=headers)
