"""`/login`, `/logout`, `/invite/{token}` and `/me`: how a person gets in, and where they are logged in."""

from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from framegate.dashboard.html import alone, page
from framegate.dashboard.places import local_place
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.ids import FacilityId
from framegate.kernel.people import hash_token, new_token, password_fault
from framegate.ports.people import Login
from framegate.web.forms import CSRF_FIELD, is_from_here, read_form
from framegate.web.html import html_headers
from framegate.web.identity import Principal
from framegate.web.ids import parse_id
from framegate.web.logins import is_over, session_of
from framegate.web.permissions import logged_in, public
from framegate.web.problems import Problem

router = APIRouter(include_in_schema=False)

_WRONG: Final = "The name or the password is wrong."
_COOKIE_MISSING: Final = (
    "Your browser sent no cookie with this form. Send it again; if that does not help, allow cookies, and open Framegate "
    "by https: without it, people can log in only on the machine that it runs on."
)

Person = Annotated[Principal, logged_in()]


@dataclass(frozen=True, slots=True)
class MeView:
    """Whoever looks at it, with the facilities and roles, and the logins that are open; `here` is the one that asks."""

    name: str
    roles: list[tuple[FacilityId, str]]
    logins: list[Login]
    here: UUID


@router.get("/login", dependencies=[public(page=True, takes_parameters=True)])
async def show_login(request: Request, pages: PagesDep) -> Response:
    """The form; whoever is logged in is sent on."""
    place = local_place(request.query_params.get("next"))
    if await pages.cookies.session(request) is not None:
        return _go(pages, place)
    return _form(pages, request, "login", next=place, name="", fault=None)


@router.post("/login", dependencies=[public(page=True)])
async def log_in(request: Request, pages: PagesDep) -> Response:
    """Opens a login under a new token, whatever the browser sent, and ends the one it had."""
    form = await _checked_form(pages, request)
    place, name = local_place(form.get("next")), form.get("name", "")
    address = request.client.host if request.client else "unknown"
    agent = request.headers.get("user-agent", "")
    token = await pages.sign_in.log_in(name, form.get("password", ""), address, agent)
    if token is None:
        return _form(pages, request, "login", 403, next=place, name=name[:64], fault=_WRONG)
    before = await pages.cookies.session(request)
    if before is not None:
        await run_in_threadpool(pages.deps.logins.end_login, before.person.name, before.login.login_id)
    answer = _go(pages, place)
    pages.cookies.set_cookie(answer, pages.cookies.cookie, token)
    pages.cookies.drop_cookie(answer, pages.cookies.form_cookie)
    return answer


@router.post("/logout")
async def log_out(request: Request, _: Person, pages: PagesDep) -> Response:
    """Ends this login; the browser forgets the pictures it kept."""
    session = session_of(request)
    await run_in_threadpool(pages.deps.logins.end_login, session.person.name, session.login.login_id)
    answer = _go(pages, "/login")
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    pages.cookies.drop_cookie(answer, pages.cookies.cookie)
    return answer


@router.get("/invite/{token}", dependencies=[public(page=True)])
async def show_invitation(token: str, request: Request, pages: PagesDep) -> Response:
    """Looking at it does not use it up: programs that preview links do."""
    person = await pages.sign_in.invited(token)
    return _form(pages, request, "invite", name=person.name, fault=None)


@router.post("/invite/{token}", dependencies=[public(page=True)])
async def accept_invitation(token: str, request: Request, pages: PagesDep) -> Response:
    """Sets the password; then it is asked for, so that the browser and the person know it."""
    form = await _checked_form(pages, request)
    person = await pages.sign_in.invited(token)
    password = form.get("password", "")
    fault = password_fault(password, person.name)
    if fault is None and form.get("again", "") != password:
        fault = "the two are not the same"
    if fault is not None:
        return _form(pages, request, "invite", 422, name=person.name, fault=fault)
    await pages.sign_in.accept(token, password)
    return _go(pages, "/login")


@router.get("/me")
async def show_me(request: Request, principal: Person, pages: PagesDep) -> Response:
    """Who you are, and where you are logged in."""
    session = session_of(request)
    now = pages.deps.clock.now()
    logins = await run_in_threadpool(pages.deps.logins.logins, principal.name)
    view = MeView(
        name=principal.name,
        roles=sorted((facility, str(role)) for facility, role in session.person.roles.items()),
        logins=[login for login in logins if not is_over(login, now)],
        here=session.login.login_id,
    )
    return page("me", request, pages, view)


@router.post("/me/logins/end-others")
async def end_other_logins(request: Request, principal: Person, pages: PagesDep) -> Response:
    """All but this one."""
    await run_in_threadpool(pages.deps.logins.end_logins, principal.name, session_of(request).login.login_id)
    return _go(pages, "/me")


@router.post("/me/logins/{login_id}/end")
async def end_login(login_id: str, principal: Person, pages: PagesDep) -> Response:
    """One of one's own; others' look absent."""
    if not await run_in_threadpool(pages.deps.logins.end_login, principal.name, parse_id(login_id)):
        raise Problem("not-found")
    return _go(pages, "/me")


async def _checked_form(pages: PageState, request: Request) -> dict[str, str]:
    """Of somebody who is not logged in: the token is bound to a cookie that was set with the form."""
    if not is_from_here(request):
        raise Problem("csrf-token-invalid")
    form = await read_form(request)
    token = request.cookies.get(pages.cookies.form_cookie)
    if token is None:
        raise Problem("csrf-token-invalid", _COOKIE_MISSING)
    pages.cookies.check_form(token, form.get(CSRF_FIELD, ""))
    return dict(form)


def _form(pages: PageState, request: Request, template: str, status: int = 200, **values: Any) -> Response:
    token = request.cookies.get(pages.cookies.form_cookie, "")
    if hash_token(pages.deps.pepper, token) is None:
        token = new_token()
    csrf = pages.cookies.form_token(token)
    answer = alone(template, status, over_https=pages.over_https, csrf=csrf, **values)
    pages.cookies.set_cookie(answer, pages.cookies.form_cookie, token)
    return answer


def _go(pages: PageState, place: str) -> Response:
    return RedirectResponse(place, 303, headers=html_headers(over_https=pages.over_https))
