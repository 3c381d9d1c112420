"""Every route of the application by everybody who may call it by their own and another facility, cell by cell.

What is asked for always belongs to `HALL`. The expected answers are written down here, not taken from the code.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from framegate.dashboard.assets import BUILD
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.people import Role
from framegate.kernel.states import Scope
from framegate.web.permissions import permission_of
from tests.contracts.drifting import LIMITS, sees
from tests.support.pictures import jpeg
from tests.support.policies import DOCUMENT, register_model
from tests.unit.ingest.fakes import HALL, OTHER_HALL
from tests.unit.ingest.test_content import the_only_id, uploaded
from tests.unit.ingest.test_hooks import Manager
from tests.unit.ingest.test_incidents import opened
from tests.unit.ingest.test_reading import decide
from tests.unit.ingest.test_reviews import waits

from .fakes import PASSWORD, PeopleBox

pytestmark = pytest.mark.anyio

#: What each role may, in the scopes of keys.
ROLE_MAY = {
    "viewer": {"results:read"},
    "reviewer": {"results:read", "reviews:write"},
    "operator": {"results:read", "reviews:write", "hooks:manage", "audit:read"},
    "admin": {
        "results:read", "reviews:write", "hooks:manage", "audit:read", "images:write", "models:manage", "admin",
    },
}  # fmt: skip
JPEG = jpeg(1)
DIGEST = hashlib.sha256(JPEG).hexdigest()
UPLOAD = {"facility": HALL, "camera": "c", "media_type": "image/jpeg", "size_bytes": len(JPEG), "sha256": DIGEST}
DECISION = {"version": 1, "shown_sha256": "ab" * 32, "decision": "pass"}
POLICY = {"facility": HALL, "document": DOCUMENT}
HOOK = {"facility": HALL, "target": "https://receiver.example/in"}


async def _image(box: PeopleBox) -> str:
    image_id = await uploaded(box, JPEG)
    decide(box, the_only_id(box))
    return image_id


async def _incident(box: PeopleBox) -> str:
    return opened(box)


async def _review(box: PeopleBox) -> str:
    return str(waits(box))


async def _hook(box: PeopleBox) -> str:
    return str((await Manager(box).add())["id"])


async def _upload(box: PeopleBox) -> str:
    async with box.client() as client:
        answer = await client.post("/v1/uploads", json=UPLOAD)
    return str(answer.json()["uploads"][0]["id"])


async def _login(box: PeopleBox) -> str:
    box.add_person("somebody")
    async with box.browser() as browser:
        await browser.log_in("somebody")
    return str(box.store.people.logins("somebody")[0].login_id)


async def _invitation(box: PeopleBox) -> str:
    box.add_person("invited")
    return box.invite("invited").removeprefix("/invite/")


async def _build(_: PeopleBox) -> str:
    return BUILD


async def _camera(box: PeopleBox) -> str:
    return str(box.store.cameras.confirm_camera(HALL, CameraId("dock-3"), "lead").id)


async def _watched(box: PeopleBox) -> str:
    sees(box.store, 1, camera=CameraId("dock-3"), facility=HALL)
    box.store.drifts.follow(LIMITS, 1)
    return "dock-3"


async def _policy(box: PeopleBox) -> str:
    return str(box.store.policies.add_policy(HALL, DOCUMENT, "lead").version)


async def _model(box: PeopleBox) -> str:
    return register_model(box.store.registry, "carton@1", ["carton"]).ref


async def _key(box: PeopleBox) -> str:
    return box.add_key(HALL).split("_")[2]


async def _person(box: PeopleBox) -> str:
    box.add_person("somebody")
    return "somebody"


async def _role(box: PeopleBox) -> str:
    return f"{await _person(box)}/roles/{HALL}"


async def _slug(_: PeopleBox) -> str:
    return "not-found"


@dataclass(frozen=True)
class Route:
    """What a route needs, how it is called, and what is answered to who may."""

    needs: str  #: a scope, "login" or "public"
    status: int = 200
    thing: Callable[[PeopleBox], Awaitable[str]] | None = None  #: makes what the path's parameter names
    query: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    people: bool = True  #: False: only keys may
    shared: bool = False  #: it shows the same whatever the facility
    page: bool = False  #: only people may, and they are answered in HTML
    everywhere: bool = False  #: it concerns all facilities: who may in one only is refused


ROUTES = {
    "POST /v1/images": Route("images:write", 202, query=f"?camera=c&facility={HALL}", people=False),
    "POST /v1/uploads": Route("images:write", 201, body={"json": UPLOAD}, people=False),
    "POST /v1/uploads/{upload_id}/complete": Route("images:write", 409, _upload, people=False),
    "GET /v1/images": Route("results:read", query=f"?facility={HALL}"),
    "GET /v1/images/{image_id}": Route("results:read", thing=_image),
    "GET /v1/images/{image_id}/content": Route("results:read", thing=_image),
    "GET /v1/outcomes": Route("results:read", query=f"?facility={HALL}"),
    "GET /v1/cameras": Route("results:read", query=f"?facility={HALL}"),
    "POST /v1/cameras": Route("admin", body={"json": {"facility": HALL, "camera": "c"}}),
    "POST /v1/cameras/{camera}/suspend": Route("admin", 200, _camera, f"?facility={HALL}", {"json": {"reason": "why"}}),
    "POST /v1/cameras/{camera}/resume": Route("admin", 200, _camera, f"?facility={HALL}"),
    "GET /v1/drift": Route("results:read", query=f"?facility={HALL}"),
    "POST /v1/drift/camera/{name}/freeze": Route("admin", 200, _watched, f"?facility={HALL}"),
    "GET /v1/policy": Route("results:read", thing=_policy, query=f"?facility={HALL}"),
    "GET /v1/policy/history": Route("results:read", query=f"?facility={HALL}"),
    "GET /v1/policy/{version}": Route("results:read", 200, _policy, f"?facility={HALL}"),
    "POST /v1/policy/check": Route("admin", body={"json": POLICY}),
    "POST /v1/policy/simulate": Route("admin", body={"json": POLICY}),
    "PUT /v1/policy": Route("admin", body={"json": {**POLICY, "expected": 0}}),
    "GET /v1/models": Route("results:read", shared=True),
    "GET /v1/models/{ref}": Route("results:read", thing=_model, shared=True),
    "POST /v1/models/{ref}/approve": Route(
        "models:manage", 200, _model, body={"json": {"comment": "seen"}}, everywhere=True
    ),
    "GET /v1/deployments": Route("results:read", shared=True),
    "POST /v1/deployments": Route("models:manage", 202, body={"json": {"model": "carton@1"}}, everywhere=True),
    "POST /v1/deployments/rollback": Route("models:manage", 202, everywhere=True),
    "GET /v1/dead-letters": Route("admin", everywhere=True),
    "POST /v1/dead-letters/redrive": Route("admin", body={"json": {}}, everywhere=True),
    "GET /v1/keys": Route("admin", query=f"?facility={HALL}"),
    "POST /v1/keys": Route("admin", 201, body={"json": {"name": "dock", "facilities": [HALL]}}),
    "POST /v1/keys/{key_id}/rotate": Route("admin", 201, _key, body={"json": {}}),
    "DELETE /v1/keys/{key_id}": Route("admin", 204, _key),
    "GET /v1/people": Route("admin", query=f"?facility={HALL}"),
    "POST /v1/people": Route("admin", 201, body={"json": {"name": "cleo", "roles": {HALL: "viewer"}}}),
    "PUT /v1/people/{name}/roles/{facility}": Route("admin", 200, _role, body={"json": {"role": "operator"}}),
    "POST /v1/people/{name}/invite": Route("admin", 200, _person),
    "POST /v1/people/{name}/disable": Route("admin", 200, _person),
    "POST /v1/people/{name}/enable": Route("admin", 200, _person),
    "GET /v1/stats": Route("results:read", query=f"?facility={HALL}"),
    "GET /v1/incidents": Route("results:read", query=f"?facility={HALL}"),
    "GET /v1/incidents/{incident_id}": Route("results:read", thing=_incident),
    "POST /v1/incidents/{incident_id}/acknowledge": Route("reviews:write", thing=_incident),
    "POST /v1/incidents/{incident_id}/resolve": Route("reviews:write", thing=_incident),
    "GET /v1/images/{image_id}/evidence": Route("results:read", thing=_image),
    "POST /v1/reviews/next": Route("reviews:write", query=f"?facility={HALL}"),
    # Another picture was on the screen: who may decide is told so.
    "POST /v1/reviews/{item}/decide": Route("reviews:write", 409, _review, body={"json": DECISION}),
    "POST /v1/reviews/{item}/skip": Route("reviews:write", 200, _review, body={"json": {"version": 1}}),
    "POST /v1/reviews/{item}/release": Route("reviews:write", thing=_review),
    "POST /v1/reviews/{review}/undo": Route("reviews:write", 404, _review),  # an item is no decision
    "GET /v1/reviews/stats": Route("results:read", query=f"?facility={HALL}"),
    "GET /v1/hooks": Route("hooks:manage", query=f"?facility={HALL}"),
    "POST /v1/hooks": Route("hooks:manage", 201, body={"json": HOOK}),
    "GET /v1/hooks/dead": Route("hooks:manage", query=f"?facility={HALL}"),
    "POST /v1/hooks/replay": Route("hooks:manage", body={"json": {"facility": HALL}}),
    "GET /v1/hooks/{endpoint_id}": Route("hooks:manage", thing=_hook),
    "DELETE /v1/hooks/{endpoint_id}": Route("hooks:manage", 204, _hook),
    "POST /v1/hooks/{endpoint_id}/rotate": Route("hooks:manage", thing=_hook),
    "POST /v1/hooks/{endpoint_id}/enable": Route("hooks:manage", thing=_hook),
    "POST /v1/hooks/{endpoint_id}/test": Route("hooks:manage", thing=_hook),
    "GET /v1/hooks/{endpoint_id}/deliveries": Route("hooks:manage", thing=_hook),
    "GET /v1/hooks/{endpoint_id}/attempts": Route("hooks:manage", thing=_hook),
    "GET /healthz": Route("public"),
    "GET /readyz": Route("public", 503),
    "GET /problems/{slug}": Route("public", thing=_slug),
    "GET /openapi.json": Route("public"),
    "GET /docs": Route("public"),
    "GET /assets/{build}/framegate.css": Route("public", thing=_build),
    "GET /login": Route("public"),  # 303 for who is logged in
    "POST /login": Route("public", 403, body={"data": {"name": "nobody", "password": PASSWORD}}),
    "GET /invite/{token}": Route("public", thing=_invitation),
    "POST /invite/{token}": Route("public", 422, _invitation, body={"data": {"password": "short"}}),
    "GET /me": Route("login", shared=True),
    "POST /logout": Route("login", 303, shared=True),
    "POST /me/logins/end-others": Route("login", 303, shared=True),
    "POST /me/logins/{login_id}/end": Route("login", 404, _login, shared=True),  # it is somebody else's
    "GET /incidents": Route("results:read", query=f"?facility={HALL}", page=True),
    "GET /incidents/{incident_id}": Route("results:read", thing=_incident, page=True),
    "GET /access": Route("admin", query=f"?facility={HALL}", page=True),
    "GET /hooks": Route("hooks:manage", query=f"?facility={HALL}", page=True),
    "GET /hooks/{endpoint_id}": Route("hooks:manage", thing=_hook, page=True),
    "GET /cameras": Route("results:read", query=f"?facility={HALL}", page=True),
    "GET /cameras/hall-1/{camera}": Route("results:read", thing=_camera, page=True),
    "GET /inspections": Route("results:read", query=f"?facility={HALL}", page=True),
    "GET /inspections/export": Route("results:read", query=f"?facility={HALL}", page=True),
    "GET /inspections/{image_id}": Route("results:read", thing=_image, page=True),
    "GET /review": Route("reviews:write", query=f"?facility={HALL}", page=True),
    "GET /review/quality": Route("reviews:write", query=f"?facility={HALL}", page=True),
    "GET /review/items/{image_id}": Route("reviews:write", thing=_review, page=True),
    "GET /": Route("results:read", query=f"?facility={HALL}", page=True),
    "GET /live": Route("results:read", query=f"?facility={HALL}"),
    "GET /pipeline": Route("results:read", query=f"?facility={HALL}", page=True),
    "GET /policy": Route("results:read", query=f"?facility={HALL}", page=True),
    "GET /models": Route("results:read", query=f"?facility={HALL}", page=True),
    "GET /models/{ref}": Route("results:read", thing=_model, page=True, shared=True),
}
PLACES = {"own": HALL, "other": OTHER_HALL}
CALLERS = [
    "nobody",
    *(f"{role} {place}" for role in ROLE_MAY for place in PLACES),
    *(f"key-with-it {place}" for place in PLACES),
    *(f"key-with-all-others {place}" for place in PLACES),
]


def expected(route: Route, caller: str) -> tuple[int, str]:
    """The status, and the kind of problem or where it leads."""
    who, _, place = caller.partition(" ")
    if route.needs == "public":
        return (303, "/") if route is ROUTES["GET /login"] and who in ROLE_MAY else (route.status, "")
    if route.needs == "login":
        return (route.status, "") if who in ROLE_MAY else (303, "/login")
    if route.page:
        if who not in ROLE_MAY:
            return 303, "/login"
        return (
            403 if route.needs not in ROLE_MAY[who] else 404 if place == "other" and not route.shared else route.status
        ), ""
    if who == "nobody" or (who in ROLE_MAY and not route.people):
        return 401, "unauthenticated"
    if who == "key-with-all-others" or (who in ROLE_MAY and route.needs not in ROLE_MAY[who]):
        return 403, "insufficient-scope"
    if route.everywhere:
        return 403, "needs-every-facility"
    if route.shared:
        return route.status, ""
    return (404, "not-found") if place == "other" else (route.status, "")


async def call(box: PeopleBox, name: str, route: Route, caller: str) -> httpx.Response:
    method, _, path = name.partition(" ")
    if route.everywhere:
        for hall in (HALL, OTHER_HALL):
            box.store.cameras.confirm_camera(hall, CameraId("c"), "lead")
    if route.thing is not None:
        before, there, rest = path.partition("{")
        thing = await route.thing(box)
        path = before + thing + rest.rpartition("}")[2] if there else path
    who, _, place = caller.partition(" ")
    facility = FacilityId(PLACES.get(place, HALL))
    options: dict[str, Any] = {key: dict(value) for key, value in route.body.items()}
    headers = {"Content-Type": "image/jpeg"} if name == "POST /v1/images" else {}
    if headers:
        options["content"] = JPEG
    async with box.browser("203.0.113.5") as browser:
        browser.stopping = name == "GET /live"
        cookies = box.pages.state.cookies
        if who in ROLE_MAY:
            box.add_person("anna", Role(who), facility)
            await browser.log_in("anna")
            headers["X-CSRF-Token"] = cookies.form_token(browser.token or "")
            if route.needs == "login" and method == "POST":
                options["data"] = {"csrf": headers.pop("X-CSRF-Token")}
        elif who.startswith("key"):
            wanted = {route.needs} if who == "key-with-it" else {str(scope) for scope in Scope} - {route.needs}
            headers["Authorization"] = f"Bearer {box.add_key(facility, scopes=frozenset(wanted))}"
        if route.needs == "login" and method == "POST" and "data" not in options:
            options["data"] = {"csrf": ""}
        if route.needs == "public" and method == "POST":
            form_secret = "f" * 43
            browser.http.cookies.set(cookies.form_cookie, form_secret, domain="inspect.example")
            options["data"]["csrf"] = cookies.form_token(form_secret)
        return await browser.http.request(method, path + route.query, headers=headers, **options)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("name", ROUTES)
async def test_everybody_may_do_exactly_what_is_written_down(tmp_path: Path, name: str, caller: str) -> None:
    box = PeopleBox(tmp_path)
    route = ROUTES[name]
    status, kind = expected(route, caller)
    try:
        answer = await call(box, name, route, caller)
    finally:
        box.close()
    assert answer.status_code == status, answer.text
    if status == 303:
        assert answer.headers["location"].startswith(kind or "/")
    elif kind:
        assert answer.json()["type"] == f"/problems/{kind}"


async def test_the_table_has_every_route_of_the_application_and_says_what_it_declares(box: PeopleBox) -> None:
    declared = {}
    for route in box.app.routes:
        permission = permission_of(route)
        assert permission is not None
        assert isinstance(route, APIRoute)
        for method in route.methods or ():
            needs = str(permission.scope) if permission.scope else "login" if permission.people else "public"
            name = f"{method} {route.path}"
            # Where an address has two parts that vary, one is fixed here.
            name = name.replace("/{build}/{name}", "/{build}/framegate.css").replace("/{facility}/{c", f"/{HALL}/{{c")
            name = name.replace("/{kind}/", "/camera/")
            declared[name] = needs, permission.people, permission.page and permission.scope is not None
    assert declared == {
        name: (route.needs, route.people and route.needs != "public", route.page) for name, route in ROUTES.items()
    }
    assert len(box.app.routes) == len(ROUTES)


def test_the_roles_are_those_that_are_written_down() -> None:
    assert set(ROLE_MAY) == set(Role)


@pytest.mark.parametrize(
    "name", [name for name, route in ROUTES.items() if "{" in name and route.needs == "results:read"]
)
async def test_a_person_of_two_facilities_may_in_each_what_their_role_there_says(box: PeopleBox, name: str) -> None:
    route = ROUTES[name]
    assert route.thing is not None
    thing = await route.thing(box)
    box.add_person("anna", Role.VIEWER, HALL)
    box.store.people.set_role("anna", OTHER_HALL, Role.ADMIN, "lead")
    incident = opened(box, subject="dock/2")
    async with box.browser() as browser:
        await browser.log_in()
        path = name.partition(" ")[2]
        there = path.partition("{")[0] + thing + path.partition("}")[2] + route.query
        assert (await browser.get(there)).status_code == 200
        csrf = {"X-CSRF-Token": box.pages.state.cookies.form_token(browser.token or "")}
        # An admin elsewhere may acknowledge there, and here it looks as if it were absent.
        assert (await browser.http.post(f"/v1/incidents/{incident}/acknowledge", headers=csrf)).status_code == 404
