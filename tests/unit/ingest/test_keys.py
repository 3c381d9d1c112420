"""Keys are made, rotated and revoked by who is admin where they belong."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.unit.ingest.fakes import HALL, OTHER_HALL, ApiBox, slug_of

pytestmark = pytest.mark.anyio
ADMIN = frozenset({"admin"})


@pytest.fixture
def box(tmp_path: Path) -> ApiBox:
    made = ApiBox(tmp_path)
    made.key = made.add_key(HALL, scopes=ADMIN)
    return made


def id_of(key: str) -> str:
    return key.split("_")[2]


async def test_a_key_is_shown_once_works_is_rotated_and_revoked(box: ApiBox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with box.client() as client:
        made = await client.post("/v1/keys", json={"name": "dock-3", "scopes": ["results:read"], "days": 30})
        assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
        first = made.json()
        assert (first["scopes"], first["facilities"], first["elsewhere"]) == (["results:read"], [HALL], False)
        rotated = await client.post(f"/v1/keys/{first['id']}/rotate", json={"overlap_hours": 1, "days": 60})
        assert (rotated.status_code, rotated.headers["cache-control"]) == (201, "no-store")
        second = rotated.json()
        assert (second["name"], second["scopes"]) == ("dock-3", ["results:read"])
        for key in (first, second):
            async with box.client(key["key"]) as other:
                assert (await other.get("/v1/images")).status_code == 200
        box.clock.advance(3601)
        async with box.client(first["key"]) as other:
            assert (await other.get("/v1/images")).status_code == 401
        assert slug_of(await client.post(f"/v1/keys/{first['id']}/rotate", json={})) == "key-ended"
        assert (await client.delete(f"/v1/keys/{second['id']}")).status_code == 204
        assert slug_of(await client.post(f"/v1/keys/{second['id']}/rotate", json={})) == "key-ended"
        listed = {one["id"]: one for one in (await client.get("/v1/keys")).json()["items"]}
        assert listed[second["id"]]["revoked_at"] is not None
        assert not any("key" in one for one in listed.values())
    assert first["key"] not in caplog.text
    actions = [entry.action for entry in box.store.state.audit if entry.actor.startswith("test (")]
    assert actions == ["key.added", "key.added", "key.replaced", "key.revoked"]


async def test_keys_of_others_are_not_there_and_shared_ones_cannot_be_changed(box: ApiBox) -> None:
    theirs, shared = id_of(box.add_key(OTHER_HALL)), id_of(box.add_key(HALL, OTHER_HALL))
    async with box.client() as client:
        listed = {one["id"]: one for one in (await client.get("/v1/keys")).json()["items"]}
        assert theirs not in listed
        assert (listed[shared]["facilities"], listed[shared]["elsewhere"]) == ([HALL], True)
        for key_id, slug in ((theirs, "not-found"), (shared, "belongs-elsewhere-too"), ("no key", "not-found")):
            assert slug_of(await client.post(f"/v1/keys/{key_id}/rotate", json={})) == slug
            assert slug_of(await client.delete(f"/v1/keys/{key_id}")) == slug
        made = await client.post("/v1/keys", json={"name": "x", "facilities": [HALL, OTHER_HALL]})
        assert slug_of(made) == "not-found"
        assert slug_of(await client.get(f"/v1/keys?facility={OTHER_HALL}")) == "not-found"
    assert all(key.revoked_at is None for key in box.store.keys.keys())  # noqa: SIM118 (a port, not a mapping)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "days": 0},
        {"name": "x", "days": 4000},
        {"name": "x", "facilities": ["a b"]},
    ],
)
async def test_bad_input_is_refused(box: ApiBox, body: dict[str, Any]) -> None:
    async with box.client() as client:
        assert slug_of(await client.post("/v1/keys", json=body)) == "invalid-parameter"
