"""What pages ask may not keep the database busy for long."""

import pytest
from sqlalchemy import text

from framegate.adapters.postgres import Database
from framegate.kernel.errors import DependencyUnavailable, TooBroad


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
