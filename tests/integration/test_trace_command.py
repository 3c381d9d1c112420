"""`framegate trace`, as an operator types it, on a real database."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from framegate.adapters.postgres import (
    Database,
    PostgresDeliveries,
    PostgresEndpoints,
    PostgresIncidents,
    PostgresIntake,
    PostgresProgress,
    PostgresReviews,
)
from framegate.cli import app
from framegate.cli.common import out
from framegate.kernel.geometry import Region
from framegate.kernel.ids import ImageId
from framegate.kernel.inspection import Alert
from framegate.kernel.reviews import Choice, Decision
from framegate.kernel.states import Stage, Verdict
from framegate.kernel.tracecontext import unsampled
from framegate.ports.deliveries import DeliveryState, Settlement
from framegate.ports.notices import Announcer
from framegate.ports.progress import Ending, LookAgain
from tests.contracts.examples import (
    FACILITY,
    OTHER_FACILITY,
    accept,
    advance_to,
    complete,
    decide,
    inspected,
    must_claim,
    outcome,
    prepared,
)
from tests.contracts.harness import seconds
from tests.contracts.hooks import DELIVERED, LEASE, REFUSED, subscription

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ALERT = Alert("damage", "critical", "pallet/7", "A torn carton.")
HERE = frozenset({FACILITY})


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def environment(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(out, "_file", None)  # whatever standard output is by then
    monkeypatch.setattr(out, "_width", 200)
    return {"DATABASE_URL": database_url, "FRAMEGATE_DATA": str(tmp_path)}


def run(environment: dict[str, str], image: ImageId, *arguments: str) -> str:
    done = CliRunner().invoke(app, ["trace", str(image), *arguments], env=environment)
    assert done.exit_code == 0, done.output + str(done.exception)
    return done.output


def bars(environment: dict[str, str], image: ImageId) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(environment, image, "--json"))["bars"]
    assert [bar["start"] for bar in found] == sorted(bar["start"] for bar in found)
    assert all(bar["duration_ms"] is None or bar["duration_ms"] >= 0 for bar in found)
    return found


def test_every_stage_is_shown_with_its_wait_its_work_and_what_failed_on_the_way(
    database: Database, environment: dict[str, str]
) -> None:
    progress = PostgresProgress(database)
    image = accept(PostgresIntake(database), trace=TRACE)
    progress.give_back([must_claim(progress, Stage.PREPROCESS, image)], Ending.ERROR, "OSError: [/] the disk is full")
    decide(progress, image)
    found = bars(environment, image.image_id)
    kinds = {bar["what"]: bar["kind"] for bar in found}
    assert kinds == {
        "received": "event",
        "preprocess: waiting": "wait",
        "preprocess: an attempt did not complete": "failed",
        "preprocess": "work",
        "inference: waiting": "wait",
        "inference": "work",
        "gate: waiting": "wait",
        "gate": "work",
        "pass": "event",
    }
    assert "the disk is full" in next(bar["detail"] for bar in found if bar["kind"] == "failed")
    stretches = [bar for bar in found if bar["kind"] in ("wait", "work")]
    for before, after in pairwise(stretches):
        assert before["end"] == after["start"], "no time is left out"
    printed = run(environment, image.image_id)
    assert f"{image.image_id} of dock-7 at {FACILITY}: pass clear" in printed
    assert f"trace {TRACE[3:35]} (recorded)" in printed
    elsewhere = accept(PostgresIntake(database), trace=unsampled(TRACE))
    assert f"trace {TRACE[3:35]} (not recorded)" in run(environment, elsewhere.image_id)
    assert "1.5 ms of work" in printed
    assert "[/] the disk is full" in printed
    assert "█" in printed


def test_an_image_on_its_way_shows_what_goes_on(database: Database, environment: dict[str, str]) -> None:
    progress = PostgresProgress(database)
    image = accept(PostgresIntake(database))
    assert [(bar["what"], bar["end"]) for bar in bars(environment, image.image_id)][-1] == ("preprocess: waiting", None)
    advance_to(progress, image, Stage.INFERENCE)
    claim = must_claim(progress, Stage.INFERENCE, image)
    assert [(bar["what"], bar["end"]) for bar in bars(environment, image.image_id)][-1] == ("inference", None)
    progress.give_back([claim], Ending.ERROR, "EngineFault: too hot")
    waits = [(bar["what"], bar["end"]) for bar in bars(environment, image.image_id)]
    assert waits[-1] == ("inference: waiting for the next attempt", None)
    printed = run(environment, image.image_id)
    assert "goes on" in printed
    assert "trace" not in printed.partition("\n")[2].partition("\n")[0], "it has none"


def test_a_second_look_is_told_of(database: Database, environment: dict[str, str]) -> None:
    progress = PostgresProgress(database)
    image = accept(PostgresIntake(database))
    advance_to(progress, image, Stage.GATE)
    assert complete(progress, must_claim(progress, Stage.GATE, image), LookAgain(Region(0, 0, 32, 24)))
    waits = [bar for bar in bars(environment, image.image_id) if bar["kind"] != "event"]
    assert [(bar["what"], bar["end"]) for bar in waits] == [("preprocess: earlier looks, then waiting", None)]
    for stage, result in ((Stage.PREPROCESS, prepared()), (Stage.INFERENCE, inspected())):
        assert complete(progress, must_claim(progress, stage, image, look=2), result)
    assert complete(progress, must_claim(progress, Stage.GATE, image, look=2), outcome())
    names = [bar["what"] for bar in bars(environment, image.image_id)]
    assert names[1:3] == ["preprocess: earlier looks, then waiting", "preprocess"]
    assert names[-1] == "pass"


def test_people_alerts_and_receivers_follow_the_outcome(database: Database, environment: dict[str, str]) -> None:
    PostgresEndpoints(database).add_endpoint(subscription(target="https://hooks.example/in?token=secret"), "test")
    image = accept(PostgresIntake(database))
    decide(PostgresProgress(database), image, outcome(Verdict.REVIEW, 1, ALERT))
    reviews, deliveries = PostgresReviews(database), PostgresDeliveries(database)
    (item,) = reviews.lease(HERE, "Ann (k1)", 1, seconds(300))
    said = Decision(Choice.FAIL, "dent")
    reviews.decide(HERE, item.image_id, item.version, item.sha256, said, "Ann (k1)", seconds(30))
    assert "no incident has it yet" in run(environment, image.image_id)
    PostgresIncidents(database).group(10, Announcer("https://inspect.example", b"pepper"))
    for attempt, state in ((REFUSED, DeliveryState.PENDING), (DELIVERED, DeliveryState.DELIVERED)):
        (delivery,) = deliveries.claim("one", LEASE, 4, {}, 10)
        assert deliveries.settle(delivery, attempt, Settlement(state, 0.0))
    found = bars(environment, image.image_id)
    (waited,) = [bar for bar in found if bar["what"] == "review: waiting for people"]
    assert waited["duration_ms"] > 0
    assert "Ann (k1) failed it" in [bar["what"] for bar in found]
    hooks = [(bar["what"], bar["kind"]) for bar in found if bar["what"].startswith("hook") and bar["kind"] != "wait"]
    assert hooks == [("hook: incident.opened", "failed"), ("hook: incident.opened", "work")]
    printed = run(environment, image.image_id)
    assert "alert: damage (critical)" in printed
    assert "the receiver answered 500" in printed
    assert "secret" not in printed
    assert "since the outcome" in printed


@pytest.mark.parametrize("facility", [None, OTHER_FACILITY])
def test_an_image_that_is_not_known_is_an_error_that_says_where_to_look(
    database: Database, environment: dict[str, str], facility: str | None
) -> None:
    image = accept(PostgresIntake(database)).image_id if facility else uuid4()
    arguments = ["trace", str(image), *(["--facility", facility] if facility else [])]
    done = CliRunner().invoke(app, arguments, env=environment)
    assert done.exit_code == 1
    assert f"there is no image {image}" in str(done.exception)


def test_what_is_no_id_is_an_error(environment: dict[str, str]) -> None:
    done = CliRunner().invoke(app, ["trace", "dock-7"], env=environment)
    assert "'dock-7' is no image id" in str(done.exception)
