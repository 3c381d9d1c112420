"""Server-sent events: what is sent, and when it ends."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.requests import Request

from framegate.adapters.memory import FakeClock
from framegate.kernel.errors import DependencyUnavailable
from framegate.web import events
from framegate.web.events import Event, EventStream, last_event_id
from framegate.web.problems import Problem
from framegate.web.stopping import STOPPING
from tests.unit.ingest.fakes import NOW

from .listening import Client

pytestmark = pytest.mark.anyio


class Said:
    """A listener that says what the test tells it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.position: int | None = None
        self.ended = self.open = False

    async def next(self, timeout_s: float) -> bytes | None:
        try:
            async with asyncio.timeout(timeout_s):
                return await self.queue.get()
        except TimeoutError:
            return None

    @contextmanager
    def __call__(self) -> Iterator["Said"]:
        self.open = True
        try:
            yield self
        finally:
            self.open = False


class Stage:
    """A stream and everything around it."""

    def __init__(self) -> None:
        self.clock, self.said = FakeClock(NOW), Said()
        self.allowed: bool | Exception = True
        self.asked = 0

    async def may_go_on(self) -> bool:
        self.asked += 1
        if isinstance(self.allowed, Exception):
            raise self.allowed
        return self.allowed

    def client(self, over_https: bool = True) -> Client:
        return Client(EventStream(self.said, self.may_go_on, self.clock, over_https=over_https, wake_s=0.002))


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ("", ["data: "]),
        ("one", ["data: one"]),
        ("a\nb\r\nc\rd", ["data: a", "data: b", "data: c", "data: d"]),
        ("x\n\nevent: reset\ndata: forged", ["data: x", "data: ", "data: event: reset", "data: data: forged"]),
        ("\u2028\x0b\x85\x00", ["data: \u2028\x0b\x85\x00"]),
        ("\ud800", ["data: ?"]),
    ],
)
def test_no_text_begins_a_field_of_its_own(data: str, lines: list[str]) -> None:
    said = Event("outcome", data, 7).encode().decode()
    assert said == "\n".join(["id: 7", "event: outcome", *lines, "", ""])


@pytest.mark.parametrize("name", ["", "a b", "a\nid: 1", "a\r", "A", "ä", "x" * 65])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of an event"):
        Event(name).encode()


@pytest.mark.parametrize(
    ("said", "known"),
    [("0", 0), ("42", 42), (str(2**63 - 1), 2**63 - 1), (None, None), ("", None), ("-1", None), ("+1", None), (" 1", None),
     (str(2**63), None), ("9" * 400, None), ("1\n2", None), ("1e3", None), ("٣", None), ("x", None)],
)  # fmt: skip
def test_an_id_that_is_none_of_ours_is_none(said: str | None, known: int | None) -> None:
    headers = [] if said is None else [(b"last-event-id", said.encode("utf-8"))]
    assert last_event_id(Request({"type": "http", "headers": headers})) == known


async def test_a_stream_has_its_headers_and_says_once_when_to_come_again(stage: Stage) -> None:
    client = stage.client()
    await stage.said.queue.put(Event("outcome", "a", 1).encode())
    await stage.said.queue.put(Event("outcome", "b", 2).encode())
    await client.hear("data: b")
    assert client.start["status"] == 200
    assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert client.headers["cache-control"] == "no-store"
    assert client.headers["x-accel-buffering"] == "no"
    assert client.headers["x-content-type-options"] == "nosniff"
    assert client.headers["cross-origin-resource-policy"] == "same-origin"
    assert "strict-transport-security" in client.headers
    assert "content-length" not in client.headers
    assert client.body.decode() == (
        "retry: 3000\n\nid: 1\nevent: outcome\ndata: a\n\nid: 2\nevent: outcome\ndata: b\n\n"
    )
    await client.leave()


async def test_when_the_client_is_gone_what_was_opened_is_closed(stage: Stage) -> None:
    client = stage.client()
    await client.hear("retry")
    assert stage.said.open
    await client.leave()
    assert not stage.said.open


async def test_silence_is_broken_every_fifteen_seconds_with_where_to_go_on(stage: Stage) -> None:
    client = stage.client()
    await client.hear("retry")
    stage.clock.advance(14.9)
    await stage.said.queue.put(Event("outcome", "a", 1).encode())
    await client.hear("data: a")
    stage.clock.advance(14.9)
    stage.said.position = 17
    await asyncio.sleep(0.05)
    assert "still here" not in client.body.decode()
    stage.clock.advance(0.1)
    await client.hear("still here")
    assert client.events[1:] == [": still here\nid: 17"]
    await client.leave()


async def test_a_server_that_stops_ends_it(stage: Stage) -> None:
    client = stage.client()
    await client.hear("retry")
    client.scope[STOPPING] = True
    await client.end()
    assert client.complete
    assert not stage.said.open


async def test_whoever_may_not_any_more_is_sent_to_load_anew_within_thirty_seconds(stage: Stage) -> None:
    client = stage.client()
    await client.hear("retry")
    stage.clock.advance(29.9)
    await client.hear("still here")
    assert stage.asked == 0
    stage.clock.advance(0.2)
    async with asyncio.timeout(10):
        while stage.asked == 0:  # noqa: ASYNC110 (in the stream's own time)
            await asyncio.sleep(0.001)
    stage.allowed = DependencyUnavailable("away")
    stage.clock.advance(30.1)
    async with asyncio.timeout(10):
        while stage.asked == 1:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert not client.complete, "nobody knows, so it is asked again"
    stage.allowed = False
    stage.clock.advance(30.1)
    await stage.said.queue.put(Event("outcome", "secret", 1).encode())
    await client.end()
    assert client.complete
    assert client.events[-1].startswith("event: reset")
    assert "secret" not in client.body.decode()


async def test_what_has_ended_is_complete(stage: Stage) -> None:
    client = stage.client()
    await client.hear("retry")
    stage.said.ended = True
    await client.end()
    assert client.complete


async def test_whoever_takes_nothing_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_SEND_S", 0.02)
    client = stage.client()
    await client.hear("retry")
    client.takes.clear()
    await stage.said.queue.put(Event("outcome", "a", 1).encode())
    await client.end()
    assert not stage.said.open


async def test_a_problem_is_the_answer_and_nothing_was_begun() -> None:
    @contextmanager
    def full() -> Iterator[Any]:
        raise Problem("overloaded")
        yield

    client = Client(EventStream(full, Stage().may_go_on, FakeClock(NOW), over_https=True))
    with pytest.raises(Problem):
        await client.end()
    assert client.start == {}
