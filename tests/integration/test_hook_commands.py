"""`framegate hooks` and `framegate incidents`, as an operator types them, on a real database."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from framegate.adapters.memory import MemoryHook
from framegate.adapters.postgres import Database, PostgresDeliveries, PostgresIncidents
from framegate.cli import app, hooks
from framegate.cli.common import out
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.inspection import Alert
from framegate.ports.deliveries import DeliveryState, Settlement
from framegate.ports.hooks import HookKind
from framegate.ports.notices import Announcer
from tests.contracts.harness import seconds
from tests.contracts.hooks import REFUSED

ANNOUNCE = Announcer("https://inspect.example", b"pepper")
SLACK = "https://hooks.slack.com/services/T000/B000/verysecret"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:alerts"


@dataclass
class Desk:
    """The commands, and the database behind them."""

    environment: dict[str, str]
    incidents: PostgresIncidents
    deliveries: PostgresDeliveries

    def run(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, list(arguments), env=self.environment | {"COLUMNS": "200"})
        said = done.output + (str(done.exception) if done.exception else "")
        assert done.exit_code == code, said
        return said

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def add(self, url: str, *more: str) -> dict[str, Any]:
        self.run("hooks", "add", "--url", url, "--by", "lead", *more)
        found: dict[str, Any] = self.json("hooks", "list")[-1]
        return found

    def wrong(self, subject: str = "pallet/7") -> str:
        """An incident's id."""
        alert = Alert("damage", "critical", subject, "dock-1 saw a torn carton")
        self.incidents.raise_alert(DEFAULT_FACILITY, alert)
        self.incidents.group(100, ANNOUNCE)
        identifier: str = self.json("incidents", "list")[0]["id"]
        return identifier

    def give_up(self) -> int:
        claimed = self.deliveries.claim("test", seconds(60), 100, {}, 100)
        for delivery in claimed:
            self.deliveries.settle(delivery, REFUSED, Settlement(DeliveryState.DEAD, reason="10 attempts failed"))
        return len(claimed)


@pytest.fixture
def desk(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(out, "_file", None)  # whatever standard output is by then
    monkeypatch.setattr(out, "_width", 200)
    database = Database(database_url)
    environment = {
        "DATABASE_URL": database_url,
        "FRAMEGATE_PEPPER": "pepper",
        "FRAMEGATE_DATA": str(tmp_path),
        "FRAMEGATE_HOOKS__ALLOW": "http://127.0.0.1:9",
    }
    yield Desk(environment, PostgresIncidents(database), PostgresDeliveries(database))
    database.close()
    structlog.reset_defaults()  # the commands set up the logs of this process


RECEIVER = "http://127.0.0.1:9/in"


def test_the_secret_stands_alone_on_standard_output_and_is_never_shown_again(desk: Desk) -> None:
    done = CliRunner().invoke(app, ["hooks", "add", "--url", RECEIVER], env=desk.environment)
    assert done.exit_code == 0, done.output
    secret = done.stdout.strip()
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert secret not in desk.run("hooks", "list") + json.dumps(desk.json("hooks", "list"))


def test_the_kind_follows_from_the_url_and_only_webhooks_have_a_secret(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real ones would look the name up.
    monkeypatch.setattr(hooks, "open_hooks", lambda _: dict.fromkeys(HookKind, MemoryHook()))
    assert desk.add(SLACK)["kind"] == "slack"
    assert desk.add(TOPIC)["kind"] == "sns"
    listed = desk.run("hooks", "list")
    assert "verysecret" not in listed + json.dumps(desk.json("hooks", "list"))
    assert "https://hooks.slack.com/..." in listed
    assert "no secret" in desk.run("hooks", "rotate", desk.json("hooks", "list")[0]["endpoint_id"], code=1)


def test_what_a_receiver_hears_of_is_narrowed(desk: Desk) -> None:
    added = desk.add(RECEIVER, "--change", "incident.opened", "--change", "incident.resolved", "--only-critical")
    assert (added["changes"], added["min_severity"]) == (["incident.opened", "incident.resolved"], "critical")
    assert "incident.opened, incident.resolved (critical)" in desk.run("hooks", "list")
    assert "there is no change 'incident.closed'" in desk.run(
        "hooks", "add", "--url", RECEIVER, "--change", "incident.closed", code=1
    )


@pytest.mark.parametrize(
    "arguments", [("test",), ("rotate",), ("enable",), ("remove",), ("log",), ("replay", "--hook")]
)
def test_an_unknown_receiver_is_named_with_the_way_to_find_it(desk: Desk, arguments: tuple[str, ...]) -> None:
    assert "there is no receiver nobody: 'framegate hooks list' shows them" in desk.run(
        "hooks", *arguments, "nobody", code=1
    )


def test_a_receiver_is_found_by_the_end_of_its_id_unless_two_end_alike(desk: Desk) -> None:
    one = desk.add(RECEIVER)["endpoint_id"]
    assert "connect" in desk.run("hooks", "test", one[-6:], code=1)
    endings = {desk.add(RECEIVER)["endpoint_id"][-1] for _ in range(16)} | {one[-1]}
    common = next(end for end in endings if sum(h["endpoint_id"].endswith(end) for h in desk.json("hooks", "list")) > 1)
    assert "receivers' ids end with" in desk.run("hooks", "remove", common, code=1)


def test_what_was_given_up_is_listed_and_sent_again_on_request(desk: Desk) -> None:
    hook = desk.add(RECEIVER)["endpoint_id"]
    assert "No message was given up." in desk.run("hooks", "dead")
    desk.wrong("pallet/1")
    desk.wrong("pallet/2")
    assert desk.give_up() == 2
    dead = desk.json("hooks", "dead")
    assert [record["reason"] for record in dead] == ["10 attempts failed"] * 2
    assert "10 attempts failed" in desk.run("hooks", "dead")
    assert "500" in desk.run("hooks", "log", hook)
    assert [line["result"]["status"] for line in desk.json("hooks", "log", hook)] == [500, 500]
    assert "say which" in desk.run("hooks", "replay", code=1)
    assert "say which" in desk.run("hooks", "replay", "--all", "--hook", hook, code=1)
    assert "1 will be sent again" in desk.run("hooks", "replay", "--delivery", str(dead[0]["delivery_id"]))
    assert "0 will be sent again" in desk.run("hooks", "replay", "--until", "2020-01-01")
    assert "1 will be sent again" in desk.run("hooks", "replay", "--hook", hook[-8:], "--since", "2020-01-01")
    assert desk.give_up() == 2
    assert "2 will be sent again" in desk.run("hooks", "replay", "--all")


def test_what_looks_like_markup_is_shown_as_it_is(desk: Desk) -> None:
    incident = desk.wrong("metadata.meta.note/[/b] :key:")
    assert "[/b] :key:" in desk.run("incidents", "list")
    assert "[/b] :key:" in desk.run("incidents", "resolve", incident)
    hook = desk.add("http://127.0.0.1:9/in")["endpoint_id"]
    desk.wrong()
    said = replace(REFUSED, detail="no HTTP answer: [/i]")
    for delivery in desk.deliveries.claim("test", seconds(60), 100, {}, 100):
        desk.deliveries.settle(delivery, said, Settlement(DeliveryState.DEAD, reason=said.detail))
    assert "[/i]" in desk.run("hooks", "log", hook)
    assert "[/i]" in desk.run("hooks", "dead")


def test_an_incident_is_acknowledged_and_resolved_by_name(desk: Desk) -> None:
    assert "Nothing is wrong." in desk.run("incidents", "list")
    incident = desk.wrong()
    listed = desk.run("incidents", "list")
    assert incident[-8:] in listed
    assert "dock-1 saw a torn carton" in listed
    assert "pallet/7 is acknowledged" in desk.run("incidents", "ack", incident[-8:], "--by", "lead")
    assert "pallet/7 is resolved" in desk.run("incidents", "resolve", incident, "--by", "lead")
    assert "Nothing is wrong." in desk.run("incidents", "list")
    assert incident[-8:] in desk.run("incidents", "list", "--all")
    shown = desk.json("incidents", "show", incident)
    assert (shown["state"], shown["acknowledged_by"], shown["resolved_by"]) == ("resolved", "lead", "lead")
    assert [event["actor"] for event in shown["events"]] == ["framegate", "lead", "lead"]
    assert "incident.resolved" in desk.run("incidents", "show", incident)
    assert "there is no incident nothing" in desk.run("incidents", "show", "nothing", code=1)
