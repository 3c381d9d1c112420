"""What pages ask may not keep the database busy for long."""

from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from framegate.adapters.postgres import Database
from framegate.kernel.errors import DependencyUnavailable, TooBroad
from tests.contracts.examples import CAMERA, FACILITY, OTHER_FACILITY, accept, decide, serve
from tests.contracts.postgres_harness import PostgresHarness


def test_a_read_for_a_page_that_takes_too_long_ends_and_says_so(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "framegate.adapters.postgres.database._PAGE", "select set_config('statement_timeout', '50', true)"
    )
    database = Database(database_url)
    with pytest.raises(TooBroad, match="narrow the time"):
        database.page(lambda connection: connection.execute(text("select pg_sleep(20)")))
    assert database.page(lambda connection: connection.execute(text("select 1")).scalar_one()) == 1
    database.close()


def test_a_read_for_a_page_changes_nothing(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(Exception, match="read-only"):
        database.page(lambda connection: connection.execute(text("delete from queue_messages")))
    database.close()


def test_only_reads_for_pages_are_too_broad(database_url: str) -> None:
    database = Database(database_url)
    database.page(lambda connection: connection.execute(text("select 1")))
    slow = "select set_config('statement_timeout', '50', true)", "select pg_sleep(20)"
    with pytest.raises(DependencyUnavailable, match="statement timeout"):
        database.core(lambda connection: [connection.execute(text(one)) for one in slow])
    assert database.core(lambda c: c.execute(text("show statement_timeout")).scalar_one()) == "15s"
    database.close()


def test_an_image_that_is_nowhere_is_missing_until_it_is_somewhere_again(database_url: str) -> None:
    harness, both = PostgresHarness(database_url), frozenset({FACILITY, OTHER_FACILITY})
    lost = [accept(harness.intake), accept(harness.intake, facility=OTHER_FACILITY)]
    decide(harness.progress, accept(harness.intake))
    with psycopg.connect(database_url, autocommit=True) as side:
        side.execute("delete from progress")
        assert harness.overview.missing(both, 10) == []
        assert harness.upkeep.take_stock().lost == 2
        found = harness.overview.missing(both, 10)
        assert [(one.image_id, one.camera) for one in found] == [(image.image_id, CAMERA) for image in lost]
        assert [one.image_id for one in harness.overview.missing(frozenset({FACILITY}), 10)] == [lost[0].image_id]
        assert len(harness.overview.missing(both, 1)) == 1
        assert [stock.sums.lost for stock in harness.overview.stock(both)] == [1, 1]
        side.execute(
            "insert into progress (facility_id, image_id, lane, state, moved_at, issued_at, received_at) "
            "select facility_id, image_id, lane, 'received', now(), now(), received_at from images where image_id = %s",
            [lost[0].image_id],
        )
    assert [one.image_id for one in harness.overview.missing(both, 10)] == [lost[1].image_id]
    harness.close()


def test_an_outcome_knows_its_camera_one_that_was_reused_too(database_url: str) -> None:
    harness = PostgresHarness(database_url)
    serve(harness.registry)
    harness.policies.add_policy(FACILITY, {"rules": 1}, "test")
    decide(harness.progress, accept(harness.intake, data=b"same"))
    accept(harness.intake, data=b"same")
    with psycopg.connect(database_url, autocommit=True) as side:
        query = "select camera_id, reused_from is null from outcomes order by sequence"
        assert side.execute(query).fetchall() == [(CAMERA, True), (CAMERA, False)]
    (rate,) = harness.overview.rates(frozenset({FACILITY}), timedelta(hours=1))
    assert rate.ended == {"pass": 2}
    harness.close()
