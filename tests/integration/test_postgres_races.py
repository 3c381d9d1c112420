"""Several at once: one of them wins, the others learn of it, and nobody sees an error."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any, TypeVar

import psycopg
import pytest

from framegate.adapters.postgres import Database, PostgresIntake, PostgresPolicies, PostgresProgress, PostgresResults
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.inspection import Failed, Outcome, Refused
from framegate.kernel.states import ImageState, Stage
from framegate.ports.progress import Claim, Completion, Ending, PrepareAgain
from framegate.ports.store import NewImage, PolicyConflict
from tests.contracts.examples import (
    CAMERA,
    FACILITY,
    LEASE,
    accept,
    advance_to,
    inspected,
    message,
    must_claim,
    new_image,
    outcome,
)

T = TypeVar("T")
MINE = frozenset({FACILITY})


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def together(*calls: Callable[[], T]) -> list[T]:
    """Starts all of them at the same moment."""
    barrier = Barrier(len(calls))

    def call(one: Callable[[], T]) -> T:
        barrier.wait(20)
        return one()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(call, calls))


def test_the_same_idempotency_key_from_eight_threads_makes_one_image(database: Database) -> None:
    intake = PostgresIntake(database)
    for round_ in range(5):
        images = [new_image(b"same", idempotency_key=f"k{round_}") for _ in range(8)]
        answers = together(*[lambda image=image: intake.accept([image])[0] for image in images])
        assert len({a.image_id for a in answers}) == 1
        assert sorted(a.replayed for a in answers) == [False] + [True] * 7
        assert not any(a.conflict for a in answers)


def test_one_key_for_different_requests_at_once_is_recorded_once_and_a_conflict_otherwise(database: Database) -> None:
    intake = PostgresIntake(database)
    images = [new_image(idempotency_key="k") for _ in range(6)]
    answers = together(*[lambda image=image: intake.accept([image])[0] for image in images])
    assert sorted(a.conflict for a in answers) == [False] + [True] * 5
    assert len({a.image_id for a in answers}) == 1


def test_the_same_capture_from_eight_threads_makes_one_image(database: Database) -> None:
    intake = PostgresIntake(database)
    images = [new_image(b"same", captured_at=datetime(2026, 3, 1, tzinfo=UTC)) for _ in range(8)]
    answers = together(*[lambda image=image: intake.accept([image])[0] for image in images])
    assert len({a.image_id for a in answers}) == 1
    assert sorted(a.replayed for a in answers) == [False] + [True] * 7


def test_batches_with_the_same_keys_in_opposite_order_all_get_through(database: Database) -> None:
    intake = PostgresIntake(database)

    def batch(keys: range | list[int]) -> list[NewImage]:
        return [new_image(f"{key}".encode(), idempotency_key=f"k{key}") for key in keys]

    batches = [batch(range(20)), batch([*reversed(range(20))]), batch(range(20)), batch([*reversed(range(20))])]
    answers = together(*[lambda images=images: intake.accept(images) for images in batches])
    assert len({a.image_id for found in answers for a in found}) == 20
    assert sum(not a.replayed for found in answers for a in found) == 20


def test_a_new_camera_seen_by_many_at_once_is_added_once(database: Database) -> None:
    intake = PostgresIntake(database)
    answers = together(*[lambda: intake.accept([new_image()])[0] for _ in range(8)])
    assert not any(a.replayed for a in answers)
    assert database.run(lambda c: c.execute("select facility_id, id from cameras").fetchall()) == [(FACILITY, CAMERA)]


def test_policies_added_at_once_get_numbers_of_their_own(database: Database) -> None:
    policies = PostgresPolicies(database)
    added = together(*[lambda n=n: policies.add_policy(FACILITY, {"n": n}, "lead") for n in range(4)])
    assert sorted(p.version for p in added) == [1, 2, 3, 4]


def test_of_policies_made_for_the_same_version_at_once_one_is_applied(database: Database) -> None:
    policies = PostgresPolicies(database)

    def apply(n: int) -> int | None:
        try:
            return policies.add_policy(FACILITY, {"n": n}, "lead", expected=0).version
        except PolicyConflict:
            return None

    answers = together(*[lambda n=n: apply(n) for n in range(4)])
    assert sorted(answers, key=str) == [1, None, None, None]


def test_an_outcome_completed_twice_at_once_is_written_once_and_both_are_told_so(database: Database) -> None:
    progress = PostgresProgress(database)
    image = accept(PostgresIntake(database))
    advance_to(progress, image, Stage.GATE)
    held = must_claim(progress, Stage.GATE, image)
    completion = Completion(held, outcome())
    assert together(*[lambda: progress.complete([completion]) for _ in range(6)]) == [[True]] * 6
    assert database.run(lambda c: c.execute("select count(*) from outcomes").fetchone()) == (1,)


def test_workers_with_the_same_images_in_opposite_order_do_not_deadlock(database: Database) -> None:
    progress = PostgresProgress(database)
    images = [accept(PostgresIntake(database)) for _ in range(16)]
    messages = [message(Stage.PREPROCESS, image) for image in images]

    def work(number: int) -> list[Claim]:
        turned = messages if number % 2 else messages[::-1]
        answers = progress.claim(Stage.PREPROCESS, turned, f"worker-{number}", LEASE)
        claims = [a for a in answers if isinstance(a, Claim)]
        assert progress.extend(claims[::-1], LEASE) == []
        return claims

    granted = together(*[lambda n=n: work(n) for n in range(8)])
    assert sorted(c.image.image_id for claims in granted for c in claims) == sorted(i.image_id for i in images)


def test_a_deadlock_is_tried_again_from_the_start(database: Database) -> None:
    """Both transactions lock their first row, then want the other's: Postgres ends one of them."""
    database.run(lambda c: c.execute("insert into facilities (id, name) values ('a', 'a'), ('b', 'b')"))
    barrier = Barrier(2)
    starts: list[str] = []

    def lock(first: str, second: str) -> None:
        def work(connection: psycopg.Connection[Any]) -> None:
            starts.append(first)
            connection.execute("update facilities set name = %s where id = %s", [first, first])
            if len(starts) <= 2:
                barrier.wait(20)
            connection.execute("update facilities set name = %s where id = %s", [first, second])

        database.transaction(work)

    together(lambda: lock("a", "b"), lambda: lock("b", "a"))
    assert len(starts) == 3, "one of the two was undone and started over"


def test_a_statement_that_takes_too_long_is_an_unavailable_dependency(database: Database) -> None:
    def work(connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            connection.execute("set local statement_timeout = '50ms'")
            connection.execute("select pg_sleep(20)")

    with pytest.raises(DependencyUnavailable):
        database.run(work)


def test_an_outcome_is_not_told_before_one_with_a_lower_number_that_is_still_uncommitted(
    database: Database, database_url: str
) -> None:
    progress, results = PostgresProgress(database), PostgresResults(database)
    slow, quick = (accept(PostgresIntake(database)) for _ in range(2))
    advance_to(progress, quick, Stage.GATE)
    copy = """
    insert into outcomes (facility_id, image_id, state, reason, detail, policy_version, look, attempts, crashes,
      history, completed_by, received_at, decided_at)
    values (%s, %s, 'rejected', 'r', 'd', 1, 1, 1, 0, '[]', '{}', now(), now())
    """
    with psycopg.connect(database_url) as other:
        # As the real statements do: the row is taken first, and with it a transaction id, then the number.
        other.execute("delete from progress where image_id = %s", [slow.image_id])
        other.execute(copy, [slow.facility, slow.image_id])
        decide_last(progress, quick)
        assert results.outcomes_after(MINE, 0, 10) == []
        assert results.outcomes_after(MINE, -1, 10) == []
        other.commit()
    told = results.outcomes_after(MINE, 0, 10)
    assert [record.facts.image_id for _, record in told] == [slow.image_id, quick.image_id]


def test_an_outcome_is_told_also_when_an_older_transaction_took_the_higher_number(
    database: Database, database_url: str
) -> None:
    results = PostgresResults(database)
    first, second = (accept(PostgresIntake(database)) for _ in range(2))
    copy = """
    insert into outcomes (facility_id, image_id, state, reason, detail, policy_version, look, attempts, crashes,
      history, completed_by, received_at, decided_at)
    values (%s, %s, 'rejected', 'r', 'd', 1, 1, 1, 0, '[]', '{}', now(), now())
    """
    with psycopg.connect(database_url) as older, psycopg.connect(database_url) as newer:
        older.execute("delete from progress where image_id = %s", [second.image_id])  # with it an id
        newer.execute("delete from progress where image_id = %s", [first.image_id])
        newer.execute(copy, [first.facility, first.image_id])  # takes the lower number
        older.execute(copy, [second.facility, second.image_id])
        older.commit()
        assert results.outcomes_after(MINE, 0, 10) == []
        newer.commit()
    told = results.outcomes_after(MINE, 0, 10)
    assert [record.facts.image_id for _, record in told] == [first.image_id, second.image_id]


def decide_last(progress: PostgresProgress, image: NewImage) -> None:
    assert progress.complete([Completion(must_claim(progress, Stage.GATE, image), outcome())]) == [True]


def test_text_that_postgres_cannot_hold_ends_no_attempt(database: Database) -> None:
    """Causes and details come from anywhere: a NUL or half a surrogate pair must not keep an image from moving."""
    progress, bad = PostgresProgress(database), "nul \0, half a pair \ud800, quote ' and \\u0000"
    image = accept(PostgresIntake(database), metadata={"note": bad})
    progress.give_back([must_claim(progress, Stage.PREPROCESS, image)], Ending.ERROR, bad)
    advance_to(progress, image, Stage.INFERENCE)
    held = must_claim(progress, Stage.INFERENCE, image)
    assert progress.complete([Completion(held, PrepareAgain(bad))]) == [True]
    held = must_claim(progress, Stage.PREPROCESS, image, look=2)
    assert progress.complete([Completion(held, Refused("truncated", bad))]) == [True]
    at_gate = must_claim(progress, Stage.GATE, image, look=2)
    assert isinstance(at_gate.finding, Refused)
    assert at_gate.finding.detail.startswith("nul \ufffd, half a pair ")


def test_numbers_that_are_none_do_not_keep_an_image_from_moving(database: Database) -> None:
    progress = PostgresProgress(database)
    image = accept(PostgresIntake(database))
    advance_to(progress, image, Stage.INFERENCE)
    held = must_claim(progress, Stage.INFERENCE, image)
    assert progress.complete([Completion(held, inspected("box"), work_ms=float("nan"))]) == [True]


def test_history_stays_bounded_in_an_endless_outage(database: Database) -> None:
    progress, results = PostgresProgress(database), PostgresResults(database)
    image = accept(PostgresIntake(database))
    for number in range(150):
        progress.give_back([must_claim(progress, Stage.PREPROCESS, image)], Ending.DEPENDENCY, f"outage {number}")
    record = results.image(MINE, image.image_id)
    assert record is not None
    assert len(record.history) <= 100
    assert (record.history[0]["cause"], record.history[-1]["cause"]) == ("outage 0", "outage 149")
    assert len(json.dumps(record.history)) < 20_000


def test_a_conviction_keeps_the_crashes_that_it_rests_on(database: Database) -> None:
    progress = PostgresProgress(database)
    image = accept(PostgresIntake(database))
    for _ in range(2):
        progress.give_back([must_claim(progress, Stage.PREPROCESS, image)], Ending.CRASH, "died")
    held = must_claim(progress, Stage.PREPROCESS, image)
    assert progress.complete([Completion(held, Failed("poison", "It kills."))]) == [True]
    at_gate = must_claim(progress, Stage.GATE, image)
    assert (at_gate.crashes, at_gate.solo) == (0, False), "the gate has not crashed with it"
    end = Outcome(ImageState.FAILED, None, "poison", "It kills.", 1)
    assert progress.complete([Completion(at_gate, end)]) == [True]
    assert database.run(lambda c: c.execute("select crashes from outcomes").fetchone()) == (3,)


def test_a_link_opens_no_image_of_a_facility_that_was_disabled(database: Database, database_url: str) -> None:
    image, results = accept(PostgresIntake(database)), PostgresResults(database)
    assert results.linked_image(image.image_id) is not None
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update facilities set enabled = false where id = %s", (FACILITY,))
    try:
        assert results.linked_image(image.image_id) is None
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("update facilities set enabled = true where id = %s", (FACILITY,))
