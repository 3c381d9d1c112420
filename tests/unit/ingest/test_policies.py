"""Policies are looked at, tried and applied over the API, each in its own facility."""

from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from framegate.gate.policy import Policy
from framegate.kernel.ids import CameraId
from tests.support.policies import DOCUMENT, Inspector
from tests.support.values import inspected
from tests.unit.ingest.fakes import HALL, NOW, OTHER_HALL, ApiBox, slug_of

pytestmark = pytest.mark.anyio
ADMIN = frozenset({"admin", "results:read"})
STRICTER = {**DOCUMENT, "classes": {**DOCUMENT["classes"], "hole": {"review": 0.1, "fail": 0.6}}}
NESTED: Any = reduce(lambda inner, _: [inner], range(500), 0)
YAML = "schema: 1\nclasses:\n  hole: {review: 0.9, fail: 0.6}\n"


@pytest.fixture
def box(tmp_path: Path) -> ApiBox:
    made = ApiBox(tmp_path)
    made.key = made.add_key(HALL, scopes=ADMIN)
    made.store.policies.add_policy(HALL, DOCUMENT, "framegate")
    return made


def looked_at(box: ApiBox, images: int) -> list[str]:
    """Decided images with a hole at 0.2: a pass by `DOCUMENT`, a review by `STRICTER`; newest first."""
    box.store.cameras.confirm_camera(HALL, CameraId("dock-7"), "lead")
    inspector, policy = Inspector(box.store.intake, box.store.progress), Policy.parse(1, DOCUMENT)
    ids: list[str] = []
    for n in range(images):
        box.clock.advance(1)
        image = inspector.inspect(policy, inspected(hole=0.2), now_s=NOW.timestamp() + n + 1, facility=HALL)
        ids.insert(0, str(image.image_id))
    return ids


async def test_what_holds_is_shown_as_a_document_and_as_text_that_can_be_sent_again(box: ApiBox) -> None:
    async with box.client() as client:
        held = (await client.get("/v1/policy")).json()
        assert (held["facility"], held["version"], held["document"]) == (HALL, 1, DOCUMENT)
        checked = (await client.post("/v1/policy/check", json={"yaml": held["yaml"]})).json()
        assert (checked["valid"], checked["base"], checked["faults"], checked["changes"]) == (True, 1, [], [])


async def test_what_is_wrong_is_named_by_its_entry_and_in_text_by_its_line(box: ApiBox) -> None:
    async with box.client() as client:
        checked = (await client.post("/v1/policy/check", json={"yaml": YAML})).json()
        assert not checked["valid"]
        (fault, *_) = [one for one in checked["faults"] if one["path"] == "classes.hole"]
        assert (fault["line"], fault["column"]) == (3, 9)
        assert "must not be above" in fault["detail"]
        document = {**DOCUMENT, "require": "carton"}
        checked = (await client.post("/v1/policy/check", json={"document": document})).json()
        assert [(one["path"], one["line"]) for one in checked["faults"]] == [("require", None)]
        unknown = {**DOCUMENT, "cameras": {"dock-99": {"require": []}}}
        checked = (await client.post("/v1/policy/check", json={"document": unknown})).json()
        assert [one["path"] for one in checked["faults"]] == ["cameras.dock-99"]
        assert [one["entry"] for one in checked["changes"]] == ["cameras"]
    assert len(box.store.policies.policy_history(HALL, 10)) == 1


async def test_a_policy_is_applied_once_and_whoever_comes_second_is_told(box: ApiBox) -> None:
    async with box.client() as client:
        applied = await client.put("/v1/policy", json={"document": STRICTER, "expected": 1})
        assert (applied.status_code, applied.json()["version"]) == (200, 2)
        assert applied.json()["created_by"].startswith("test (")
        other = {**DOCUMENT, "require": []}
        late = await client.put("/v1/policy", json={"document": other, "expected": 1})
        assert (late.status_code, slug_of(late)) == (409, "policy-conflict")
        again = await client.put("/v1/policy", json={"document": STRICTER, "expected": 1})
        assert again.json()["version"] == 2
        history = (await client.get("/v1/policy/history")).json()["items"]
        assert [(one["version"], len(one["changes"])) for one in history] == [(2, 1), (1, 0)]
        assert history[0]["changes"] == [{"entry": "classes.hole.review", "before": "0.3", "after": "0.1"}]
        assert (await client.get("/v1/policy/history?limit=1&before=2")).json()["items"][0]["version"] == 1
        assert (await client.get("/v1/policy/1")).json()["document"] == DOCUMENT
        for version in ("3", "0", "-1", "x", "9" * 40):
            assert slug_of(await client.get(f"/v1/policy/{version}")) == "not-found", version
    told = [(entry.action, entry.actor.partition(" (")[0]) for entry in box.store.state.audit]
    assert [one for one in told if one[0].startswith("policy")] == [
        ("policy.added", who) for who in ("framegate", "test")
    ]


async def test_what_cannot_be_applied_is_refused_with_its_faults_and_what_is_for_people_only_by_force(
    box: ApiBox,
) -> None:
    nothing_passes = {**DOCUMENT, "require": ["carton"], "require_confidence": 1}
    async with box.client() as client:
        refused = await client.put("/v1/policy", json={"yaml": YAML, "expected": 1})
        assert (refused.status_code, slug_of(refused)) == (422, "policy-refused")
        assert "classes.hole" in [one["name"] for one in refused.json()["errors"]]
        said = {"document": nothing_passes, "expected": 1}
        refused = await client.put("/v1/policy", json=said)
        assert (refused.status_code, slug_of(refused)) == (409, "policy-for-people-only")
        assert (await client.put("/v1/policy", json={**said, "force": True})).json()["version"] == 2


async def test_stored_images_are_decided_again_and_nothing_is_changed(box: ApiBox) -> None:
    ids = looked_at(box, 60)
    async with box.client() as client:
        tried = (await client.post("/v1/policy/simulate", json={"document": STRICTER, "since": "1h"})).json()
        assert (tried["images"], tried["decided"], tried["would_be"]) == (60, {"pass": 60}, {"review": 60})
        assert tried["flips"] == [{"was": "pass", "would_be": "review", "images": 60}]
        assert [one["image"] for one in tried["changed"]] == ids[:50]
        assert not tried["cut"]
        some = (await client.post("/v1/policy/simulate", json={"document": STRICTER, "limit": 10})).json()
        assert (some["images"], some["cut"]) == (10, True)
        refused = await client.post("/v1/policy/simulate", json={"yaml": YAML})
        assert slug_of(refused) == "policy-refused"
    assert len(box.store.policies.policy_history(HALL, 10)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"document": DOCUMENT, "yaml": "schema: 1"},
        {"document": DOCUMENT, "since": "soon"},
        {"document": DOCUMENT, "since": "366d"},
        {"document": DOCUMENT, "limit": 0},
        {"document": []},
    ],
)
async def test_a_request_that_says_too_little_or_too_much_is_refused(box: ApiBox, body: dict[str, Any]) -> None:
    async with box.client() as client:
        assert slug_of(await client.post("/v1/policy/simulate", json=body)) == "invalid-parameter"


@pytest.mark.parametrize(
    "notes", [{"yaml": 'schema: 1\ncalibration: {note: "\\0"}\n'}, {"yaml": 'schema: 1\ncalibration: {n: "\\uD800"}\n'},
              {"yaml": "schema: 1\ncalibration: {n: .inf}\n"}, {"document": {"schema": 1, "calibration": {"n": "\0"}}},
              {"document": {"schema": 1, "calibration": NESTED}},
              {"yaml": "&a [*a]"}, {"yaml": "[" * 1000}, {"yaml": "!!python/object:os.system {}"}, {"yaml": "\tx: 1"}],
)  # fmt: skip
async def test_what_cannot_be_read_or_stored_is_a_fault_of_the_policy(box: ApiBox, notes: dict[str, Any]) -> None:
    async with box.client() as client:
        checked = await client.post("/v1/policy/check", json=notes)
        assert (checked.status_code, checked.json()["valid"]) == (200, False), checked.text


async def test_only_the_first_faults_are_told(box: ApiBox) -> None:
    text = "schema: 1\nclasses:\n" + "".join(f"  c{n}: {{review: 0.9, fail: 0.1}}\n" for n in range(120))
    async with box.client() as client:
        assert len((await client.post("/v1/policy/check", json={"yaml": text})).json()["faults"]) == 100
        refused = await client.put("/v1/policy", json={"yaml": text, "expected": 1})
        assert len(refused.json()["errors"]) == 100


async def test_another_facilitys_policy_is_not_there(box: ApiBox) -> None:
    box.store.policies.add_policy(OTHER_HALL, DOCUMENT, "framegate")
    async with box.client() as client:
        assert slug_of(await client.get(f"/v1/policy?facility={OTHER_HALL}")) == "not-found"
        body = {"document": STRICTER, "expected": 1, "facility": OTHER_HALL}
        assert slug_of(await client.put("/v1/policy", json=body)) == "not-found"
    assert len(box.store.policies.policy_history(OTHER_HALL, 10)) == 1


async def test_a_facility_without_a_policy_gets_its_first_one(box: ApiBox) -> None:
    async with box.client(box.add_key(OTHER_HALL, scopes=ADMIN)) as client:
        assert slug_of(await client.get("/v1/policy")) == "not-found"
        assert (await client.post("/v1/policy/check", json={"document": DOCUMENT})).json()["base"] is None
        applied = await client.put("/v1/policy", json={"document": DOCUMENT, "expected": 0})
        assert (applied.status_code, applied.json()["version"]) == (200, 1)
