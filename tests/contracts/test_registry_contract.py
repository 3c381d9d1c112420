"""Cameras, policies, models, workers and API keys."""

from datetime import UTC, datetime

import pytest

from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.states import CameraStatus, Stage
from framegate.ports.store import PolicyConflict

from .examples import FACILITY, OTHER_FACILITY, accept, api_key
from .harness import Harness, seconds

# --- cameras -------------------------------------------------------------------------------------------------------


def test_a_camera_can_be_added_before_its_first_image(harness: Harness) -> None:
    camera = harness.cameras.confirm_camera(FACILITY, CameraId("dock-1"), "lead")
    assert (camera.facility, camera.id, camera.status) == (FACILITY, "dock-1", CameraStatus.CONFIRMED)
    assert camera.last_image_at is None
    assert harness.cameras.cameras() == [camera]


def test_a_camera_that_registered_itself_can_be_confirmed(harness: Harness) -> None:
    accept(harness.intake, camera=CameraId("dock-1"))
    (before,) = harness.cameras.cameras()
    camera = harness.cameras.confirm_camera(FACILITY, CameraId("dock-1"), "lead")
    assert camera.status is CameraStatus.CONFIRMED
    assert (camera.created_at, camera.last_image_at) == (before.created_at, before.last_image_at)
    assert harness.cameras.cameras() == [camera]


def test_confirming_a_camera_is_audited(harness: Harness) -> None:
    before = len(harness.audit())
    harness.cameras.confirm_camera(FACILITY, CameraId("dock-1"), "lead")
    assert [(e.facility, e.actor) for e in harness.audit()[before:]] == [(FACILITY, "lead")]


def test_confirming_twice_keeps_one_camera(harness: Harness) -> None:
    first = harness.cameras.confirm_camera(FACILITY, CameraId("dock-1"), "lead")
    assert harness.cameras.confirm_camera(FACILITY, CameraId("dock-1"), "lead") == first
    assert len(harness.cameras.cameras()) == 1


def test_cameras_are_ordered_and_kept_apart_by_facility(harness: Harness) -> None:
    for facility, name in ((OTHER_FACILITY, "a"), (FACILITY, "b"), (FACILITY, "a")):
        harness.cameras.confirm_camera(facility, CameraId(name), "lead")
    places = [(c.facility, c.id) for c in harness.cameras.cameras()]
    assert places == [(FACILITY, "a"), (FACILITY, "b"), (OTHER_FACILITY, "a")]
    assert [c.id for c in harness.cameras.cameras(frozenset({FACILITY}))] == ["a", "b"]
    assert harness.cameras.cameras(frozenset()) == []


# --- policies ------------------------------------------------------------------------------------------------------


def test_a_facility_starts_without_a_policy(harness: Harness) -> None:
    assert harness.policies.current_policy(FACILITY) is None


def test_versions_count_up_and_the_newest_holds(harness: Harness) -> None:
    first = harness.policies.add_policy(FACILITY, {"rules": [{"class": "damage", "fail": 0.5}]}, "lead")
    second = harness.policies.add_policy(FACILITY, {"rules": []}, "admin")
    assert (first.version, second.version) == (1, 2)
    assert second.document == {"rules": []}
    assert second.created_by == "admin"
    assert harness.policies.current_policy(FACILITY) == second


def test_the_same_document_again_is_the_same_version(harness: Harness) -> None:
    first = harness.policies.add_policy(FACILITY, {"a": 1, "b": [1.5, None, "x"]}, "lead")
    audited = len(harness.audit())
    assert harness.policies.add_policy(FACILITY, {"b": [1.5, None, "x"], "a": 1}, "other") == first
    assert len(harness.audit()) == audited


def test_an_older_document_again_is_a_new_version(harness: Harness) -> None:
    for document in ({"a": 1}, {"a": 2}, {"a": 1}):
        newest = harness.policies.add_policy(FACILITY, document, "lead")
    assert newest.version == 3


def test_facilities_have_policies_of_their_own(harness: Harness) -> None:
    harness.policies.add_policy(FACILITY, {"a": 1}, "lead")
    assert harness.policies.current_policy(OTHER_FACILITY) is None
    assert harness.policies.add_policy(OTHER_FACILITY, {"a": 2}, "lead").version == 1


def test_the_policies_that_hold_are_the_newest_of_each_facility(harness: Harness) -> None:
    assert harness.policies.current_policies() == []
    harness.policies.add_policy(OTHER_FACILITY, {"a": 1}, "lead")
    harness.policies.add_policy(FACILITY, {"a": 2}, "lead")
    newest = harness.policies.add_policy(FACILITY, {"a": 3}, "lead")
    found = harness.policies.current_policies()
    assert [(policy.facility, policy.version, policy.document) for policy in found] == [
        (FACILITY, 2, {"a": 3}),
        (OTHER_FACILITY, 1, {"a": 1}),
    ]
    assert found[0] == newest


def test_a_new_policy_is_audited(harness: Harness) -> None:
    before = len(harness.audit())
    harness.policies.add_policy(FACILITY, {"a": 1}, "lead")
    assert [(e.facility, e.actor) for e in harness.audit()[before:]] == [(FACILITY, "lead")]


def test_a_policy_made_for_the_newest_version_becomes_the_next_one(harness: Harness) -> None:
    first = harness.policies.add_policy(FACILITY, {"a": 1}, "lead", expected=0)
    second = harness.policies.add_policy(FACILITY, {"a": 2}, "lead", expected=1)
    assert (first.version, second.version) == (1, 2)


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_policy_made_for_another_version_is_refused_and_says_who_came_first(harness: Harness, expected: int) -> None:
    harness.policies.add_policy(FACILITY, {"a": 1}, "lead")
    newest = harness.policies.add_policy(FACILITY, {"a": 2}, "night shift")
    audited = len(harness.audit())
    with pytest.raises(PolicyConflict, match="night shift applied version 2"):
        harness.policies.add_policy(FACILITY, {"a": 3}, "lead", expected=expected)
    assert harness.policies.current_policy(FACILITY) == newest
    assert len(harness.audit()) == audited


def test_what_somebody_else_applied_just_like_that_is_no_conflict(harness: Harness) -> None:
    harness.policies.add_policy(FACILITY, {"a": 1}, "lead")
    newest = harness.policies.add_policy(FACILITY, {"a": 2}, "night shift")
    assert harness.policies.add_policy(FACILITY, {"a": 2}, "lead", expected=1) == newest


def test_every_version_can_be_read_again(harness: Harness) -> None:
    added = [harness.policies.add_policy(FACILITY, {"a": n}, "lead") for n in range(4)]
    harness.policies.add_policy(OTHER_FACILITY, {"a": 9}, "lead")
    assert [harness.policies.policy(FACILITY, n) for n in (1, 4)] == [added[0], added[3]]
    assert [harness.policies.policy(FACILITY, n) for n in (0, 5, -1)] == [None] * 3
    assert harness.policies.policy_history(FACILITY, 10) == added[::-1]
    assert harness.policies.policy_history(FACILITY, 2, before=4) == [added[2], added[1]]
    assert harness.policies.policy_history(FacilityId("hall-9"), 10) == []


# --- workers -------------------------------------------------------------------------------------------------------


def test_a_worker_is_known_by_its_own_word(harness: Harness) -> None:
    harness.workers.report("w-1", [Stage.PREPROCESS, Stage.GATE], False, "starting", 9001)
    (status,) = harness.workers.statuses(seconds(30))
    assert (status.name, status.stages, status.ready, status.reason, status.metrics_port) == (
        "w-1",
        ("preprocess", "gate"),
        False,
        "starting",
        9001,
    )
    assert 0 <= status.seen_s_ago < 30


def test_a_later_word_replaces_the_earlier_one(harness: Harness) -> None:
    harness.workers.report("w-1", [Stage.GATE], False, "starting", 9001)
    harness.workers.report("w-1", [Stage.GATE], True, "", None)
    (status,) = harness.workers.statuses(seconds(30))
    assert (status.ready, status.reason, status.metrics_port) == (True, "", None)


def test_a_worker_that_fell_silent_is_not_listed(harness: Harness) -> None:
    harness.workers.report("silent", [Stage.GATE], True, "", None)
    harness.advance(31)
    harness.workers.report("alive", [Stage.GATE], True, "", None)
    assert [s.name for s in harness.workers.statuses(seconds(30))] == ["alive"]
    assert [s.name for s in harness.workers.statuses(seconds(3600))] == ["alive", "silent"]


def test_workers_are_forgotten_one_by_one_or_all_at_once(harness: Harness) -> None:
    for name in ("a", "b", "c"):
        harness.workers.report(name, [Stage.GATE], True, "", None)
    harness.workers.forget("b")
    harness.workers.forget("nobody")
    assert [s.name for s in harness.workers.statuses(seconds(30))] == ["a", "c"]
    harness.workers.forget()
    assert harness.workers.statuses(seconds(30)) == []


# --- API keys ------------------------------------------------------------------------------------------------------


def test_a_key_comes_back_as_it_was_stored(harness: Harness) -> None:
    key = api_key("k-1", FACILITY, OTHER_FACILITY, scopes=frozenset({"admin", "audit:read"}))
    harness.keys.add_key(key, "admin")
    assert harness.keys.find_key("k-1") == key


def test_a_key_may_name_facilities_that_do_not_exist_yet(harness: Harness) -> None:
    north = FacilityId("hall-north")
    harness.keys.add_key(api_key("k-1", north), "admin")
    image = accept(harness.intake, facility=north, key_id="k-1")
    assert harness.results.image(frozenset({north}), image.image_id) is not None


def test_an_unknown_key_is_none(harness: Harness) -> None:
    assert harness.keys.find_key("nobody") is None
    assert harness.keys.revoke_key("nobody", "admin") is False


def test_keys_are_listed_oldest_first(harness: Harness) -> None:
    for name, year in (("b", 2027), ("a", 2028), ("c", 2026)):
        harness.keys.add_key(api_key(name, created_at=datetime(year, 6, 1, tzinfo=UTC)), "admin")
    listed = harness.keys.keys()
    assert [stored.key_id for stored in listed if stored.key_id != "seed"] == ["c", "b", "a"]


def test_a_revoked_key_is_still_found_and_says_when(harness: Harness) -> None:
    harness.keys.add_key(api_key("k-1"), "admin")
    assert harness.keys.revoke_key("k-1", "admin") is True
    revoked = harness.keys.find_key("k-1")
    assert revoked is not None
    assert revoked.revoked_at is not None
    assert harness.keys.find_key("seed") is not None


def test_revoking_again_does_not_move_the_moment(harness: Harness) -> None:
    harness.keys.add_key(api_key("k-1"), "admin")
    harness.keys.revoke_key("k-1", "admin")
    first = harness.keys.find_key("k-1")
    harness.advance(100)
    assert harness.keys.revoke_key("k-1", "admin") is True
    assert harness.keys.find_key("k-1") == first


def test_an_expired_key_is_still_found(harness: Harness) -> None:
    past = api_key("k-1", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    harness.keys.add_key(past, "admin")
    assert harness.keys.find_key("k-1") == past


@pytest.mark.parametrize("action", ["add", "revoke"])
def test_what_is_done_to_keys_is_audited(harness: Harness, action: str) -> None:
    if action == "revoke":
        harness.keys.add_key(api_key("k-1"), "someone")
    before = len(harness.audit())
    if action == "add":
        harness.keys.add_key(api_key("k-1"), "admin")
    else:
        harness.keys.revoke_key("k-1", "admin")
    new = harness.audit()[before:]
    assert new
    assert {e.actor for e in new} == {"admin"}
