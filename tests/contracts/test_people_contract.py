"""People, their roles, invitations and logins."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from framegate.kernel.ids import DEFAULT_FACILITY, FacilityId
from framegate.kernel.people import Role
from framegate.ports.audit import AuditFilter
from framegate.ports.people import Login, Person

from .examples import FACILITY, OTHER_FACILITY, api_key
from .harness import Audited, Harness

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ANNA = Person("anna", {FACILITY: Role.REVIEWER, OTHER_FACILITY: Role.VIEWER}, NOW)
TOKEN, OTHER_TOKEN = b"t" * 32, b"u" * 32


def login(number: int = 1, name: str = "anna", opened_at: datetime = NOW) -> Login:
    return Login(
        UUID(int=number), name, opened_at, opened_at, opened_at + timedelta(hours=12), "192.0.2.1", "Browser/1"
    )


def audited(harness: Harness, name: str = "anna") -> list[Audited]:
    return [entry for entry in harness.audit() if entry.object == name]


def test_a_person_comes_back_as_it_was_stored_and_is_audited_where_it_has_roles(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    assert harness.people.find_person("anna") == ANNA
    assert audited(harness) == [
        Audited(facility, "lead", "person.added", "anna") for facility in sorted([FACILITY, OTHER_FACILITY])
    ]


def test_a_person_may_have_a_role_in_a_facility_that_does_not_exist_yet_and_none_at_all(harness: Harness) -> None:
    north, nobody = Person("ben", {FacilityId("north"): Role.ADMIN}, NOW, "hash"), Person("cleo", {}, NOW)
    for person in (nobody, north):
        harness.people.add_person(person, "lead")
    assert harness.people.people() == [north, nobody]


def test_a_name_is_given_once(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    with pytest.raises(ValueError, match="anna"):
        harness.people.add_person(replace(ANNA, roles={}), "lead")
    assert harness.people.people() == [ANNA]


def test_nobody_is_found_by_a_name_that_was_not_given(harness: Harness) -> None:
    assert harness.people.find_person("anna") is None
    assert harness.people.people() == []


def test_a_new_password_ends_all_logins_and_the_invitation(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    assert harness.people.invite("anna", TOKEN, LATER, "lead")
    assert harness.people.open_login(login(), TOKEN)
    assert harness.people.set_password("anna", "hash", "lead")
    assert harness.people.find_person("anna") == replace(ANNA, password_hash="hash")
    assert harness.people.find_login(TOKEN) is None
    assert harness.people.invited(TOKEN, NOW) is None
    assert audited(harness)[-1].action == "person.password-set"


def test_a_password_is_hashed_anew_only_while_it_is_the_same(harness: Harness) -> None:
    harness.people.add_person(replace(ANNA, password_hash="old"), "lead")
    before = audited(harness)
    harness.people.rehash("anna", "other", "new")
    assert harness.people.find_person("anna") == replace(ANNA, password_hash="old")
    harness.people.rehash("anna", "old", "new")
    assert harness.people.find_person("anna") == replace(ANNA, password_hash="new")
    assert audited(harness) == before


def test_a_role_is_given_changed_and_taken_away_and_ends_the_logins(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    for number, role in enumerate([Role.ADMIN, Role.VIEWER, None], 1):
        assert harness.people.open_login(login(number), TOKEN)
        assert harness.people.set_role("anna", FACILITY, role, "lead")
        found = harness.people.find_person("anna")
        assert found is not None
        assert found.roles.get(FACILITY) == role
        assert found.roles[OTHER_FACILITY] == Role.VIEWER
        assert harness.people.find_login(TOKEN) is None
        assert audited(harness)[-1] == Audited(FACILITY, "lead", "person.role-set", "anna")


def test_a_role_that_is_there_already_changes_nothing(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    harness.people.open_login(login(), TOKEN)
    before = harness.audit()
    assert harness.people.set_role("anna", FACILITY, Role.REVIEWER, "lead")
    assert harness.audit() == before
    assert harness.people.find_login(TOKEN) == (login(), ANNA)


def test_a_disabled_person_has_no_login_no_invitation_and_gets_none(harness: Harness) -> None:
    harness.people.add_person(replace(ANNA, password_hash="hash"), "lead")
    harness.people.open_login(login(), TOKEN)
    harness.people.invite("anna", OTHER_TOKEN, LATER, "lead")
    assert harness.people.disable("anna", NOW, "lead")
    assert harness.people.disable("anna", LATER, "lead")
    found = harness.people.find_person("anna")
    assert found is not None
    assert found.disabled_at == NOW
    assert harness.people.find_login(TOKEN) is None
    assert harness.people.accept(OTHER_TOKEN, "new", NOW) is None
    assert not harness.people.open_login(login(2), TOKEN)
    assert not harness.people.invite("anna", TOKEN, LATER, "lead")
    assert not harness.people.set_password("anna", "new", "lead")
    assert [entry.action for entry in audited(harness)].count("person.disabled") == 2  # once in each facility


def test_who_is_enabled_again_logs_in_with_the_password_of_before_and_anew(harness: Harness) -> None:
    person = replace(ANNA, password_hash="hash")
    harness.people.add_person(person, "lead")
    assert harness.people.enable("anna", "lead")
    assert [entry.action for entry in audited(harness)].count("person.enabled") == 0
    harness.people.open_login(login(), TOKEN)
    assert harness.people.disable("anna", NOW, "lead")
    assert harness.people.enable("anna", "lead")
    assert harness.people.find_person("anna") == person
    assert harness.people.find_login(TOKEN) is None
    assert harness.people.open_login(login(2), OTHER_TOKEN)
    # In each facility of hers.
    assert [entry.action for entry in audited(harness)].count("person.enabled") == len(person.roles)


def test_nothing_is_done_to_somebody_who_is_not_there(harness: Harness) -> None:
    before = harness.audit()
    assert not harness.people.set_password("anna", "hash", "lead")
    assert not harness.people.set_role("anna", FACILITY, Role.ADMIN, "lead")
    assert not harness.people.disable("anna", NOW, "lead")
    assert not harness.people.enable("anna", "lead")
    assert not harness.people.invite("anna", TOKEN, LATER, "lead")
    assert not harness.people.open_login(login(), TOKEN)
    assert harness.audit() == before


def test_an_invitation_sets_the_password_once_and_ends_all_logins(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    harness.people.open_login(login(), OTHER_TOKEN)
    harness.people.invite("anna", TOKEN, LATER, "lead")
    assert harness.people.invited(TOKEN, NOW) == ANNA
    assert harness.people.accept(TOKEN, "first", NOW) == "anna"
    assert harness.people.accept(TOKEN, "second", NOW) is None
    assert harness.people.find_person("anna") == replace(ANNA, password_hash="first")
    assert harness.people.find_login(OTHER_TOKEN) is None
    assert audited(harness)[-1].actor == "anna"


def test_an_invitation_expires(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    harness.people.invite("anna", TOKEN, LATER, "lead")
    assert harness.people.invited(TOKEN, LATER) is None
    assert harness.people.accept(TOKEN, "hash", LATER) is None


def test_a_second_invitation_takes_the_place_of_the_first(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    harness.people.invite("anna", TOKEN, LATER, "lead")
    harness.people.invite("anna", OTHER_TOKEN, LATER, "lead")
    assert harness.people.invited(TOKEN, NOW) is None
    assert harness.people.invited(OTHER_TOKEN, NOW) == ANNA


def test_of_two_who_accept_at_once_one_does(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    harness.people.invite("anna", TOKEN, LATER, "lead")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda text: harness.people.accept(TOKEN, text, NOW), ["a", "b", "c", "d"]))
    assert sorted(done, key=str) == [None, None, None, "anna"]


def test_a_login_is_found_by_its_token_with_the_person_as_it_is_now(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    harness.people.open_login(login(), TOKEN)
    assert harness.people.find_login(TOKEN) == (login(), ANNA)
    assert harness.people.find_login(OTHER_TOKEN) is None


def test_a_login_that_was_used_says_when(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    harness.people.open_login(login(), TOKEN)
    harness.people.touch(login().login_id, LATER)
    harness.people.touch(UUID(int=99), LATER)
    assert harness.people.find_login(TOKEN) == (replace(login(), seen_at=LATER), ANNA)


def test_logins_are_listed_newest_first_and_ended_by_their_person_only(harness: Harness) -> None:
    for name in ("anna", "ben"):
        harness.people.add_person(replace(ANNA, name=name), "lead")
    old, new, bens = login(1), login(2, opened_at=LATER), login(3, "ben")
    for number, one in enumerate([old, new, bens]):
        harness.people.open_login(one, bytes([number]) * 32)
    assert harness.people.logins("anna") == [new, old]
    assert not harness.people.end_login("anna", bens.login_id)
    assert harness.people.end_login("anna", old.login_id)
    assert not harness.people.end_login("anna", old.login_id)
    assert harness.people.logins("anna") == [new]
    assert harness.people.logins("ben") == [bens]


def test_all_logins_of_a_person_end_except_one(harness: Harness) -> None:
    for name in ("anna", "ben"):
        harness.people.add_person(replace(ANNA, name=name), "lead")
    for number, name in enumerate(["anna", "anna", "anna", "ben"], 1):
        harness.people.open_login(login(number, name), bytes([number]) * 32)
    assert harness.people.end_logins("anna", UUID(int=2)) == 2
    assert harness.people.logins("anna") == [login(2)]
    assert harness.people.end_logins("anna") == 1
    assert harness.people.logins("ben") == [login(4, "ben")]


def test_logins_whose_time_is_over_are_forgotten(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    long_open, unused, alive = (
        login(1, opened_at=NOW),
        login(2, opened_at=NOW + timedelta(hours=2)),
        login(3, opened_at=NOW),
    )
    for number, one in enumerate([long_open, unused, replace(alive, opened_at=NOW + timedelta(hours=3))]):
        harness.people.open_login(one, bytes([number]) * 32)
    now = NOW + timedelta(hours=4)
    harness.people.touch(long_open.login_id, now)
    harness.people.touch(alive.login_id, now)
    assert harness.people.forget(NOW, now - timedelta(hours=1)) == 2
    assert [one.login_id for one in harness.people.logins("anna")] == [alive.login_id]


def test_logins_and_their_ends_are_audited_where_the_person_has_roles_without_the_address(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    before = len(harness.audit())
    harness.people.open_login(login(1), TOKEN)
    harness.people.open_login(login(2), OTHER_TOKEN)
    harness.people.end_login("anna", UUID(int=1))
    harness.people.end_login("anna", UUID(int=1))
    harness.people.end_logins("anna")
    told = [(e.facility, e.actor, e.action) for e in harness.audit()[before:]]
    each = ["login.opened", "login.opened", "login.ended", "login.ended"]
    assert told == [(facility, "anna", action) for action in each for facility in (FACILITY, OTHER_FACILITY)]
    bodies = [e.body for e in harness.audit_log.entries(AuditFilter(object="anna", actor="anna"), 100)]
    assert bodies[0] == {"login": str(UUID(int=1))}
    assert "192.0.2.1" not in str(bodies)


def test_failures_are_audited_once_an_hour_and_names_that_nobody_has_are_not_told(harness: Harness) -> None:
    harness.people.add_person(ANNA, "lead")
    before = len(harness.audit())
    for name in ("anna", "anna", "my secret password", "another", "anna"):
        harness.people.note_failure(name)
    assert [(e.facility, e.actor, e.action, e.object) for e in harness.audit()[before:]] == [
        (FACILITY, "framegate", "login.failed", "anna"),
        (OTHER_FACILITY, "framegate", "login.failed", "anna"),
        (DEFAULT_FACILITY, "framegate", "login.failed", "-"),
    ]


# --- keys ----------------------------------------------------------------------------------------------------------


def test_a_replaced_key_holds_for_the_overlap_beside_the_new_one(harness: Harness) -> None:
    old = api_key("k-1", expires_at=NOW + timedelta(days=365))
    new = replace(old, key_id="k-2", created_at=NOW, secret_hash=b"n" * 32)
    harness.keys.add_key(old, "lead")
    assert harness.keys.replace_key("k-1", new, LATER, "lead")
    assert harness.keys.find_key("k-1") == replace(old, expires_at=LATER)
    assert harness.keys.find_key("k-2") == new
    assert [(e.action, e.object) for e in harness.audit()][-2:] == [("key.added", "k-2"), ("key.replaced", "k-1")]


def test_a_replaced_key_holds_no_longer_than_it_would_have(harness: Harness) -> None:
    old = api_key("k-1", expires_at=NOW)
    harness.keys.add_key(old, "lead")
    assert harness.keys.replace_key("k-1", replace(old, key_id="k-2"), LATER, "lead")
    assert harness.keys.find_key("k-1") == old


def test_an_unknown_or_revoked_key_is_not_replaced(harness: Harness) -> None:
    old = api_key("k-1")
    harness.keys.add_key(old, "lead")
    harness.keys.revoke_key("k-1", "lead")
    for key_id in ("k-1", "k-9"):
        assert not harness.keys.replace_key(key_id, replace(old, key_id="k-2"), LATER, "lead")
    assert harness.keys.find_key("k-2") is None


def test_a_role_given_elsewhere_ends_an_invitation_that_somebody_else_may_know(harness: Harness) -> None:
    harness.people.add_person(replace(ANNA, roles={FACILITY: Role.VIEWER}), "lead")
    assert harness.people.invite("anna", TOKEN, LATER, "lead")
    assert harness.people.set_role("anna", OTHER_FACILITY, Role.ADMIN, "other-lead")
    assert harness.people.invited(TOKEN, NOW) is None


def test_the_audit_of_a_facility_does_not_say_what_somebody_may_in_another(harness: Harness) -> None:
    harness.people.add_person(replace(ANNA, roles={FACILITY: Role.VIEWER, OTHER_FACILITY: Role.ADMIN}), "lead")
    entries = harness.audit_log.entries(AuditFilter(frozenset({FACILITY}), object="anna"), 10)
    assert [dict(entry.body) for entry in entries] == [{"role": "viewer"}]
