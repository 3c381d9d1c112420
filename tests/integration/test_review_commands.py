"""`framegate reviews`, as an operator types it, on a real database."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from framegate.adapters.postgres import Database, PostgresIntake, PostgresProgress, PostgresReviews
from framegate.cli import app
from framegate.cli.common import out
from framegate.kernel.reviews import Choice, Decision
from framegate.kernel.states import Verdict
from tests.contracts.examples import FACILITY, OTHER_FACILITY, accept, decide, outcome
from tests.contracts.harness import seconds


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


def run(environment: dict[str, str], *arguments: str) -> str:
    done = CliRunner().invoke(app, ["reviews", *arguments], env=environment)
    assert done.exit_code == 0, done.output + str(done.exception)
    return done.output


def test_an_empty_desk_says_so(environment: dict[str, str]) -> None:
    assert "Nothing waits for people." in run(environment, "list")
    said = run(environment, "stats")
    assert "0 wait, 0 of them" in said
    assert "FRAMEGATE_REVIEWS__SAMPLE" in said


def test_the_desk_is_shown_with_what_waits_and_what_people_found_out(
    database: Database, environment: dict[str, str]
) -> None:
    intake, reviews = PostgresIntake(database), PostgresReviews(database)
    progress = PostgresProgress(database, sample=1.0)
    for facility, verdict in ((FACILITY, Verdict.REVIEW), (FACILITY, Verdict.PASS), (OTHER_FACILITY, Verdict.REVIEW)):
        decide(progress, accept(intake, facility=facility), outcome(verdict))
    here = frozenset({FACILITY})
    for item in reviews.lease(here, "Ann (k1)", 2, seconds(300)):
        if item.automatic is Verdict.PASS:
            said = Decision(Choice.FAIL, "dent")
            reviews.decide(here, item.image_id, item.version, item.sha256, said, "Ann (k1)", seconds(30))
    rows: list[Any] = json.loads(run(environment, "list", "--json"))
    assert {(row["facility"], row["origin"], row["leased_by"]) for row in rows} == {
        (FACILITY, "verdict", "Ann (k1)"),
        (OTHER_FACILITY, "verdict", None),
    }
    assert len(json.loads(run(environment, "list", "--json", "--facility", FACILITY))) == 1
    assert "Ann (k1)" in run(environment, "list")
    facts = json.loads(run(environment, "stats", "--json"))
    assert (facts["open"], facts["leased"], facts["reviewers"]) == (2, 1, {"Ann (k1)": {"fail": 1}})
    every = facts["escapes"][0]
    assert (every["judged"], every["escaped"], every["rate"], every["high"]) == (1, 1, None, 1.0)
    shown = run(environment, "stats")
    assert "2 wait, 1 of them" in shown
    assert "1 fail" in shown
    assert "too few (of 60): 2.50% to 100.00%" in shown


def test_images_from_before_the_desk_are_asked_about_once(database: Database, environment: dict[str, str]) -> None:
    for facility in (FACILITY, OTHER_FACILITY):
        decide(PostgresProgress(database), accept(PostgresIntake(database), facility=facility), outcome(Verdict.REVIEW))
    database.run(lambda connection: connection.execute("delete from review_items"))
    assert json.loads(run(environment, "backfill", "--json", "--facility", FACILITY)) == {"opened": 1}
    assert "had no item: 1." in run(environment, "backfill", "--by", "Ann")
    assert json.loads(run(environment, "backfill", "--json")) == {"opened": 0}
    assert len(json.loads(run(environment, "list", "--json"))) == 2
