"""Adds the pages to the HTTP application."""

from typing import Final
from urllib.parse import quote

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from framegate.dashboard import (
    access,
    account,
    assets,
    camera,
    cameras,
    hooks,
    incidents,
    inspection,
    inspections,
    live,
    models,
    now,
    pipeline,
    policy,
    review,
)
from framegate.dashboard.deps import PageDependencies
from framegate.dashboard.html import alone
from framegate.dashboard.state import PageState
from framegate.web.fanout import Broadcaster
from framegate.web.forms import SAFE_METHODS
from framegate.web.html import html_headers
from framegate.web.problems import Problem

#: All pages.
ROUTERS: Final = (
    assets.router,
    account.router,
    incidents.router,
    cameras.router,
    camera.router,
    hooks.router,
    access.router,
    inspections.router,
    inspection.router,
    review.router,
    pipeline.router,
    now.router,
    live.router,
    models.router,
    policy.router,
)


class Pages:
    """The pages of one application; `close` them."""

    def __init__(self, deps: PageDependencies) -> None:
        self.state = PageState(deps)

    def install(self, app: FastAPI) -> None:
        """Adds the routes, and shows the problems of pages as pages."""
        app.state.pages = self.state
        app.state.live = Broadcaster(live.outcomes(self.state.deps.results))
        app.state.show_problem = self.show_problem
        for router in ROUTERS:
            app.router.routes.extend(router.routes)

    def show_problem(self, request: Request, problem: Problem) -> Response:
        """Whoever is not logged in is led to where that can be done, and from there back to what was only read."""
        if problem.slug == "unauthenticated":
            back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            place = f"/login?next={quote(back, safe='')}" if request.method in SAFE_METHODS else "/login"
            return RedirectResponse(place, 303, headers=html_headers(over_https=self.state.over_https))
        kind = problem.kind
        shown = alone("problem", kind.status, over_https=self.state.over_https, title=kind.title, detail=problem.detail)
        shown.headers.update(problem.headers)
        return shown

    def close(self) -> None:
        """Blocks until the worker threads have ended."""
        self.state.close()
