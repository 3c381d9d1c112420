"""Who is logged in: the cookie, and the token that a form brings back."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.kernel.people import IDLE, SCOPES_OF, form_token, hash_token, is_form_token
from framegate.kernel.states import Scope
from framegate.ports.clock import Clock
from framegate.ports.people import Login, Logins, Person
from framegate.web.identity import Principal
from framegate.web.problems import Problem

COOKIE: Final = "__Host-framegate"
#: How a program that has a login sends the form token.
CSRF_HEADER: Final = "X-CSRF-Token"
_PLAIN_COOKIE: Final = "framegate"  # browsers take `__Host-` over https only
_SESSION: Final = "framegate.session"
_FORM_SUFFIX: Final = "-form"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_TOUCH_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Session:
    """An open login and whose it is. `token` is the secret of its cookie."""

    token: str
    login: Login
    person: Person

    def principal(self, scope: Scope | None) -> Principal:
        """With the facilities in which the person's role has `scope`; None: those of any role."""
        roles = self.person.roles
        facilities = frozenset(where for where, role in roles.items() if scope is None or scope in SCOPES_OF[role])
        return Principal(
            key_id=f"person:{self.person.name}",
            name=self.person.name,
            scopes=frozenset(str(each) for role in roles.values() for each in SCOPES_OF[role]),
            facilities=facilities,
            disabled=self.person.disabled_facilities & facilities,
            person=True,
        )


def session_of(request: Request) -> Session:
    """Of a request whose route declares that people must be logged in."""
    session: Session = request.scope[_SESSION]
    return session


def find_session(request: Request) -> Session | None:
    """None: it was made with a key."""
    return request.scope.get(_SESSION)


def is_over(login: Login, now: datetime) -> bool:
    """Whether its time is over, absolutely or for want of use."""
    return now >= login.expires_at or now - login.seen_at >= IDLE


def _is_open(login: Login, person: Person, now: datetime) -> bool:
    return not is_over(login, now) and person.disabled_at is None


def _rights(person: Person) -> object:
    return person.roles, person.disabled_facilities


class LoginReader:
    """Reads and writes the cookies. Queries run in worker threads, one for every request: what is ended is ended at once."""

    def __init__(self, logins: Logins, pepper: bytes, clock: Clock, public_url: str) -> None:
        """`public_url` is what people type: cookies are for https, unless that is http on this very machine."""
        self._logins, self._pepper, self._clock = logins, pepper, clock
        parsed = urlsplit(public_url)
        self.over_https = parsed.scheme == "https"
        self.secure = self.over_https or parsed.hostname not in _LOOPBACK
        self.cookie = COOKIE if self.secure else _PLAIN_COOKIE
        self.form_cookie = self.cookie + _FORM_SUFFIX

    def token(self, request: Request) -> str | None:
        """The login's secret that the browser sends."""
        return request.cookies.get(self.cookie)

    async def session(self, request: Request) -> Session | None:
        """None: nobody is logged in here, or not any more."""
        token = self.token(request)
        hashed = hash_token(self._pepper, token) if token is not None else None
        if token is None or hashed is None:
            return None
        found = await run_in_threadpool(self._logins.find_login, hashed)
        now = self._clock.now()
        if found is None or not _is_open(*found, now):
            return None
        if now - found[0].seen_at >= _TOUCH_EVERY:
            await run_in_threadpool(self._logins.touch, found[0].login_id, now)
        session = request.scope[_SESSION] = Session(token, *found)
        return session

    async def is_open(self, session: Session) -> bool:
        """Whether this login goes on, with the same rights. To ask is no use of it: a page that is left alone logs out."""
        hashed = hash_token(self._pepper, session.token)
        found = await run_in_threadpool(self._logins.find_login, hashed) if hashed is not None else None
        return (
            found is not None and _is_open(*found, self._clock.now()) and _rights(found[1]) == _rights(session.person)
        )

    def form_token(self, token: str) -> str:
        """What a form must bring back that was made for who has the secret `token` in a cookie."""
        return form_token(self._pepper, token)

    def check_form(self, token: str, sent: str) -> None:
        """Raises `Problem`."""
        if not is_form_token(self._pepper, token, sent):
            raise Problem("csrf-token-invalid")

    def set_cookie(self, response: Response, name: str, token: str) -> None:
        """Until the browser is closed; how long a login lasts is decided here and not there."""
        response.set_cookie(name, token, path="/", secure=self.secure, httponly=True, samesite="lax")

    def drop_cookie(self, response: Response, name: str) -> None:
        """The browser forgets it."""
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")
