"""A queue beside the database: what was committed is sent, by its own process or by the sweeper."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from framegate.adapters.postgres import Database, Outbox, PostgresIntake, PostgresProgress, PostgresUpkeep
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.geometry import Region
from framegate.kernel.inspection import Refused
from framegate.kernel.messages import attributes_of, decode
from framegate.kernel.states import ImageState, Lane, Stage
from framegate.ports.progress import Claim, Completion, LookAgain
from tests.contracts.examples import LEASE, accept, advance_to, message, must_claim, new_image
from tests.support.box import until

NOW = timedelta()


class Remote:
    """A queue elsewhere that may be away."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.calls: list[int] = []
        self.away = False
        self.sending = threading.Event()
        self.sending.set()

    def send(self, queue: str, bodies: Sequence[str]) -> None:
        assert self.sending.wait(20)
        if self.away:
            raise DependencyUnavailable("the queue is away")
        self.calls.append(len(bodies))
        self.sent += [(queue, body) for body in bodies]


@pytest.fixture
def remote() -> Remote:
    return Remote()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def outbox(database: Database, remote: Remote) -> Iterator[Outbox]:
    outbox = Outbox(database, remote.send, NOW)
    yield outbox
    remote.sending.set()
    outbox.close()


def rows(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        (count,) = connection.execute(f"select count(*) from {table}").fetchone() or (None,)  # type: ignore[arg-type]  # noqa: S608
        assert isinstance(count, int)
        return count


def test_an_accepted_image_is_sent_and_leaves_the_outbox(
    database: Database, outbox: Outbox, remote: Remote, database_url: str
) -> None:
    image = accept(PostgresIntake(database, outbox))
    until(lambda: remote.sent and rows(database_url, "outbox") == 0, 20, "the send")
    ((queue, body),) = remote.sent
    assert queue == "frame-submitted-live"
    assert decode(body).image_id == image.image_id
    assert rows(database_url, "queue_messages") == 0


def test_what_a_stage_emits_is_sent_too(database: Database, outbox: Outbox, remote: Remote) -> None:
    image = accept(PostgresIntake(database, outbox))
    progress = PostgresProgress(database, outbox)
    claim = must_claim(progress, Stage.PREPROCESS, image)
    assert progress.complete([Completion(claim, Refused("truncated", "It ends too early."))]) == [True]
    until(lambda: len(remote.sent) == 2, 20, "both sends")
    assert remote.sent[1][0] == "frame-inspected-live"


def test_the_message_of_a_second_look_is_sent_by_the_gate(database: Database, outbox: Outbox, remote: Remote) -> None:
    image = accept(PostgresIntake(database, outbox))
    progress = PostgresProgress(database, outbox)
    advance_to(progress, image, Stage.GATE)
    claim = must_claim(progress, Stage.GATE, image)
    assert progress.complete([Completion(claim, LookAgain(Region(0, 0, 32, 24)))]) == [True]
    until(lambda: len(remote.sent) == 4, 20, "all sends")
    sent = [(queue, decode(body)) for queue, body in remote.sent]
    assert ("frame-submitted-live", message(Stage.PREPROCESS, image, look=2)) in sent


def test_messages_that_were_committed_while_another_was_sent_share_calls_of_ten(
    database: Database, outbox: Outbox, remote: Remote
) -> None:
    remote.sending.clear()
    intake = PostgresIntake(database, outbox)
    for n in range(31):
        intake.accept([new_image(f"{n}".encode())])
    remote.sending.set()
    until(lambda: len(remote.sent) == 31, 20, "the sends")
    assert max(remote.calls) == 10
    assert len(remote.calls) <= 6


def test_a_first_message_is_sent_at_once_and_those_after_it_wait_to_be_ten(database: Database, remote: Remote) -> None:
    outbox = Outbox(database, remote.send, timedelta(minutes=5))
    intake = PostgresIntake(database, outbox)
    accept(intake)
    until(lambda: remote.calls == [1], 20, "the first send")
    for _ in range(10):
        accept(intake)
    until(lambda: len(remote.calls) > 1, 20, "the next send")
    intake.accept([new_image(lane=Lane.BULK)])
    until(lambda: len(remote.calls) > 2, 20, "the send to a queue that had none")
    intake.accept([new_image() for _ in range(13)])
    until(lambda: len(remote.calls) > 3, 20, "the send of ten")
    assert remote.calls == [1, 10, 1, 10]
    outbox.close()
    assert remote.calls == [1, 10, 1, 10, 3]


def test_those_that_do_not_become_ten_wait_no_longer_than_the_linger(database: Database, remote: Remote) -> None:
    outbox = Outbox(database, remote.send, timedelta(seconds=0.3))
    intake = PostgresIntake(database, outbox)
    for _ in range(3):
        accept(intake)
    until(lambda: len(remote.sent) == 3, 20, "the sends")
    assert len(remote.calls) <= 2
    outbox.close()


def test_while_the_queue_is_away_messages_stay_and_the_sweeper_relays_them(
    database: Database, outbox: Outbox, remote: Remote, database_url: str
) -> None:
    remote.away = True
    image = accept(PostgresIntake(database, outbox))
    outbox.close()
    assert rows(database_url, "outbox") == 1
    sweeper = Outbox(database, remote.send, NOW)
    assert sweeper.relay(NOW, 100) == 0, "it is still away"
    assert rows(database_url, "outbox") == 1
    remote.away = False
    assert sweeper.relay(timedelta(hours=1), 100) == 0, "its own process may still send it"
    assert sweeper.relay(NOW, 100) == 1
    sweeper.close()
    assert rows(database_url, "outbox") == 0
    assert [decode(body).image_id for _, body in remote.sent] == [image.image_id]


def test_closing_sends_what_waits(database: Database, remote: Remote, database_url: str) -> None:
    outbox = Outbox(database, remote.send, timedelta(seconds=30))
    accept(PostgresIntake(database, outbox))
    outbox.close()
    assert len(remote.sent) == 1
    assert rows(database_url, "outbox") == 0


def test_no_more_images_are_sent_again_than_have_no_message_ready(
    database: Database, outbox: Outbox, remote: Remote
) -> None:
    intake, upkeep = PostgresIntake(database, outbox), PostgresUpkeep(database, outbox)
    images = [accept(intake) for _ in range(5)]
    until(lambda: len(remote.sent) == 5, 20, "the sends")
    idle = {ImageState.RECEIVED: NOW}
    assert upkeep.reissue_overdue(idle, 100, {"frame-submitted-live": 5}) == [], "the workers are only behind"
    lost = upkeep.reissue_overdue(idle, 100, {"frame-submitted-live": 3})
    assert [one.image_id for one in lost] == [image.image_id for image in images[:2]]
    until(lambda: len(remote.sent) == 7, 20, "the sends")
    assert upkeep.waiting_s().keys() == {"frame-submitted-live"}


def test_what_a_dead_worker_had_claimed_is_sent_again(database: Database, outbox: Outbox, remote: Remote) -> None:
    image = accept(PostgresIntake(database, outbox))
    progress, upkeep = PostgresProgress(database, outbox), PostgresUpkeep(database, outbox)
    must_claim(progress, Stage.PREPROCESS, image)
    idle, ready = {ImageState.RECEIVED: NOW}, {"frame-submitted-live": 0}
    assert upkeep.reissue_overdue(idle, 100, ready) == [], "its worker lives"
    progress.recover("worker")
    assert [one.image_id for one in upkeep.reissue_overdue(idle, 100, ready)] == [image.image_id]


def test_the_trace_of_the_upload_goes_with_every_message_and_is_seen_without_reading_it(
    database: Database, outbox: Outbox, remote: Remote
) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    PostgresIntake(database, outbox).accept([replace(new_image(), trace=trace)])
    until(lambda: remote.sent, 20, "the first send")
    progress = PostgresProgress(database, outbox)
    (claim,) = progress.claim(Stage.PREPROCESS, [decode(remote.sent[0][1])], "worker", LEASE)
    assert isinstance(claim, Claim)
    progress.complete([Completion(claim, Refused("truncated", "It ends too early."))])
    until(lambda: len(remote.sent) == 2, 20, "the second send")
    assert [attributes_of(body)["traceparent"] for _, body in remote.sent] == [trace, trace]
