"""What could not be handled is seen and sent back by who may in every facility."""

from datetime import timedelta
from pathlib import Path

import pytest

from framegate.kernel.ids import CameraId, new_image_id
from framegate.kernel.messages import FrameSubmitted, encode
from tests.unit.ingest.fakes import HALL, NOW, OTHER_HALL, ApiBox, slug_of

pytestmark = pytest.mark.anyio
ADMIN = frozenset({"admin"})
QUEUE = "frame-submitted-live"


@pytest.fixture
def box(tmp_path: Path) -> ApiBox:
    made = ApiBox(tmp_path)
    made.key = made.add_key(HALL, scopes=ADMIN)
    return made


def bury(box: ApiBox, *bodies: str) -> None:
    queue = box.store.queue
    queue.send(QUEUE, bodies)
    for n, delivery in enumerate(queue.receive([QUEUE], 10, timedelta(), timedelta(minutes=1))):
        queue.dead_letter(delivery, f"cause {n}")


async def test_dead_letters_are_listed_with_their_image_and_put_back(box: ApiBox) -> None:
    image = new_image_id(NOW.timestamp())
    bury(box, encode(FrameSubmitted(HALL, image)), "no message")
    async with box.client() as client:
        newest, oldest = (await client.get("/v1/dead-letters")).json()["items"]
        assert (oldest["queue"], oldest["cause"], oldest["receive_count"]) == (QUEUE, "cause 0", 1)
        assert (oldest["facility"], oldest["image"]) == (HALL, str(image))
        assert (newest["facility"], newest["image"]) == (None, None)
        assert len((await client.get("/v1/dead-letters?limit=1")).json()["items"]) == 1
        one = await client.post("/v1/dead-letters/redrive", json={"ids": [oldest["id"], "nothing"]})
        assert one.json() == {"redriven": 1}
        assert [item["id"] for item in (await client.get("/v1/dead-letters")).json()["items"]] == [newest["id"]]
        assert (await client.post("/v1/dead-letters/redrive", json={})).json() == {"redriven": 1}
    entry = box.store.state.audit[-1]
    assert (entry.action, entry.body) == ("dead-letters.redriven", {"ids": None, "redriven": 1})
    assert entry.actor.startswith("test (")


async def test_who_is_admin_of_one_facility_among_others_sees_and_moves_nothing(box: ApiBox) -> None:
    box.store.cameras.confirm_camera(OTHER_HALL, CameraId("c"), "lead")
    bury(box, "no message")
    async with box.client() as client:
        assert slug_of(await client.get("/v1/dead-letters")) == "needs-every-facility"
        assert slug_of(await client.post("/v1/dead-letters/redrive", json={})) == "needs-every-facility"
    assert len(box.store.queue.list_dead()) == 1


@pytest.mark.parametrize("ids", [[], ["a\x00b"], ["a b"], "17", ["1"] * 201, [1]])
async def test_bad_ids_are_refused(box: ApiBox, ids: object) -> None:
    async with box.client() as client:
        assert slug_of(await client.post("/v1/dead-letters/redrive", json={"ids": ids})) == "invalid-parameter"
