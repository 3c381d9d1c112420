"""What incidents and deliveries promise only in Postgres: nobody's race is an error, and history slows nothing down."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from framegate.adapters.postgres import Database, PostgresDeliveries, PostgresEndpoints, PostgresIncidents
from framegate.kernel.incidents import Change
from framegate.kernel.inspection import Alert
from framegate.ports.deliveries import DeliveryState
from framegate.ports.notices import Announcer
from tests.contracts.examples import FACILITY
from tests.contracts.hooks import subscription
from tests.support.box import until

announce = Announcer("https://inspect.example", b"pepper")
HERE = frozenset({FACILITY})
PALLET = Alert("damage", "critical", "pallet/7", "A torn carton.")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def test_an_endpoint_that_is_removed_while_incidents_change_is_told_nothing_and_the_others_are(
    database: Database, database_url: str
) -> None:
    incidents, deliveries, endpoints = (
        PostgresIncidents(database),
        PostgresDeliveries(database),
        PostgresEndpoints(database),
    )
    gone, stays = subscription(), subscription()
    for endpoint in (gone, stays):
        endpoints.add_endpoint(endpoint, "test")
    incidents.raise_alert(FACILITY, PALLET)
    waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    with (
        psycopg.connect(database_url, autocommit=True) as side,
        psycopg.connect(database_url) as remover,
        ThreadPoolExecutor(1) as threads,
    ):
        remover.execute("delete from hook_endpoints where endpoint_id = %s", [gone.endpoint_id])
        grouped = threads.submit(incidents.group, 10, announce)
        until(lambda: side.execute(waiting).fetchone() is not None, 10, "the wait for the removal")
        remover.commit()
        assert grouped.result(10).changes == [Change.OPENED]
    (delivery,) = deliveries.deliveries(stays.endpoint_id, 10)
    assert delivery.state is DeliveryState.PENDING
    assert deliveries.deliveries(gone.endpoint_id, 10) == []
