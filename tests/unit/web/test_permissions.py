from typing import Annotated

import pytest
from fastapi import FastAPI

from framegate.kernel.errors import ConfigurationError
from framegate.kernel.states import Scope
from framegate.web.identity import Principal
from framegate.web.permissions import check_permissions, permission_of, public, requires


def bare_app() -> FastAPI:
    return FastAPI(openapi_url=None)


def test_an_application_with_a_route_that_declares_no_permission_is_refused_by_name() -> None:
    app = bare_app()

    @app.get("/open")
    async def forgotten() -> None: ...

    with pytest.raises(ConfigurationError, match="/open"):
        check_permissions(app)


def test_the_routes_that_fastapi_adds_itself_are_refused_too() -> None:
    with pytest.raises(ConfigurationError, match=r"/openapi\.json"):
        check_permissions(FastAPI())


def test_a_permission_may_be_declared_on_the_route_or_on_a_parameter() -> None:
    app = bare_app()

    @app.get("/a", dependencies=[public()])
    async def one() -> None: ...

    @app.get("/b")
    async def other(principal: Annotated[Principal, requires(Scope.ADMIN)]) -> None: ...

    check_permissions(app)
    permissions = [permission_of(route) for route in app.routes]
    assert [p.scope for p in permissions if p is not None] == [None, Scope.ADMIN]


def test_a_route_that_links_must_not_open_is_refused_by_name() -> None:
    app = bare_app()

    @app.get("/v1/images/{image_id}", dependencies=[requires(Scope.RESULTS_READ, or_link=True)])
    async def show() -> None: ...

    with pytest.raises(ConfigurationError, match=r"links must not open: /v1/images/\{image_id\}"):
        check_permissions(app)


def test_the_address_that_links_open_is_not_opened_for_writing() -> None:
    app = bare_app()

    @app.get("/v1/images/{image_id}/content", dependencies=[requires(Scope.RESULTS_READ, or_link=True)])
    async def show() -> None: ...

    check_permissions(app)

    @app.put("/v1/images/{image_id}/content", dependencies=[requires(Scope.IMAGES_WRITE, or_link=True)])
    async def replace() -> None: ...

    with pytest.raises(ConfigurationError, match="links must not open"):
        check_permissions(app)
