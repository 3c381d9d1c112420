"""`framegate people` and `framegate keys rotate`, as an operator types them, on a real database."""

import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from framegate.adapters.passwords import Argon2Passwords
from framegate.bootstrap import Stores, open_stores
from framegate.box.people import first_login
from framegate.cli import app
from framegate.cli.common import out
from framegate.kernel.apikey import parse_key
from framegate.kernel.people import hash_token
from framegate.settings import Settings

PASSWORD = "seven quiet forklifts"
BASE = "https://inspect.example"


class Desk:
    """The commands, and the database behind them."""

    def __init__(self, url: str, data: Path) -> None:
        self.settings = Settings.read(data=data)
        self.stores: Stores = open_stores(self.settings, url)
        self.environment = {
            "DATABASE_URL": url, "FRAMEGATE_DATA": str(data), "FRAMEGATE_PEPPER": "pepper", "COLUMNS": "200",
            "FRAMEGATE_API__PUBLIC_URL": BASE,
        }  # fmt: skip

    def run(self, *arguments: str, code: int = 0, stdin: str | None = None) -> str:
        done = CliRunner().invoke(app, list(arguments), env=self.environment, input=stdin)
        said = done.output + (str(done.exception) if done.exception else "")
        assert done.exit_code == code, said
        return said

    def result(self, *arguments: str) -> str:
        """What stands alone on standard output."""
        done = CliRunner().invoke(app, list(arguments), env=self.environment)
        assert done.exit_code == 0, done.output
        return done.stdout.removesuffix("\n")

    def people(self) -> Any:
        return json.loads(self.run("people", "list", "--json"))

    def password_is(self, name: str, password: str) -> bool:
        person = self.stores.people.find_person(name)
        assert person is not None
        return Argon2Passwords().verify(password, person.password_hash or "$")[0]


@pytest.fixture
def desk(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(out, "_file", None)  # whatever standard output is by then
    made = Desk(database_url, tmp_path)
    yield made
    made.stores.close()
    structlog.reset_defaults()  # the command set up the logs of this process


def test_a_person_is_added_with_a_password_from_a_pipe_which_is_hashed_with_argon2id(desk: Desk) -> None:
    said = desk.run("people", "add", "anna", "--role", "viewer", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert PASSWORD not in said
    assert desk.people() == [{"name": "anna", "roles": {"main": "viewer"}, "state": "enabled"}]
    assert desk.password_is("anna", PASSWORD)
    person = desk.stores.people.find_person("anna")
    assert person is not None
    assert (person.password_hash or "").startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert "anna" in desk.run("people", "list")


def test_an_invited_person_chooses_the_password_by_a_link_that_is_only_hashed_here(desk: Desk) -> None:
    arguments = ["--role", "admin", "--facility", "north", "--facility", "south", "--invite"]
    link = desk.result("people", "add", "anna", *arguments)
    assert link.startswith(f"{BASE}/invite/")
    hashed = hash_token(b"pepper", link.rpartition("/")[2])
    assert hashed is not None
    invited = desk.stores.people.invited(hashed, datetime.now(UTC))
    assert invited is not None
    assert (invited.name, set(invited.roles)) == ("anna", {"north", "south"})
    assert desk.stores.people.invited(hashed, datetime.now(UTC) + timedelta(hours=24)) is None
    assert desk.people()[0]["state"] == "no password yet"
    # Another invitation takes the place of the first.
    desk.run("people", "invite", "anna")
    assert desk.stores.people.invited(hashed, datetime.now(UTC)) is None


def test_roles_change_and_people_are_disabled(desk: Desk) -> None:
    desk.run("people", "add", "anna", "--role", "viewer", "--invite")
    desk.run("people", "role", "anna", "reviewer", "--facility", "north")
    assert desk.people()[0]["roles"] == {"main": "viewer", "north": "reviewer"}
    desk.run("people", "role", "anna", "none")
    assert desk.people()[0]["roles"] == {"north": "reviewer"}
    desk.run("people", "disable", "anna")
    assert desk.people()[0]["state"] == "disabled"
    assert "nobody anna who may log in" in desk.run("people", "invite", "anna", code=1)
    desk.run("people", "enable", "anna")
    assert desk.people()[0]["state"] == "no password yet"


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["add", "Anna", "--role", "viewer", "--invite"], None, "small letters"),
        (["add", "anna", "--role", "king", "--invite"], None, "viewer, reviewer, operator, admin"),
        (["add", "anna", "--role", "viewer", "--facility", "a b", "--invite"], None, "cannot name a facility"),
        (["add", "anna", "--role", "viewer", "--password-stdin"], "short\n", "at least 15"),
        (["add", "anna", "--role", "viewer", "--password-stdin"], "", "at least 15"),
        (["add", "anna", "--role", "viewer", "--password-stdin", "--invite"], None, "exclude each other"),
        (["add", "anna", "--role", "viewer"], None, "--password-stdin or --invite"),
        (["invite", "anna"], None, "people list"),
        (["role", "anna", "admin"], None, "people list"),
        (["disable", "anna"], None, "people list"),
        (["enable", "anna"], None, "people list"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(
    desk: Desk, arguments: list[str], stdin: str | None, said: str
) -> None:
    assert said in desk.run("people", *arguments, code=1, stdin=stdin)
    assert desk.people() == []


def test_a_name_that_is_taken_is_refused_and_nothing_changes(desk: Desk) -> None:
    desk.run("people", "add", "anna", "--role", "viewer", "--invite")
    assert "people role" in desk.run("people", "add", "anna", "--role", "admin", "--invite", code=1)
    assert desk.people()[0]["roles"] == {"main": "viewer"}


# --- the first of them -----------------------------------------------------------------------------------------------


def test_where_nobody_is_a_link_is_written_that_only_the_owner_can_read(desk: Desk) -> None:
    first = first_login(desk.stores, desk.settings, BASE)
    assert first is not None
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    before = first.read_text("ascii")
    assert desk.people() == [{"name": "admin", "roles": {"main": "admin"}, "state": "no password yet"}]
    # Nobody opened it in time: the next start writes another one.
    again = first_login(desk.stores, desk.settings, BASE)
    assert again == first
    assert first.read_text("ascii") != before
    assert stat.S_IMODE(first.stat().st_mode) == 0o600


def test_where_somebody_is_no_link_is_written_and_an_old_one_is_removed(desk: Desk) -> None:
    first = first_login(desk.stores, desk.settings, BASE)
    assert first is not None
    desk.stores.people.set_password("admin", "hash", "admin")
    assert first_login(desk.stores, desk.settings, BASE) is None
    assert not first.exists()
    desk.stores.people.disable("admin", datetime.now(UTC), "lead")
    assert first_login(desk.stores, desk.settings, BASE) is None
    assert len(desk.people()) == 1


def test_where_an_operator_added_somebody_first_there_is_no_administrator_by_default(desk: Desk) -> None:
    desk.run("people", "add", "anna", "--role", "admin", "--invite")
    assert first_login(desk.stores, desk.settings, BASE) is None
    assert [person["name"] for person in desk.people()] == ["anna"]


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_rotated_key_may_do_the_same_and_the_old_one_holds_for_the_overlap(desk: Desk) -> None:
    made = parse_key(desk.result("keys", "create", "--name", "dock-3", "--scopes", "results:read"))
    assert made is not None
    rotated = parse_key(desk.result("keys", "rotate", made[0], "--overlap", "2"))
    assert rotated is not None
    old, new = (desk.stores.keys.find_key(key_id) for key_id, _ in (made, rotated))
    assert old is not None
    assert new is not None
    assert (new.name, new.scopes, new.facilities) == (old.name, old.scopes, old.facilities)
    assert new.secret_hash != old.secret_hash
    left = old.expires_at - datetime.now(UTC)
    assert timedelta(hours=1, minutes=55) < left <= timedelta(hours=2)
    assert new.expires_at - datetime.now(UTC) > timedelta(days=364)


@pytest.mark.parametrize("state", ["unknown", "revoked", "expired"])
def test_only_a_valid_key_is_rotated(desk: Desk, state: str) -> None:
    made = parse_key(desk.result("keys", "create", "--name", "dock-3"))
    assert made is not None
    key_id = made[0]
    if state == "revoked":
        desk.run("keys", "revoke", key_id)
    elif state == "expired":
        desk.run("keys", "rotate", key_id, "--overlap", "0")
    before = len(desk.stores.keys.keys())
    wanted = "nonsense" if state == "unknown" else key_id
    assert "framegate keys list" in desk.run("keys", "rotate", wanted, code=1)
    assert len(desk.stores.keys.keys()) == before
