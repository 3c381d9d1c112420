"""Whoever may reads of drift and says that it is well as it is, where they may, and nowhere else."""

from pathlib import Path

import pytest

from framegate.kernel.ids import CameraId
from tests.contracts.drifting import LIMITS, drifts, sees
from tests.contracts.examples import MODEL
from tests.unit.ingest.fakes import HALL, OTHER_HALL, ApiBox, slug_of

pytestmark = pytest.mark.anyio
ADMIN = frozenset({"admin", "results:read"})
DOCK = CameraId("dock-3")


@pytest.fixture
def box(tmp_path: Path) -> ApiBox:
    made = ApiBox(tmp_path, drift_limits=LIMITS)
    made.key = made.add_key(HALL, scopes=ADMIN)
    return made


async def test_what_drifts_is_told_with_its_numbers_and_the_images_that_moved_it(box: ApiBox) -> None:
    dark = drifts(box.store, camera=DOCK, facility=HALL)
    async with box.client() as client:
        answer = (await client.get("/v1/drift")).json()
    assert (answer["effect"], answer["least"]) == (LIMITS.effect, LIMITS.least)
    of_camera, of_model = answer["items"]
    assert [(one["kind"], one["name"], one["state"]) for one in (of_camera, of_model)] == [
        ("camera", DOCK, "drifts"), ("model", MODEL, "usual"),
    ]  # fmt: skip
    assert [(part["part"], part["learnt"]) for part in of_camera["parts"]] == [("model", 1.0), ("picture", 1.0)]
    most = of_camera["measures"][0]
    assert (most["feature"], most["size"]) == ("brightness", 10)
    assert most["psi"] >= LIMITS.effect
    (finding,) = of_camera["findings"]
    assert sum(group["now"] for group in finding["groups"]) == pytest.approx(1, abs=0.01)
    assert set(finding["images"]) <= {str(image.image_id) for image in dark}
    assert of_model["findings"] == []


async def test_how_much_of_the_reference_is_there_is_told_while_it_is_learnt(box: ApiBox) -> None:
    sees(box.store, 40, camera=DOCK, facility=HALL)
    box.store.drifts.follow(LIMITS, 100)
    async with box.client() as client:
        items = (await client.get("/v1/drift")).json()["items"]
    assert {one["state"] for one in items} == {"learning"}
    assert {part["learnt"] for one in items for part in one["parts"]} == {0.5}


async def test_who_says_that_it_is_well_ends_it_and_is_in_the_audit(box: ApiBox) -> None:
    drifts(box.store, camera=DOCK, facility=HALL)
    async with box.client() as client:
        frozen = (await client.post(f"/v1/drift/camera/{DOCK}/freeze")).json()
        assert (frozen["state"], frozen["findings"], frozen["measures"]) == ("learning", [], [])
        assert (await client.post(f"/v1/drift/model/{MODEL}/freeze")).json()["state"] == "learning"
    told = [entry for entry in box.store.state.audit if entry.action == "drift.frozen"]
    assert [entry.object for entry in told] == [f"camera/{DOCK}", f"model/{MODEL}"]
    assert all(entry.actor.startswith("test (") for entry in told)


async def test_what_is_not_there_or_belongs_to_others_is_not_found(box: ApiBox) -> None:
    drifts(box.store, camera=DOCK, facility=OTHER_HALL)
    async with box.client() as client:
        for path in (f"camera/{DOCK}", f"camera/{DOCK}/freeze?facility={OTHER_HALL}", "camera/d%20k", "model/carton"):
            answer = await client.post(f"/v1/drift/{path.partition('/freeze')[0]}/freeze?{path.partition('?')[2]}")
            assert (answer.status_code, slug_of(answer)) == (404, "not-found"), path
        assert slug_of(await client.post(f"/v1/drift/lamp/{DOCK}/freeze")) == "invalid-parameter"
        assert (await client.get("/v1/drift")).json()["items"] == []
    assert len(box.store.drifts.findings(frozenset({OTHER_HALL}))) == 1
