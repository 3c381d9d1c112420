"""What incidents and deliveries promise only in Postgres: nobody's race is an error, and history slows nothing down."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy

from framegate.adapters.postgres import Database, PostgresDeliveries, PostgresEndpoints, PostgresIncidents
from framegate.kernel.incidents import Change
from framegate.kernel.inspection import Alert
from framegate.ports.deliveries import DeliveryState, Settlement
from framegate.ports.notices import Announcer
from tests.contracts.examples import FACILITY
from tests.contracts.hooks import DELIVERED, LEASE, subscription
from tests.support.box import until

announce = Announcer("https://inspect.example", b"pepper")
HERE = frozenset({FACILITY})
PALLET = Alert("damage", "critical", "pallet/7", "A torn carton.")
_WAITING = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


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
    with (
        psycopg.connect(database_url, autocommit=True) as side,
        psycopg.connect(database_url) as remover,
        ThreadPoolExecutor(1) as threads,
    ):
        remover.execute("delete from hook_endpoints where endpoint_id = %s", [gone.endpoint_id])
        grouped = threads.submit(incidents.group, 10, announce)
        until(lambda: side.execute(_WAITING).fetchone() is not None, 10, "the wait for the removal")
        remover.commit()
        assert grouped.result(10).changes == [Change.OPENED]
    (delivery,) = deliveries.deliveries(stays.endpoint_id, 10)
    assert delivery.state is DeliveryState.PENDING
    assert deliveries.deliveries(gone.endpoint_id, 10) == []


def test_an_attempt_that_waits_for_its_endpoint_holds_nothing_that_others_wait_for(
    database: Database, database_url: str
) -> None:
    incidents, deliveries = PostgresIncidents(database), PostgresDeliveries(database)
    endpoint = subscription()
    PostgresEndpoints(database).add_endpoint(endpoint, "test")
    incidents.raise_alert(FACILITY, PALLET)
    incidents.group(10, announce)
    (delivery,) = deliveries.claim("one", LEASE, 4, {}, 10)
    with (
        psycopg.connect(database_url, autocommit=True) as side,
        psycopg.connect(database_url) as disabling,
        ThreadPoolExecutor(1) as threads,
    ):
        disabling.execute("update hook_endpoints set enabled = false")
        settled = threads.submit(deliveries.settle, delivery, DELIVERED, Settlement(DeliveryState.DELIVERED))
        until(lambda: side.execute(_WAITING).fetchone() is not None, 10, "the wait for the endpoint")
        disabling.execute("set lock_timeout = '200ms'")
        disabling.execute("update hook_deliveries set state = 'dead', token = null, ended_at = now()")
        disabling.commit()
        assert settled.result(10) is False
    (record,) = deliveries.deliveries(endpoint.endpoint_id, 10)
    assert record.state is DeliveryState.DEAD
    assert [line.result.status for line in deliveries.log(endpoint.endpoint_id, 10)] == [200]


_HISTORY = """
insert into incidents
select gen_random_uuid(), 'main', 'damage', 'pallet/' || n, 'critical', 'resolved', 'Old.', 1, null, null,
  now(), now(), 1800, null, null, null, null, now(), 'framegate'
from generate_series(1, 5000) n;
insert into incident_events (message_id, incident_id, facility_id, change, actor, at, severity, title, body, payload)
select 'msg_' || row_number() over (), incident_id, 'main', 'incident.opened', 'framegate', now(), 'critical', '', '', '{}'
from incidents;
insert into hook_deliveries (endpoint_id, message_id, state, created_at, due_at, ended_at)
select endpoint_id, message_id, 'delivered', now(), now(), now() from hook_endpoints, incident_events;
analyze incidents, incident_events, hook_deliveries
"""


class _Asked:
    """What was asked of the database, and how it answers it: with the plan that it makes before it knows the values."""

    def __init__(self, database: Database) -> None:
        self._database, self._statements = database, list[tuple[str, dict[str, Any]]]()
        sqlalchemy.event.listen(database._engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self._statements.append((statement, parameters))

    def plans(self, table: str) -> str:
        """Of the questions about `table` since the last call."""
        asked = [s for s in self._statements if f"FROM {table}" in s[0] or f"UPDATE {table}" in s[0]]
        self._statements.clear()
        return "\n".join(self._plan(*one) for one in asked)

    def _plan(self, statement: str, parameters: dict[str, Any]) -> str:
        numbers = {
            name: f"${number}{'::interval' if isinstance(value, timedelta) else ''}"
            for number, (name, value) in enumerate(parameters.items(), 1)
        }
        numbered = re.sub(r"%\((\w+)\)s", lambda found: numbers[found[1]], statement)

        def explain(connection: psycopg.Connection[Any]) -> str:
            # As text of its own: prepared, it would want the values.
            answer = connection.pgconn.exec_(f"explain (generic_plan, costs off) {numbered}".encode())
            assert answer.ntuples, answer.error_message
            return "\n".join((answer.get_value(n, 0) or b"").decode() for n in range(answer.ntuples))

        return self._database.run(explain)


def test_what_is_over_is_never_looked_through(database: Database) -> None:
    PostgresEndpoints(database).add_endpoint(subscription(facility=FACILITY), "test")
    database.run(lambda connection: connection.execute(_HISTORY, prepare=False))
    incidents, deliveries, asked = PostgresIncidents(database), PostgresDeliveries(database), _Asked(database)
    incidents.raise_alert(FACILITY, PALLET)
    incidents.group(10, announce)
    assert "incidents_going_on" in asked.plans("incidents")
    incidents.tend(10, announce)
    assert "incidents_going_on" in asked.plans("incidents")
    for index, ask in (
        ("hook_deliveries_due", deliveries.waiting),
        ("hook_deliveries_due", lambda: deliveries.recover("one")),
        ("hook_deliveries_dead", lambda: deliveries.dead(None, 10)),
        ("hook_deliveries_dead", lambda: deliveries.replay(None)),
    ):
        ask()
        assert index in asked.plans("hook_deliveries")
