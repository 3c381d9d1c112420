"""docs/api.md names every route, and none that is not there."""

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from framegate.ingest.app import ROUTERS

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
ROUTES = {
    f"{method} {route.path_format}"
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
}
WRITTEN = re.findall(r'\bapi ([A-Z]+) "?([^\s"?]+)', PAGE)


def form_of(route: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", route))))


@pytest.mark.parametrize("route", sorted(ROUTES - {"POST /v1/images"}))
def test_every_route_has_a_line(route: str) -> None:
    assert any(form_of(route).fullmatch(f"{method} {path}") for method, path in WRITTEN)


def test_every_line_is_about_a_route() -> None:
    assert '"$FRAMEGATE_URL/v1/images?camera=dock-3"' in PAGE
    for method, path in WRITTEN:
        assert any(form_of(route).fullmatch(f"{method} {path}") for route in ROUTES), path
