"""Admins look after the people of their own facilities, and lock nobody out who is not theirs, nor themselves."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from framegate.kernel.people import Role
from tests.unit.ingest.fakes import HALL, OTHER_HALL, slug_of

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio
Call = Callable[..., Awaitable[httpx.Response]]


@asynccontextmanager
async def admin(box: PeopleBox, name: str = "lead") -> AsyncIterator[Call]:
    """What a page of somebody who is admin of `HALL` may send."""
    box.add_person(name, Role.ADMIN, HALL)
    async with box.browser() as browser:
        await browser.log_in(name)

        async def call(method: str, path: str, **options: Any) -> httpx.Response:
            token = box.pages.state.cookies.form_token(browser.token or "")
            return await browser.http.request(method, path, headers={"X-CSRF-Token": token}, **options)

        yield call


async def test_somebody_is_added_by_a_link_that_is_shown_once_and_lets_them_in(
    box: PeopleBox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with admin(box) as call:
        made = await call("POST", "/v1/people", json={"name": "anna", "roles": {HALL: "reviewer"}})
        assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
        link = made.json()["link"]
        assert (made.json()["state"], made.json()["roles"]) == ("invited", {HALL: "reviewer"})
        listed = (await call("GET", "/v1/people")).json()["items"]
        assert [(one["name"], one["state"]) for one in listed] == [("anna", "invited"), ("lead", "enabled")]
        assert not any("link" in one for one in listed)
        async with box.browser() as browser:
            new = "eleven quiet forklifts"
            path = link.removeprefix(box.public_url)
            assert (await browser.submit(path, password=new, again=new)).status_code == 303
            assert (await browser.log_in("anna", new)).status_code == 303
        again = await call("POST", "/v1/people", json={"name": "anna", "roles": {HALL: "viewer"}})
        assert slug_of(again) == "name-taken"
        invited = await call("POST", "/v1/people/anna/invite")
        assert invited.headers["cache-control"] == "no-store"
        assert invited.json()["link"] != link
    logged = [one.getMessage() for one in caplog.records if one.name != "httpx"]  # which is this test's own client
    assert link.rpartition("/")[2] not in " ".join(logged)
    told = [(entry.actor, entry.action) for entry in box.store.state.audit if entry.object == "anna"]
    assert told[:2] == [("lead", "person.added"), ("lead", "person.invited")]


async def test_roles_are_changed_and_people_disabled_and_enabled(box: PeopleBox) -> None:
    box.add_person("anna", Role.VIEWER, HALL)
    async with admin(box) as call:
        given = await call("PUT", f"/v1/people/anna/roles/{HALL}", json={"role": "operator"})
        assert given.json()["roles"] == {HALL: "operator"}
        assert (await call("POST", "/v1/people/anna/disable")).json()["state"] == "disabled"
        assert slug_of(await call("POST", "/v1/people/anna/invite")) == "person-disabled"
        assert (await call("POST", "/v1/people/anna/enable")).json()["state"] == "enabled"
        taken = await call("PUT", f"/v1/people/anna/roles/{HALL}", json={"role": None})
        assert (taken.status_code, taken.json()["roles"]) == (200, {})
        assert slug_of(await call("POST", "/v1/people/anna/disable")) == "not-found", "they are nobody's here any more"


async def test_who_has_nothing_to_do_with_the_facility_is_not_there(box: PeopleBox) -> None:
    box.add_person("ben", Role.VIEWER, OTHER_HALL)
    async with admin(box) as call:
        assert [one["name"] for one in (await call("GET", "/v1/people")).json()["items"]] == ["lead"]
        role = {"json": {"role": "viewer"}}
        refused = [
            await call("GET", f"/v1/people?facility={OTHER_HALL}"),
            await call("PUT", f"/v1/people/ben/roles/{HALL}", **role),
            await call("PUT", f"/v1/people/ben/roles/{OTHER_HALL}", **role),
            await call("PUT", f"/v1/people/lead/roles/{OTHER_HALL}", **role),
            await call("PUT", "/v1/people/no%20body/roles/hall-1", **role),
            await call("POST", "/v1/people", json={"name": "cleo", "roles": {HALL: "viewer", OTHER_HALL: "viewer"}}),
            *[await call("POST", f"/v1/people/ben/{what}") for what in ("invite", "disable", "enable")],
        ]
    assert [slug_of(answer) for answer in refused] == ["not-found"] * len(refused)
    ben = box.store.people.find_person("ben")
    assert ben is not None
    assert (ben.roles, ben.disabled_at) == ({OTHER_HALL: Role.VIEWER}, None)
    assert box.store.people.find_person("cleo") is None


async def test_of_who_is_also_elsewhere_only_the_role_here_can_be_changed(box: PeopleBox) -> None:
    box.add_person("ben", Role.VIEWER, HALL, OTHER_HALL)
    async with admin(box) as call:
        (ben, _) = (await call("GET", "/v1/people")).json()["items"]
        assert (ben["roles"], ben["elsewhere"]) == ({HALL: "viewer"}, True)
        for what in ("invite", "disable", "enable"):
            assert slug_of(await call("POST", f"/v1/people/ben/{what}")) == "belongs-elsewhere-too"
        assert (await call("PUT", f"/v1/people/ben/roles/{HALL}", json={"role": None})).status_code == 200
    found = box.store.people.find_person("ben")
    assert found is not None
    assert (found.roles, found.disabled_at) == ({OTHER_HALL: Role.VIEWER}, None)


@pytest.mark.parametrize("role", [None, "operator"])
async def test_nobody_locks_themselves_out(box: PeopleBox, role: str | None) -> None:
    async with admin(box) as call:
        for method, path, body in (
            ("PUT", f"/v1/people/lead/roles/{HALL}", {"json": {"role": role}}),
            ("POST", "/v1/people/lead/disable", {}),
        ):
            assert slug_of(await call(method, path, **body)) == "last-admin-role"
        assert (await call("PUT", f"/v1/people/lead/roles/{HALL}", json={"role": "admin"})).status_code == 200


async def test_who_is_admin_elsewhere_too_may_give_up_one_of_the_roles(box: PeopleBox) -> None:
    async with admin(box) as call:
        box.store.people.set_role("lead", OTHER_HALL, Role.ADMIN, "test")
        assert (await call("GET", "/v1/people")).status_code == 401, "a new role ends the logins"
    async with box.browser() as browser:
        await browser.log_in("lead")
        csrf = {"X-CSRF-Token": box.pages.state.cookies.form_token(browser.token or "")}
        given_up = await browser.http.put(f"/v1/people/lead/roles/{HALL}", json={"role": None}, headers=csrf)
        assert (given_up.status_code, given_up.json()["roles"]) == (200, {OTHER_HALL: "admin"})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "anna", "roles": {}},
        {"name": "A", "roles": {HALL: "viewer"}},
        {"name": "anna", "roles": {HALL: "king"}},
        {"name": "anna", "roles": {"a b": "viewer"}},
    ],
)
async def test_bad_input_is_refused(box: PeopleBox, body: dict[str, Any]) -> None:
    async with admin(box) as call:
        assert slug_of(await call("POST", "/v1/people", json=body)) == "invalid-parameter"
        assert slug_of(await call("PUT", f"/v1/people/lead/roles/{HALL}", json={})) == "invalid-parameter"
