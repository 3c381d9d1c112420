"""Reads a request's body piece by piece, with a patience that ends."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from framegate.ports.clock import Clock
from framegate.web.problems import Problem

Write = Callable[[bytes], Awaitable[None]]


class Pace:
    """How long a client may take: `slow_after_s`, and from then on at least `min_bytes_per_s` on average."""

    def __init__(self, clock: Clock, slow_after_s: float, min_bytes_per_s: int) -> None:
        self._clock, self._slow_after_s, self._min_bytes_per_s = clock, slow_after_s, min_bytes_per_s
        self._since = clock.monotonic()
        self._bytes = 0

    def left_s(self) -> float:
        """Until the client is too slow; not above 0 when it is."""
        granted_s = max(self._slow_after_s, self._bytes / self._min_bytes_per_s)
        return self._since + granted_s - self._clock.monotonic()

    async def pass_on(self, data: bytes, write: Write) -> None:
        """The time that `write` takes is ours, not the client's."""
        self._bytes += len(data)
        before = self._clock.monotonic()
        await write(data)
        self._since += self._clock.monotonic() - before


class ClientGone(Problem):
    """The client hung up; nobody will read the answer."""

    def __init__(self) -> None:
        super().__init__("malformed-request", "The body ended before it was complete.")


async def read_body(request: Request, pace: Pace, write: Write) -> None:
    """Hands every piece to `write`. Raises `Problem` when the client is too slow and `ClientGone` when it hangs up."""
    loop = asyncio.get_running_loop()
    timer = asyncio.timeout(None)
    try:
        async with timer:
            more = True
            while more:
                left_s = pace.left_s()
                if left_s <= 0:
                    raise _too_slow()
                timer.reschedule(loop.time() + left_s)
                message = await request.receive()
                timer.reschedule(None)
                if message["type"] == "http.disconnect":
                    raise ClientGone
                if data := message.get("body", b""):
                    await pace.pass_on(data, write)
                more = message.get("more_body", False)
    except TimeoutError:
        if not timer.expired():
            raise
        raise _too_slow() from None


def _too_slow() -> Problem:
    return Problem("upload-too-slow", headers={"Connection": "close"})
