"""Cameras are added, suspended and resumed where one is admin, and nowhere else."""

from pathlib import Path

import pytest

from framegate.kernel.ids import CameraId
from tests.unit.ingest.fakes import HALL, OTHER_HALL, ApiBox, slug_of

pytestmark = pytest.mark.anyio
ADMIN = frozenset({"admin", "results:read"})


@pytest.fixture
def box(tmp_path: Path) -> ApiBox:
    made = ApiBox(tmp_path)
    made.key = made.add_key(HALL, scopes=ADMIN)
    return made


async def test_a_camera_is_confirmed_suspended_and_resumed(box: ApiBox) -> None:
    async with box.client() as client:
        added = (await client.post("/v1/cameras", json={"camera": "dock-3"})).json()
        assert (added["id"], added["facility"], added["status"], added["faults"]) == ("dock-3", HALL, "confirmed", [])
        suspended = await client.post("/v1/cameras/dock-3/suspend", json={"reason": "a forklift hit it"})
        assert suspended.json()["faults"] == ["suspended"]
        assert (await client.get("/v1/cameras")).json()["items"] == [suspended.json()]
        assert (await client.post("/v1/cameras/dock-3/resume")).json()["faults"] == []
    told = [(entry.action, entry.object) for entry in box.store.state.audit if entry.action.startswith("camera.")]
    assert told == [(f"camera.{what}", "dock-3") for what in ("confirmed", "suspended", "lifted")]
    assert all(entry.actor.startswith("test (") for entry in box.store.state.audit if "camera." in entry.action)


async def test_what_is_not_there_or_belongs_to_others_is_not_found(box: ApiBox) -> None:
    box.store.cameras.confirm_camera(OTHER_HALL, CameraId("dock-9"), "lead")
    async with box.client() as client:
        for path in ("dock-9/suspend", "dock-9/suspend?facility=hall-2", "d%20k/suspend", "dock-9/resume"):
            answer = await client.post(f"/v1/cameras/{path}", json={"reason": "why"})
            assert (answer.status_code, slug_of(answer)) == (404, "not-found"), path
        refused = await client.post("/v1/cameras", json={"camera": "x", "facility": "hall-2"})
        assert slug_of(refused) == "not-found"
        assert (await client.get("/v1/cameras")).json()["items"] == []
    assert box.store.camera_healths.faults() == {}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"camera": "a b"}),
        ("", {}),
        ("/c/suspend", {}),
        ("/c/suspend", {"reason": ""}),
        ("/c/suspend", {"reason": "line\nbreak"}),
        ("/c/suspend", {"reason": "x" * 257}),
    ],
)
async def test_bad_input_is_refused_and_changes_nothing(box: ApiBox, path: str, body: dict[str, str]) -> None:
    box.store.cameras.confirm_camera(HALL, CameraId("c"), "lead")
    async with box.client() as client:
        assert slug_of(await client.post(f"/v1/cameras{path}", json=body)) == "invalid-parameter"
    assert box.store.camera_healths.faults() == {}
