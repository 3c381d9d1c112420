import threading

import pytest

from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.states import Stage
from framegate.web.problems import KINDS

from .fakes import ApiBox, slug_of

pytestmark = pytest.mark.anyio
STAGES = (Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE)


async def ready(box: ApiBox) -> tuple[int, dict[str, str]]:
    async with box.client() as client:
        answer = await client.get("/readyz", headers={"Authorization": ""})
    body = answer.json()
    assert body["ready"] is (answer.status_code == 200)
    return answer.status_code, body["stages"]


async def test_it_is_ready_when_every_stage_has_reported_ready(box: ApiBox) -> None:
    box.store.workers.report("w1", [Stage.PREPROCESS, Stage.GATE], ready=True, reason="", metrics_port=None)
    assert await ready(box) == (503, {"inference": "no worker has reported within 10 s"})
    box.store.workers.report("w2", [Stage.INFERENCE], ready=False, reason="loading the model", metrics_port=None)
    assert await ready(box) == (503, {"inference": "loading the model"})
    box.store.workers.report("w3", [Stage.INFERENCE], ready=True, reason="", metrics_port=None)
    assert await ready(box) == (200, {})


async def test_a_report_older_than_ten_seconds_does_not_count(box: ApiBox) -> None:
    box.store.workers.report("w", STAGES, ready=True, reason="", metrics_port=None)
    box.clock.advance(9)
    assert (await ready(box))[0] == 200
    box.clock.advance(2)
    assert (await ready(box))[0] == 503


async def test_without_its_database_it_is_alive_but_not_ready(box: ApiBox, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: object) -> None:
        raise DependencyUnavailable

    monkeypatch.setattr(box.store.workers, "statuses", away)
    assert await ready(box) == (503, {"ingest": "the database does not answer"})
    async with box.client() as client:
        assert (await client.get("/healthz")).json() == {"alive": True, "version": "1.2.3"}


async def test_a_database_that_hangs_does_not_hold_up_the_probe(box: ApiBox, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(box.store.workers, "statuses", lambda _: released.wait(30))
    monkeypatch.setattr("framegate.ingest.health._PATIENCE_S", 0.05)
    assert await ready(box) == (503, {"ingest": "the database does not answer"})
    assert not released.is_set()
    released.set()


async def test_metrics_are_not_served_where_the_api_is(box: ApiBox) -> None:
    async with box.client() as client:
        assert (await client.get("/metrics")).status_code == 404


async def test_the_type_of_every_problem_can_be_opened(box: ApiBox) -> None:
    async with box.client() as client:
        for slug, kind in KINDS.items():
            body = (await client.get(f"/problems/{slug}")).json()
            assert body == {"title": kind.title, "status": kind.status, "remedy": kind.remedy}
        assert slug_of(await client.get("/problems/none")) == "not-found"


async def test_the_manual_names_every_route_and_fetches_nothing(box: ApiBox) -> None:
    async with box.client() as client:
        page = await client.get("/docs", headers={"Accept": "text/html"})
        openapi = (await client.get("/openapi.json")).json()
    assert page.headers["content-type"].startswith("text/html")
    assert all(path in page.text for path in openapi["paths"])
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text
