"""Puts the API together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from framegate.ingest import (
    bundles,
    cameras,
    content,
    deadletters,
    drifts,
    health,
    hooklog,
    hooks,
    images,
    incidents,
    keys,
    models,
    people,
    policies,
    reading,
    reviews,
    uploads,
)
from framegate.ingest.api import Api
from framegate.ingest.deps import ApiDependencies
from framegate.web.edge import Edge
from framegate.web.handlers import install_handlers
from framegate.web.measured import UNKNOWN, Measured
from framegate.web.permissions import check_permissions

#: All routes but those of pages, in the order in which they are tried.
ROUTERS: Final = (
    images.router, uploads.router, reading.router, content.router, bundles.router,
    cameras.router, drifts.router, policies.router, models.router, deadletters.router, keys.router, people.router,
    # Before `hooks`: "dead" and "replay" are no ids.
    incidents.router, reviews.router, hooklog.router, hooks.router, health.router,
)  # fmt: skip
#: Beside what begins with `/v1/`.
_FOR_PROGRAMS: Final = frozenset(route.path for route in health.router.routes if isinstance(route, APIRoute))
_DESCRIPTION: Final = """\
Cameras upload images; every accepted image reaches exactly one outcome: `pass`, `fail`, `review`, or a stated refusal.

Errors are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problems; their `type` can be opened.
"""


class Pages(Protocol):
    """More routes of the same application."""

    def install(self, app: FastAPI) -> None:
        """Adds them."""
        ...

    def close(self) -> None:
        """When no request runs any more. May block."""
        ...


def create_app(deps: ApiDependencies, pages: Pages | None = None) -> FastAPI:
    """Starts no thread and asks nobody. Raises `ConfigurationError` when a route declares no permission."""
    api = Api(deps)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await api.stop()
        await run_in_threadpool(api.close)
        if pages is not None:
            await run_in_threadpool(pages.close)

    def on_problem(scope: Scope, slug: str) -> None:
        if scope["method"] == "POST" and scope["path"] == "/v1/images":
            deps.metrics.refused(slug)

    def on_answer(scope: Scope, route: str, status: int, seconds: float) -> None:
        deps.metrics.answered(route, status, area_of(scope["method"], route), seconds)

    app = FastAPI(
        title="Framegate",
        summary="Visual inspection for warehouses",
        description=_DESCRIPTION,
        version=deps.version,
        lifespan=lifespan,
        # Routes of FastAPI's own would have no permission; ours are in `health`.
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.api, app.state.guard = api, api.guard
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    if pages is not None:
        pages.install(app)
    install_handlers(app, on_problem)
    app.add_middleware(Edge, on_problem=on_problem)
    app.add_middleware(Measured, on_answer=on_answer)
    check_permissions(app)
    return app


def area_of(method: str, route: str) -> str:
    """What somebody waits for who asks it; empty for what no route knows."""
    if route == UNKNOWN:
        return ""
    if route.startswith("/v1/uploads") or (method, route) == ("POST", "/v1/images"):
        return "uploads"
    if route == "/live":
        return "live"
    return "api" if route.startswith("/v1/") or route in _FOR_PROGRAMS else "pages"
