"""Models are looked at, approved and deployed over the API, by who may do so in every facility."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from framegate.kernel.ids import DEFAULT_FACILITY, CameraId
from framegate.kernel.rollout import ModelState, Rollout
from framegate.kernel.states import Stage
from framegate.ports.registry import DeploymentState
from tests.support.policies import register_model
from tests.unit.ingest.fakes import HALL, OTHER_HALL, ApiBox, Deployed, slug_of

pytestmark = pytest.mark.anyio
MANAGER = frozenset({"models:manage", "results:read"})


class Site:
    """Somebody who may do everything everywhere, and three models."""

    def __init__(self, spool: Path) -> None:
        self.box = box = ApiBox(spool)
        box.key = box.add_key(HALL, OTHER_HALL, DEFAULT_FACILITY, scopes=MANAGER)
        self.registry = box.store.registry
        self.models = [
            register_model(self.registry, f"carton@{n}", ["carton", "hole"], approve=n < 3) for n in (1, 2, 3)
        ]
        assert isinstance(box.deps.deploying, Deployed)
        self.deployed = box.deps.deploying

    def serves(self) -> Rollout:
        active = self.registry.active()
        assert active is not None
        return active.rollout


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_models_are_shown_with_what_they_serve_as_and_their_history(site: Site) -> None:
    site.registry.order(Rollout(site.models[0], shadow=site.models[1]), "lead")
    async with site.box.client() as client:
        items = (await client.get("/v1/models")).json()["items"]
        assert {one["ref"]: one["serves_as"] for one in items} == {
            "carton@1": "incumbent", "carton@2": "shadow", "carton@3": None,
        }  # fmt: skip
        shown = (await client.get("/v1/models/carton@1")).json()
        assert (shown["classes"], shown["licence"], shown["head"]) == (["carton", "hole"], "MIT", "end2end")
        assert [one["action"] for one in shown["events"]][:2] == ["model.registered", "model.validated"]
        assert 'name = "carton"' in shown["manifest"]
        for ref in ("carton@9", "carton", "@", "car%00ton@1", "a" * 300):
            assert slug_of(await client.get(f"/v1/models/{ref}")) == "not-found", ref


async def test_only_a_checked_model_is_approved_and_the_comment_is_kept(site: Site) -> None:
    async with site.box.client() as client:
        refused = await client.post("/v1/models/carton@3/approve", json={"comment": "looks fine"})
        assert (refused.status_code, slug_of(refused)) == (409, "model-refused")
        assert "framegate models check" in refused.json()["detail"]
        site.registry.advance("carton@3", ModelState.VALIDATED, "lead", {})
        approved = (await client.post("/v1/models/carton@3/approve", json={"comment": "looks fine"})).json()
        assert approved["state"] == "approved"
        assert approved["events"][-1]["body"] == {"comment": "looks fine"}
        assert approved["events"][-1]["actor"].startswith("test (")


async def test_a_model_is_deployed_compared_and_rolled_back(site: Site) -> None:
    one, two, _ = site.models
    async with site.box.client() as client:
        ordered = await client.post("/v1/deployments", json={"model": "carton@1"})
        assert (ordered.status_code, ordered.json()["state"]) == (202, "active")
        assert (await client.post("/v1/deployments", json={"model": "carton@2", "canary": 0.05})).status_code == 202
        assert site.serves() == Rollout(one, two, 0.05)
        assert (await client.post("/v1/deployments/rollback")).json()["detail"] == "rollback"
        assert site.serves() == Rollout(one)
        await client.post("/v1/deployments", json={"model": "carton@2", "shadow": True})
        listed = (await client.get("/v1/deployments?figures=true&limit=2")).json()
        assert [one["shadow"] for one in listed["items"]] == ["carton@2", None]
        assert (listed["serving"], listed["tallies"]) == (listed["items"][0]["number"], {})
        assert (listed["comparison"]["model"], listed["comparison"]["images"]) == ("carton@2", 0)
        assert (await client.get("/v1/deployments")).json()["tallies"] is None
    await site.box.app.state.api.stop()


async def test_what_waits_for_the_workers_is_pending_and_followed_until_it_serves(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framegate.ingest.models.POLL_S", 0.01)
    site.registry.order(Rollout(site.models[0]), "lead")
    site.box.store.workers.report("worker", [Stage.INFERENCE], ready=True, reason="", metrics_port=None)
    async with site.box.client() as client:
        ordered = (await client.post("/v1/deployments", json={"model": "carton@2"})).json()
    assert (ordered["state"], site.serves()) == ("pending", Rollout(site.models[0]))
    site.registry.report_load(ordered["number"], "worker", "")
    assert await asyncio.to_thread(site.deployed.ended.wait, 10)
    assert [one.state for one in site.deployed.concluded] == [DeploymentState.ACTIVE]
    assert site.serves() == Rollout(site.models[1])


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"model": "carton@9"}, "model-refused"),
        ({"model": "carton@3"}, "model-refused"),
        ({"model": "carton@2", "canary": 0.5}, "model-refused"),
        ({"model": "carton"}, "invalid-parameter"),
        ({"model": "carton@2", "canary": 0}, "invalid-parameter"),
        ({"model": "carton@2", "canary": 0.1, "shadow": True}, "invalid-parameter"),
        ({}, "invalid-parameter"),
    ],
)
async def test_what_cannot_serve_is_refused_and_nothing_changes(site: Site, body: dict[str, Any], slug: str) -> None:
    async with site.box.client() as client:
        assert slug_of(await client.post("/v1/deployments", json=body)) == slug
    assert site.registry.deployments() == []


async def test_who_is_not_in_every_facility_reads_but_changes_nothing_and_sees_no_counts_of_others(site: Site) -> None:
    key = site.box.add_key(HALL, DEFAULT_FACILITY, scopes=MANAGER)
    site.box.store.cameras.confirm_camera(OTHER_HALL, CameraId("c"), "lead")
    async with site.box.client(key) as client:
        assert (await client.get("/v1/models")).status_code == 200
        assert (await client.get("/v1/deployments")).status_code == 200
        answers = [
            await client.get("/v1/deployments?figures=true"),
            await client.post("/v1/models/carton@1/approve", json={"comment": "mine"}),
            await client.post("/v1/deployments", json={"model": "carton@1"}),
            await client.post("/v1/deployments/rollback"),
        ]
    assert [slug_of(answer) for answer in answers] == ["needs-every-facility"] * 4
    assert site.registry.deployments() == []
