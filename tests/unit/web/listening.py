"""One long answer, listened to without a server."""

import asyncio
from typing import Any

from starlette.types import ASGIApp


class Client:
    """Whoever listens; `takes` cleared: takes nothing more for the moment."""

    def __init__(self, response: ASGIApp, scope: dict[str, Any] | None = None) -> None:
        self.response, self.scope = response, {"type": "http", **(scope or {})}
        self.start: dict[str, Any] = {}
        self.body, self.complete = b"", False
        self.takes, self._gone, self._heard = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.takes.set()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        requested = False

        async def receive() -> dict[str, Any]:
            nonlocal requested
            if not requested:
                requested = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self._gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.start = message
                return
            await self.takes.wait()
            self.body += message["body"]
            self.complete = not message["more_body"]
            self._heard.set()

        await self.response(self.scope, receive, send)

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.start["headers"]}

    @property
    def events(self) -> list[str]:
        """Blocks but the first, `retry`."""
        return self.body.decode().removesuffix("\n\n").split("\n\n")[1:]

    async def hear(self, what: str) -> None:
        """Waits until it came."""
        async with asyncio.timeout(10):
            while what.encode() not in self.body:
                self._heard.clear()
                await self._heard.wait()

    async def leave(self) -> None:
        self._gone.set()
        await self.end()

    async def end(self) -> None:
        """Waits until the answer has ended."""
        await asyncio.wait_for(asyncio.shield(self.task), 10)
