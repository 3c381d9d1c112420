"""What a route needs, declared on the route: its scope, its parameters, the types it can answer with.

An application whose routes do not all say so does not start.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request

from framegate.kernel.errors import ConfigurationError
from framegate.kernel.states import Scope
from framegate.web.accept import accepts
from framegate.web.edge import add_answer_header
from framegate.web.forms import CSRF_FIELD, SAFE_METHODS, is_from_here, read_form
from framegate.web.handlers import PAGE, unknown_parameters
from framegate.web.identity import Authenticator, Principal
from framegate.web.limits import RateLimit
from framegate.web.links import LinkHolder, Links
from framegate.web.logins import CSRF_HEADER, LoginReader, Session, find_session
from framegate.web.problems import Problem, invalid, unauthenticated

_JSON = ("application/json",)
_HTML = ("text/html",)
#: The only route that a signed link opens, however others are declared.
LINKED: Final = ("/v1/images/{image_id}/content", {"GET"})


class Guarded(Protocol):
    """What an application keeps as `app.state.guard`."""

    @property
    def authenticator(self) -> Authenticator:
        """Tells who is calling."""
        ...

    @property
    def logins(self) -> LoginReader | None:
        """Tells who is logged in; None: nobody can."""
        ...

    @property
    def links(self) -> Links:
        """Tells whether a signed link holds."""
        ...

    @property
    def rate_limit(self) -> RateLimit | None:
        """None: keys are not limited."""
        ...


class Permission:
    """The check itself, run before anything of the body is read, except of a page's form, which brings a token.

    `scope` None: everybody may, or with `people` everybody who is logged in. `page`: for people only, and its problems are
    shown as pages.
    """

    def __init__(
        self,
        scope: Scope | None,
        produces: tuple[str, ...],
        takes_parameters: bool,
        repeatable: tuple[str, ...] = (),
        or_link: bool = False,
        *,
        people: bool = False,
        page: bool = False,
    ) -> None:
        self.scope, self.or_link, self.people, self.page = scope, or_link, people, page
        self._produces, self._takes_parameters, self._repeatable = produces, takes_parameters, repeatable

    @property
    def open(self) -> bool:
        """Whether everybody may."""
        return self.scope is None and not self.people

    async def __call__(self, request: Request) -> Principal | LinkHolder | None:
        """The caller, None on public routes."""
        request.scope[PAGE] = self.page
        accept = request.headers.get("accept")
        if accept is not None and not accepts(accept, self._produces):
            raise Problem("not-acceptable", f"This address answers with {' or '.join(self._produces)}.")
        if request.scope["query_string"]:
            self._check_query(request)
        if self.open:
            return None
        guard: Guarded = request.app.state.guard
        if self.or_link and (holder := guard.links.holder(request)) is not None:
            if guard.rate_limit is not None:
                _limit(request, guard.rate_limit, str(holder.image_id))
            return holder
        principal = await self._principal(request, guard)
        if guard.rate_limit is not None:
            _limit(request, guard.rate_limit, principal.key_id)
        if self.scope is not None and self.scope not in principal.scopes:
            who = "somebody whose role has" if principal.person else "a key with"
            raise Problem("insufficient-scope", f"This needs {who} the scope {self.scope}.")
        return principal

    async def _principal(self, request: Request, guard: Guarded) -> Principal:
        # A program that sends a key means it, whatever cookies it keeps.
        if self.people and guard.logins is not None and (self.page or "authorization" not in request.headers):
            session = await guard.logins.session(request)
            if session is not None:
                await self._check_token(request, guard.logins, session)
                return session.principal(self.scope)
            if self.page or guard.logins.token(request) is not None:
                raise unauthenticated("Your login has ended: log in again at /login.")
        return await guard.authenticator.principal(request)

    async def _check_token(self, request: Request, logins: LoginReader, session: Session) -> None:
        if request.method in SAFE_METHODS:
            return
        if not is_from_here(request):
            raise Problem("csrf-token-invalid")
        form = await read_form(request) if self.page else {}
        logins.check_form(session.token, form.get(CSRF_FIELD) or request.headers.get(CSRF_HEADER) or "")

    def _check_query(self, request: Request) -> None:
        names = [name for name, _ in request.query_params.multi_items()]
        once = [name for name in names if name not in self._repeatable]
        if names and not self._takes_parameters:
            raise unknown_parameters(names)
        repeated = next((name for name in once if once.count(name) > 1), None) if len(names) < 200 else names[0]
        if repeated is not None:
            raise invalid(repeated if repeated.isidentifier() and len(repeated) <= 64 else "query", "is given twice")


def requires(
    scope: Scope,
    *,
    produces: tuple[str, ...] | None = None,
    takes_parameters: bool = False,
    repeatable: tuple[str, ...] = (),
    or_link: bool = False,
    people: bool = True,
    page: bool = False,
) -> Any:
    """A dependency that gives the `Principal`; with `or_link` (see `LINKED`) instead the `LinkHolder` who brings a link.

    `repeatable`: parameters that may be given several times. `people`: a login does as well as a key. `page`: only a login
    does, and whoever has none is led to /login. `produces` None: JSON, of a page HTML.
    """
    produces = produces or (_HTML if page else _JSON)
    return Depends(Permission(scope, produces, takes_parameters, repeatable, or_link, people=people, page=page))


def logged_in(*, takes_parameters: bool = False) -> Any:
    """For a page that shows people what is their own: whoever is logged in, whatever the role."""
    return Depends(Permission(None, _HTML, takes_parameters, people=True, page=True))


def public(*, produces: tuple[str, ...] = _JSON, takes_parameters: bool = False, page: bool = False) -> Any:
    """For what everybody may ask; such a route shows no facility's data."""
    return Depends(Permission(None, _HTML if page else produces, takes_parameters, page=page))


async def still_allowed(request: Request, principal: Principal) -> bool:
    """Whether the caller of a long answer may go on with it: the login or the key still holds, with the same rights."""
    guard: Guarded = request.app.state.guard
    session = find_session(request)
    if session is not None and guard.logins is not None:
        return await guard.logins.is_open(session)
    try:
        return await guard.authenticator.principal(request) == principal
    except Problem:
        return False


def caller_id(request: Request, principal: Principal) -> str:
    """The one login, or the key, that this request came with."""
    session = find_session(request)
    return principal.key_id if session is None else str(session.login.login_id)


def permission_of(route: object) -> Permission | None:
    """What `route` declares."""
    calls: list[Callable[..., Any] | None] = (
        [dependency.call for dependency in route.dependant.dependencies] if isinstance(route, APIRoute) else []
    )
    return next((call for call in calls if isinstance(call, Permission)), None)


def check_permissions(app: FastAPI) -> None:
    """Raises `ConfigurationError` that names the routes without a permission, or with links where there are none."""
    open_routes = [str(getattr(route, "path", route)) for route in app.routes if permission_of(route) is None]
    if open_routes:
        raise ConfigurationError(
            f"routes without a declared permission: {', '.join(open_routes)}; add requires(...) or public()"
        )
    linked = [route for route in app.routes if isinstance(route, APIRoute) and _opens_to_links(route)]
    if wrong := [route.path for route in linked if (route.path, route.methods) != LINKED]:
        raise ConfigurationError(f"routes that links must not open: {', '.join(wrong)}; leave or_link out")


def _opens_to_links(route: APIRoute) -> bool:
    permission = permission_of(route)
    return permission is not None and permission.or_link


def _limit(request: Request, limit: RateLimit, key_id: str) -> None:
    allowance = limit.take(key_id)
    add_answer_header(request.scope, "RateLimit-Policy", limit.policy)
    add_answer_header(request.scope, "RateLimit", f'"key";r={allowance.remaining};t={max(1, allowance.retry_after_s)}')
    if allowance.retry_after_s:
        raise Problem("rate-limited", headers={"Retry-After": str(allowance.retry_after_s)})
