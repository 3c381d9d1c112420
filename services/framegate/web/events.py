"""Server-sent events (WHATWG HTML §9.2): one long answer that a page listens to."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from framegate.kernel.errors import Transient
from framegate.ports.clock import Clock
from framegate.web.html import html_headers
from framegate.web.stopping import is_stopping

MEDIA_TYPE: Final = "text/event-stream"
#: After so much silence something is said, so that proxies keep the connection and a client that is gone is noticed.
HEARTBEAT_S: Final = 15.0
#: So often it is asked whether whoever listens still may.
CHECK_S: Final = 30.0
_WAKE_S: Final = 0.5  # so often it is seen whether the server stops
_SEND_S: Final = 10.0  # who takes nothing for so long is given up
_RETRY_MS: Final = 3000

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_SEQUENCE: Final = re.compile(r"[0-9]{1,19}")
_MOST_SEQUENCE: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Event:
    """`data` may have several lines. A page that comes back says after which `id` it goes on."""

    name: str
    data: str = ""
    id: int | None = None

    def encode(self) -> bytes:
        """No value can end its line and begin another field. Raises ValueError for what is no name."""
        if _NAME.fullmatch(self.name) is None:
            raise ValueError(f"{self.name!r} is no name of an event: use a-z, 0-9 and -")
        fields = [] if self.id is None else [f"id: {self.id:d}"]
        fields += [f"event: {self.name}", *(f"data: {line}" for line in _LINE_END.split(self.data))]
        # A lone surrogate cannot be sent; it shall not end the stream of everybody.
        return "\n".join([*fields, "", ""]).encode(errors="replace")


#: What the page has is not what there is: it is to load anew.
RESET: Final = Event("reset").encode()


class Listener(Protocol):
    """What an `EventStream` asks."""

    @property
    def position(self) -> int | None:
        """The sequence up to which everything was handed out; None: not known yet."""
        ...

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        ...

    async def next(self, timeout_s: float) -> bytes | None:
        """The next event, encoded; None: there was none in time."""
        ...


class EventStream(Response):
    """Goes on until the client is gone, the server stops, whoever listens may not any more, or nothing more will come."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        listen: Callable[[], AbstractContextManager[Listener]],
        may_go_on: Callable[[], Awaitable[bool]],
        clock: Clock,
        *,
        over_https: bool,
        wake_s: float = _WAKE_S,
    ) -> None:
        """`listen` may raise `Problem`, which is then the answer. What it opens is closed whatever happens."""
        headers = {**html_headers(over_https=over_https), "X-Accel-Buffering": "no"}
        super().__init__(headers=headers)
        del self.headers["Content-Length"]
        self._listen, self._may_go_on, self._clock, self._wake_s = listen, may_go_on, clock, wake_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer."""
        with self._listen() as listener:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with anyio.create_task_group() as group:

                async def until_gone() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    group.cancel_scope.cancel()

                group.start_soon(until_gone)
                with suppress(TimeoutError):
                    await self._write(listener, scope, send)
                group.cancel_scope.cancel()

    async def _write(self, listener: Listener, scope: Scope, send: Send) -> None:
        """Raises TimeoutError when the client does not take what is sent."""

        async def say(said: bytes, *, more: bool = True) -> None:
            async with asyncio.timeout(_SEND_S):
                await send({"type": "http.response.body", "body": said, "more_body": more})

        await say(b"retry: %d\n\n" % _RETRY_MS)
        spoken_at = checked_at = self._clock.monotonic()
        while not (is_stopping(scope) or listener.ended):
            event = await listener.next(self._wake_s)
            now = self._clock.monotonic()
            if event is None and now - spoken_at >= HEARTBEAT_S:
                event = _heartbeat(listener.position)
            if now - checked_at >= CHECK_S:
                checked_at = now
                if not await self._still_may():
                    await say(RESET)
                    break
            if event is not None:
                spoken_at = now
                await say(event)
        await say(b"", more=False)

    async def _still_may(self) -> bool:
        try:
            return await self._may_go_on()
        except Transient:
            return True  # asked again; meanwhile nobody can end a login either


def _heartbeat(position: int | None) -> bytes:
    """A comment, and where to go on: somebody for whom there was nothing among thousands is not behind for that."""
    return b": still here\n\n" if position is None else b": still here\nid: %d\n\n" % position


def last_event_id(request: Request) -> int | None:
    """Where a page goes on that was cut off; None: it was not, or what it says is none of our ids."""
    said = request.headers.get("last-event-id", "")
    found = int(said) if _SEQUENCE.fullmatch(said) else None
    return found if found is not None and found <= _MOST_SEQUENCE else None
