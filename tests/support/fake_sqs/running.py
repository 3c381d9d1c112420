"""The fake in this process, on a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from .adversity import Adversity
from .broker import Broker
from .clock import Clock
from .server import Server

T = TypeVar("T")
_ANSWER_S = 30.0


class RunningFake:
    """Safe for use from several threads, except for `broker`: reach that through `do`."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server, self._loop = server, loop

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def broker(self) -> Broker:
        return self._server.broker

    def do(self, work: Callable[[Broker], T]) -> T:
        """Runs `work` where the broker lives, between two requests, and returns what it returns or raises."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work(self.broker))
            except BaseException as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(_ANSWER_S)

    def advance(self, seconds: float) -> None:
        """Polls look again at once."""
        self.do(lambda broker: broker.advance(seconds))

    def purge(self, name: str | None = None) -> None:
        """One queue or all of them, however often."""

        def work(broker: Broker) -> None:
            for queue in list(broker.queues.values()) if name is None else [broker.queue(name)]:
                queue.forget_all()

        self.do(work)

    def statistics(self) -> dict[str, Any]:
        return self.do(Broker.statistics)


@contextmanager
def running_fake_sqs(
    adversity: Adversity | None = None, clock: Clock | None = None, *, in_flight_limit: int = 120_000
) -> Iterator[RunningFake]:
    """Without `clock`, time goes by itself. Connections and polls end with the context."""
    loop = asyncio.new_event_loop()
    server = Server(Broker(adversity, clock, in_flight_limit=in_flight_limit))
    thread = threading.Thread(target=loop.run_forever, name="fake-sqs", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(_ANSWER_S)
        yield RunningFake(server, loop)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(_ANSWER_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_ANSWER_S)
        loop.close()
