"""Tells of every answer: which route gave it, with which status, and after how long."""

import time
from collections.abc import Callable
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Told of every answer as soon as its headers are sent: the request's scope, the route's template, the status, seconds.
OnAnswer = Callable[[Scope, str, int, float], None]
#: In place of a template: no route knows the path. Paths themselves are never told, anybody may think of more of them.
UNKNOWN: Final = "other"


class Measured:
    """Pure ASGI, round everything else: no body is touched, no task is started."""

    def __init__(self, app: ASGIApp, on_answer: OnAnswer) -> None:
        self._app, self._on_answer = app, on_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def send_and_tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                elapsed_s = time.perf_counter() - started
                # The router leaves the route that it has found in the scope that all layers share.
                route: Any = scope.get("route")
                template = UNKNOWN if route is None else str(route.path)
                self._on_answer(scope, template, message["status"], elapsed_s)
            await send(message)

        await self._app(scope, receive, send_and_tell)
