"""A live feed on a real server: it ends with the client, with the server, and with the login."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import Request
from starlette.responses import Response

from framegate.ingest.server import make_server
from framegate.kernel.ids import FacilityId
from framegate.kernel.people import Role
from framegate.kernel.states import Scope
from framegate.ports.people import Login, Person
from framegate.web import events
from framegate.web.events import EventStream, last_event_id
from framegate.web.fanout import Broadcaster, News
from framegate.web.identity import Principal
from framegate.web.permissions import caller_id, requires, still_allowed
from tests.unit.dashboard.fakes import PASSWORD, PeopleBox
from tests.unit.ingest.fakes import HALL, OTHER_HALL
from tests.unit.ingest.test_reading import add, decide

pytestmark = pytest.mark.anyio
FEED = "/feed"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Served:
    """An application with a feed of outcomes."""

    def __init__(self, spool: Path) -> None:
        self.box = PeopleBox(spool, public_url="http://127.0.0.1")
        self.box.add_person("anna", Role.VIEWER)
        self.broadcaster = Broadcaster(self._news)
        self.url = ""

        async def feed(
            request: Request,
            principal: Annotated[Principal, requires(Scope.RESULTS_READ, produces=(events.MEDIA_TYPE,))],
        ) -> Response:
            return EventStream(
                lambda: self.broadcaster.watch(
                    caller_id(request, principal), principal.visible(None), last_event_id(request)
                ),
                lambda: still_allowed(request, principal),
                self.box.clock,
                over_https=False,
            )

        self.box.app.add_api_route(FEED, feed)
        self.server = make_server(self.box.app, "127.0.0.1", 0)

    def _news(self, facilities: frozenset[FacilityId], after: int, limit: int) -> list[News]:
        return [
            News(record.facts.facility, sequence, "outcome", str(record.facts.image_id))
            for sequence, record in self.box.store.results.outcomes_after(facilities, after, limit)
        ]

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=self.url, timeout=20) as client:
            form = await client.get("/login")
            csrf = form.text.split('name="csrf" value="')[1].split('"')[0]
            answer = await client.post("/login", data={"csrf": csrf, "name": "anna", "password": PASSWORD})
            assert answer.status_code == 303
            yield client


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    made = Served(tmp_path)
    running = asyncio.create_task(made.server.serve())
    async with asyncio.timeout(20):
        while not made.server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    made.url = f"http://127.0.0.1:{made.server.servers[0].sockets[0].getsockname()[1]}"
    yield made
    made.server.should_exit = True
    await asyncio.wait_for(running, 20)


def ends(served: Served, facility: FacilityId = HALL) -> str:
    image_id = add(served.box, facility=facility)
    decide(served.box, image_id, facility)
    return str(image_id)


async def until(lines: AsyncIterator[str], what: str) -> list[str]:
    """What came up to a line that begins so."""
    found = []
    async with asyncio.timeout(20):
        async for line in lines:
            found.append(line)
            if line.startswith(what):
                return found
    raise AssertionError(f"ended without {what}: {found}")


async def nobody(served: Served) -> None:
    async with asyncio.timeout(20):
        while served.broadcaster._viewers or served.broadcaster._task:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_people_hear_of_their_own_outcomes_and_go_on_where_they_were(served: Served) -> None:
    ends(served)
    async with served.client() as client:
        async with client.stream("GET", FEED, headers={"Last-Event-ID": "0", "Accept": "text/event-stream"}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            await until(lines, "id: 1")
            ends(served, OTHER_HALL)
            mine = ends(served)
            assert (await until(lines, "id: 3"))[-1] == "id: 3"
            assert await until(lines, "data") == ["event: outcome", f"data: {mine}"]
        await nobody(served)
        missed = ends(served)
        async with client.stream("GET", FEED, headers={"Last-Event-ID": "3"}) as answer:
            assert await until(answer.aiter_lines(), "data") == [
                "retry: 3000", "", "id: 4", "event: outcome", f"data: {missed}",
            ]  # fmt: skip
    await nobody(served)


async def test_a_server_that_stops_ends_the_streams_at_once(served: Served) -> None:
    async with served.client() as client, client.stream("GET", FEED) as answer:
        lines = answer.aiter_lines()
        await until(lines, "retry")
        served.server.should_exit = True
        async with asyncio.timeout(10):
            assert [line async for line in lines if line] == []
    await nobody(served)


@pytest.mark.parametrize("change", ["logged out", "role", "facility"])
async def test_a_login_that_ended_or_has_other_rights_ends_the_stream(
    served: Served, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = served.box.store.people
    async with served.client() as client, client.stream("GET", FEED) as answer:
        lines = answer.aiter_lines()
        await until(lines, "retry")
        if change == "logged out":
            people.end_logins("anna")
        elif change == "role":
            people.set_role("anna", HALL, Role.ADMIN, "lead")
        else:
            find = people.find_login

            def find_login(token_hash: bytes) -> tuple[Login, Person] | None:
                found = find(token_hash)
                return found and (found[0], replace(found[1], disabled_facilities=frozenset({HALL})))

            monkeypatch.setattr(people, "find_login", find_login)
        served.box.clock.advance(31)
        async with asyncio.timeout(10):
            assert [line async for line in lines if line] == ["event: reset", "data: "]
    await nobody(served)


async def test_a_key_that_was_revoked_ends_the_stream(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.box.key}"}
    async with (
        httpx.AsyncClient(base_url=served.url, headers=headers, timeout=20) as client,
        client.stream("GET", FEED) as answer,
    ):
        lines = answer.aiter_lines()
        await until(lines, "retry")
        served.box.clock.advance(31)
        ends(served)
        await until(lines, "data")
        (key,) = served.box.store.keys.keys()
        served.box.store.keys.revoke_key(key.key_id, "lead")
        served.box.clock.advance(31)
        await until(lines, "event: reset")
    await nobody(served)


async def test_a_stream_is_no_use_of_the_login(served: Served) -> None:
    async with served.client() as client, client.stream("GET", FEED) as answer:
        lines = answer.aiter_lines()
        await until(lines, "retry")
        before = served.box.store.people.logins("anna")
        for _ in range(3):
            served.box.clock.advance(300)
            await until(lines, ": still here")
        assert served.box.store.people.logins("anna") == before
        served.box.clock.advance(901)
        await until(lines, "event: reset")


async def test_nobody_may_open_it_without_a_login_or_a_key_or_too_often(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.url) as stranger:
        assert (await stranger.get(FEED)).status_code == 401
    headers = {"Authorization": f"Bearer {served.box.key}"}
    async with httpx.AsyncClient(base_url=served.url, headers=headers, timeout=20) as client:
        open_streams = [client.stream("GET", FEED) for _ in range(9)]
        answers = [await stream.__aenter__() for stream in open_streams]
        assert [answer.status_code for answer in answers] == [200] * 8 + [503]
        assert answers[-1].headers["content-type"] == "application/problem+json"
        assert "retry-after" in answers[-1].headers
        for stream in open_streams:
            await stream.__aexit__(None, None, None)
    await nobody(served)
