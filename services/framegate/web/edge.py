"""The outermost layer of an HTTP stage: request ids, headers that every answer has, and the last net for errors."""

import random
from collections.abc import Callable
from uuid import UUID

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from framegate.observability.logs import bound, get_log
from framegate.web.problems import Problem, problem_response

#: Told of every problem that is answered: the request's scope and the slug.
OnProblem = Callable[[Scope, str], None]

_log = get_log(component="web")
_UNLESS_SAID = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


def request_id(scope: Scope) -> str:
    """The id of this request; it is in the answer's `X-Request-Id` and in problems."""
    return str(scope.get("framegate.request_id", ""))


def add_answer_header(scope: Scope, name: str, value: str) -> None:
    """Adds a header to whatever the answer will be."""
    scope.setdefault("framegate.headers", []).append((name.lower().encode(), value.encode()))


class Edge:
    """Pure ASGI: no body is touched, no task is started."""

    def __init__(self, app: ASGIApp, on_problem: OnProblem) -> None:
        self._app, self._on_problem = app, on_problem
        # Ids are to be told apart, not to be kept secret: no system call for each request.
        self._random = random.Random()  # noqa: S311

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = str(UUID(int=self._random.getrandbits(128), version=4))
        scope["framegate.request_id"] = identity
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = list(message.get("headers", ()))
                named = {name for name, _ in headers}
                headers += [header for header in _UNLESS_SAID if header[0] not in named]
                headers += [(b"x-request-id", identity.encode()), *scope.get("framegate.headers", ())]
                message["headers"] = headers
            await send(message)

        with bound(request_id=identity):
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception:
                # The path and the traceback go to the log only; what else was sent by the client goes nowhere.
                _log.exception("a request failed", action="request_failed", method=scope["method"], path=scope["path"])
                if started:
                    raise
                self._on_problem(scope, "internal-error")
                await problem_response(Problem("internal-error"), identity)(scope, receive, send_with_headers)
