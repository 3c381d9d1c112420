"""What only the queue in Postgres promises: it wakes, it is woken, and a backlog does not slow it down."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Thread
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest

from framegate.adapters.postgres import Database, PostgresIntake, PostgresProgress, PostgresQueue
from framegate.adapters.postgres.statements import statement
from framegate.adapters.postgres.wakeups import channel_of
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.states import Stage
from framegate.ports.queue import Delivery
from tests.contracts.examples import accept, complete, must_claim, prepared

Q = "frame-submitted-live"
NOW, MINUTE = timedelta(), timedelta(minutes=1)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def queue(database: Database) -> Iterator[PostgresQueue]:
    queue = PostgresQueue(database, "receiver")
    yield queue
    queue.close()


class Waiter:
    """Receives in a thread of its own, and knows how long it slept without a look at the queue."""

    def __init__(self, queue: PostgresQueue, *queues: str, wait: timedelta = MINUTE) -> None:
        self.received: list[Delivery] | None = None
        self._queue, self._queues, self._wait = queue, queues or (Q,), wait
        self._thread = Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        self.received = self._queue.receive(self._queues, 10, self._wait, MINUTE)

    def result(self) -> list[Delivery]:
        self._thread.join(30)
        assert self.received is not None, "it waits still"
        return self.received


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that does not look by itself, so that only a wake-up can make it return."""
    monkeypatch.setattr("framegate.adapters.postgres.queue._LONGEST_WAIT_S", 60.0)


def until_listening(database: Database, queue: str = Q) -> None:
    """Blocks until a session's last command was LISTEN for `queue`."""
    deadline = monotonic() + 20
    query = "select count(*) from pg_stat_activity where datname = current_database() and query = %s"
    channel = channel_of(queue).replace('"', '""')
    while monotonic() < deadline:
        row = database.run(lambda c: c.execute(query, [f'listen "{channel}"']).fetchone())
        if row == (1,):
            return
        sleep(0.01)
    raise AssertionError("nobody listens")


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("name", [Q, "odd \"name\"; with 'quotes'", "long-" * 30])
def test_a_sent_message_wakes_a_waiting_receive(database: Database, queue: PostgresQueue, name: str) -> None:
    waiter = Waiter(queue, name)
    until_listening(database, name)
    sender = PostgresQueue(database, "sender")
    sender.send(name, ["hello"])
    assert [d.body for d in waiter.result()] == ["hello"]
    sender.close()


@pytest.mark.usefixtures("patient")
def test_accepting_an_image_and_moving_it_on_wakes_the_next_stage(database: Database, queue: PostgresQueue) -> None:
    waiter = Waiter(queue)
    until_listening(database)
    image = accept(PostgresIntake(database))
    assert len(waiter.result()) == 1
    waiter = Waiter(queue, "frame-prepared-live")
    until_listening(database, "frame-prepared-live")
    progress = PostgresProgress(database)
    assert complete(progress, must_claim(progress, Stage.PREPROCESS, image), prepared())
    assert len(waiter.result()) == 1


@pytest.mark.usefixtures("patient")
def test_a_released_message_wakes_a_waiting_receive(database: Database, queue: PostgresQueue) -> None:
    other = PostgresQueue(database, "other")
    other.send(Q, ["hello"])
    held = other.receive([Q], 1, NOW, MINUTE)
    waiter = Waiter(queue)
    until_listening(database)
    other.release(held)
    assert [d.receive_count for d in waiter.result()] == [2]
    other.close()


@pytest.mark.usefixtures("patient")
def test_a_delayed_message_ends_the_wait_when_its_time_has_come(queue: PostgresQueue) -> None:
    queue.send(Q, ["later"], timedelta(seconds=0.3))
    assert [d.body for d in Waiter(queue).result()] == ["later"]


@pytest.mark.usefixtures("patient")
def test_an_interrupt_ends_the_wait(database: Database, queue: PostgresQueue) -> None:
    waiter = Waiter(queue)
    until_listening(database)
    queue.interrupt()
    assert waiter.result() == []


@pytest.mark.usefixtures("patient")
def test_closing_ends_the_wait(database: Database, queue: PostgresQueue) -> None:
    waiter = Waiter(queue)
    until_listening(database)
    queue.close()
    assert waiter.result() == []


def test_a_message_sent_without_a_wake_up_is_found_all_the_same(database: Database, queue: PostgresQueue) -> None:
    waiter = Waiter(queue)
    until_listening(database)
    database.run(lambda c: c.execute("insert into queue_messages (queue, body) values (%s, 'quiet')", [Q]))
    assert [d.body for d in waiter.result()] == ["quiet"]


def test_a_receiver_whose_listening_connection_dies_listens_again(database: Database, queue: PostgresQueue) -> None:
    waiter = Waiter(queue)
    until_listening(database)
    database.run(lambda c: c.execute("select pg_terminate_backend(pid) from pg_stat_activity where query ~ '^listen'"))
    until_listening(database)
    queue.send(Q, ["hello"])
    assert [d.body for d in waiter.result()] == ["hello"]


def test_a_body_with_nul_is_refused_before_anything_is_sent(queue: PostgresQueue) -> None:
    with pytest.raises(ValueError, match="NUL"):
        queue.send(Q, ["fine", "not \0 fine"])
    assert queue.receive([Q], 10, NOW, MINUTE) == []


def test_a_dead_database_is_told_as_unavailable() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing")
    queue = PostgresQueue(nowhere)
    with pytest.raises(DependencyUnavailable):
        queue.depth(Q)
    with pytest.raises(DependencyUnavailable):
        queue.receive([Q], 1, MINUTE, MINUTE)
    queue.close()
    nowhere.close()


def test_connections_that_the_server_closed_are_replaced_unnoticed(database: Database, database_url: str) -> None:
    queue = PostgresQueue(database)
    queue.send(Q, ["one"])
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
    assert [d.body for d in queue.receive([Q], 1, NOW, MINUTE)] == ["one"]
    queue.close()


def plan(database: Database, name: str, parameters: dict[str, Any]) -> str:
    """As it is run: with the settings of our sessions, and executed, so that only what is used counts."""

    def work(connection: psycopg.Connection[Any]) -> str:
        with connection.transaction(force_rollback=True):
            rows = connection.execute("explain (analyze, costs off, timing off) " + statement(name), parameters)
            return "\n".join(row[0] for row in rows)

    return database.run(work)


def test_a_backlog_of_100_000_is_never_scanned(database: Database, queue: PostgresQueue) -> None:
    fill = """
    insert into queue_messages (queue, body, visible_at)
    select case when n % 2 = 0 then 'frame-submitted-live' else 'frame-submitted-bulk' end, 'x',
      clock_timestamp() + make_interval(secs => (n % 3 = 0)::int * 3600)
    from generate_series(1, 100000) n
    """
    database.run(lambda c: c.execute(fill))
    received = {
        "queues": [Q, "frame-submitted-bulk"],
        "max": 32,
        "visibility": 60.0,
        "owner": "me",
        "max_receives": 50,
    }
    text = plan(database, "queue_receive", received)
    assert "Seq Scan" not in text
    assert "queue_messages_to_receive" in text
    held = queue.receive([Q], 32, NOW, MINUTE)
    receipts = {"ids": [int(d.message_id) for d in held], "receipts": [d.receipt for d in held]}
    for name, parameters in (
        ("queue_extend", receipts | {"visibility": 60.0}),
        ("queue_release", receipts | {"delay": 0.0}),
        ("queue_acknowledge", receipts),
        ("queue_next", {"queues": [Q]}),
    ):
        assert "Seq Scan" not in plan(database, name, parameters), name


def test_a_receive_touches_few_rows_however_many_wait_or_are_hidden(database: Database) -> None:
    fill = """
    insert into queue_messages (queue, body, visible_at)
    select 'frame-submitted-live', 'x', clock_timestamp() + make_interval(hours => 1) from generate_series(1, 20000) n
    """
    database.run(lambda c: c.execute(fill))
    parameters = {"queues": [Q], "max": 32, "visibility": 60.0, "owner": "me", "max_receives": 50}
    text = plan(database, "queue_receive", parameters)
    assert "Rows Removed by Filter" not in text, "hidden messages are read and thrown away"
