"""What every queue does, whatever it is made of."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from framegate.adapters.aws.queue import SqsClients
from framegate.adapters.memory import FakeClock
from framegate.kernel.ids import FacilityId, new_image_id
from framegate.kernel.messages import FrameSubmitted, attributes_of, decode, encode
from framegate.ports.queue import Delivery
from tests.support.aws import lead_to
from tests.support.fake_sqs.running import RunningFake, running_fake_sqs

from .harness import Harness, LettersQueue, MemoryHarness, seconds
from .postgres_harness import PostgresHarness
from .sqs_harness import FakeSqsHarness, SqsHarness, shared_clients

Q, OTHER = "frame-submitted-live", "frame-submitted-bulk"
NOW, MINUTE = seconds(0), seconds(60)


@pytest.fixture(scope="module")
def moto_clients(moto_url: str) -> Iterator[SqsClients]:
    with pytest.MonkeyPatch.context() as patch:
        lead_to(moto_url, patch)
        with shared_clients() as clients:
            yield clients


@pytest.fixture(scope="module")
def fake_sqs() -> Iterator[tuple[SqsClients, RunningFake, FakeClock]]:
    clock = FakeClock(blocking=True)
    with running_fake_sqs(clock=clock) as fake, pytest.MonkeyPatch.context() as patch:
        lead_to(fake.url, patch)
        with shared_clients() as clients:
            yield clients, fake, clock


@pytest.fixture(params=["memory", "postgres", "moto", "fake-sqs"])
def harness(request: pytest.FixtureRequest) -> Iterator[Any]:
    made: Any
    match request.param:
        case "memory":
            made = MemoryHarness()
        case "postgres":
            made = PostgresHarness(request.getfixturevalue("database_url"))
        case "moto":
            made = SqsHarness(request.getfixturevalue("moto_clients"))
        case _:
            made = FakeSqsHarness(*request.getfixturevalue("fake_sqs"))
    yield made
    made.close()


def knows_owners(harness: Harness) -> bool:
    return harness.name != "sqs"


def repeats(harness: Harness) -> bool:
    """moto now and then gives one message to two receivers that ask at the same moment, as standard queues may."""
    return bool(getattr(harness, "repeats", False))


def receive(queue: LettersQueue, limit: int = 10, *queues: str, wait: float = 0) -> list[Delivery]:
    return queue.receive(queues or (Q,), limit, seconds(wait), MINUTE)


def receive_one(queue: LettersQueue, *queues: str) -> Delivery:
    (delivery,) = receive(queue, 1, *queues)
    return delivery


def test_a_message_arrives_with_its_body_its_queue_and_a_receive_count_of_one(queue: LettersQueue) -> None:
    queue.send(Q, ["hello"])
    delivery = receive_one(queue)
    assert (delivery.body, delivery.queue, delivery.receive_count) == ("hello", Q, 1)


def test_an_empty_queue_gives_nothing(queue: LettersQueue) -> None:
    assert receive(queue) == []
    assert receive(queue, wait=0.02) == []


def test_sending_no_bodies_sends_nothing(queue: LettersQueue) -> None:
    queue.send(Q, [])
    assert receive(queue) == []


def test_a_received_message_is_hidden_until_its_visibility_ends(harness: Harness, queue: LettersQueue) -> None:
    queue.send(Q, ["hello"])
    first = receive_one(queue)
    harness.advance(59)
    assert receive(queue) == []
    harness.advance(2)
    second = receive_one(queue)
    assert second.message_id == first.message_id
    assert second.receipt != first.receipt
    assert second.receive_count == 2
    assert second.enqueued_at <= first.enqueued_at


def test_extending_counts_from_now(harness: Harness, queue: LettersQueue) -> None:
    queue.send(Q, ["hello"])
    delivery = receive_one(queue)
    harness.advance(50)
    assert queue.extend([delivery], MINUTE) == []
    harness.advance(50)
    assert receive(queue) == []
    harness.advance(11)
    assert receive_one(queue).receive_count == 2


def test_a_stale_receipt_does_nothing_and_is_reported(harness: Harness, queue: LettersQueue) -> None:
    queue.send(Q, ["hello"])
    stale = receive_one(queue)
    harness.advance(61)
    current = receive_one(queue)
    assert queue.extend([stale], seconds(600)) == [stale]
    assert queue.acknowledge([stale]) == [stale]
    queue.release([stale])
    queue.dead_letter(stale, "stale")
    assert receive(queue) == [], "the stale receipt released the message"
    assert queue.list_dead() == []
    harness.advance(61)
    assert receive_one(queue).message_id == current.message_id, "the stale receipt deleted or extended the message"


def test_only_the_stale_ones_of_several_are_reported(harness: Harness, queue: LettersQueue) -> None:
    queue.send(Q, ["a"])
    stale = receive_one(queue)
    harness.advance(61)
    receive_one(queue)
    queue.send(Q, ["b"])
    fresh = receive_one(queue)
    assert queue.extend([fresh, stale], MINUTE) == [stale]
    assert queue.acknowledge([stale, fresh]) == [stale]
    harness.advance(61)
    assert [d.body for d in receive(queue)] == ["a"]


def test_an_acknowledged_message_never_comes_back(harness: Harness, queue: LettersQueue) -> None:
    queue.send(Q, ["hello"])
    delivery = receive_one(queue)
    assert queue.acknowledge([delivery]) == []
    assert queue.acknowledge([delivery]) == [delivery], "it was there to be deleted a second time"
    harness.advance(3600)
    assert receive(queue) == []


def test_a_released_message_is_ready_at_once_and_counts_on(queue: LettersQueue) -> None:
    queue.send(Q, ["hello"])
    queue.release([receive_one(queue)])
    assert receive_one(queue).receive_count == 2


def test_a_release_with_a_delay_hides_the_message_for_that_long(harness: Harness, queue: LettersQueue) -> None:
    queue.send(Q, ["hello"])
    queue.release([receive_one(queue)], seconds(30))
    depth = queue.depth(Q)
    assert (depth.ready, depth.in_flight + depth.delayed) == (0, 1), "SQS calls it in flight"
    harness.advance(29)
    assert receive(queue) == []
    harness.advance(2)
    assert receive_one(queue).receive_count == 2


def test_a_message_sent_with_a_delay_comes_after_it(harness: Harness, queue: LettersQueue) -> None:
    queue.send(Q, ["later"], seconds(30))
    assert receive(queue) == []
    harness.advance(31)
    assert receive_one(queue).body == "later"


def test_no_receive_brings_more_than_the_limit(queue: LettersQueue) -> None:
    queue.send(Q, [f"{i}" for i in range(8)])
    assert [len(receive(queue, 3)) for _ in range(4)] == [3, 3, 2, 0]


def test_no_receive_brings_more_than_the_adapters_own_limit(harness: Harness, queue: LettersQueue) -> None:
    sent = [f"{i}" for i in range(queue.max_receive + 5)]
    queue.send(Q, sent)
    first = receive(queue, len(sent) * 2)
    assert 0 < len(first) <= queue.max_receive
    bodies = [d.body for d in first]
    while more := receive(queue, len(sent) * 2):
        bodies += [d.body for d in more]
    assert sorted(set(bodies) if repeats(harness) else bodies) == sorted(sent)


def test_queues_are_emptied_in_order_of_preference(queue: LettersQueue) -> None:
    queue.send(OTHER, ["bulk-1", "bulk-2"])
    queue.send(Q, ["live-1", "live-2"])
    assert {d.body for d in receive(queue, 2, Q, OTHER)} == {"live-1", "live-2"}
    assert {d.body for d in receive(queue, 2, Q, OTHER)} == {"bulk-1", "bulk-2"}


def test_one_receive_fills_up_from_the_next_queue(queue: LettersQueue) -> None:
    queue.send(OTHER, ["bulk-1", "bulk-2"])
    queue.send(Q, ["live-1"])
    received = receive(queue, 2, Q, OTHER)
    if len(received) == 1:  # allowed: up to `limit`; but the preferred queue comes first
        received += receive(queue, 1, Q, OTHER)
    assert [(d.body[:4], d.queue) for d in received] == [("live", Q), ("bulk", OTHER)]


def test_other_queues_are_left_alone(queue: LettersQueue) -> None:
    queue.send(OTHER, ["bulk"])
    assert receive(queue) == []
    assert receive_one(queue, OTHER).body == "bulk"


def test_a_waiting_receive_returns_when_something_arrives(harness: Harness, queue: LettersQueue) -> None:
    received: list[Delivery] = []
    waiter = threading.Thread(target=lambda: received.extend(receive(queue, 10, Q, wait=45)), daemon=True)
    waiter.start()
    time.sleep(0.1)  # so that it most likely waits already; the test holds when it does not
    harness.queue_of("sender").send(Q, ["hello"])
    waiter.join(20)
    assert not waiter.is_alive(), "receive slept on although a message was there"
    assert [d.body for d in received] == ["hello"]


def test_an_interrupt_ends_a_wait(queue: LettersQueue) -> None:
    received: list[list[Delivery]] = []
    waiter = threading.Thread(target=lambda: received.append(receive(queue, 10, Q, wait=45)), daemon=True)
    waiter.start()
    for _ in range(200):  # an interrupt before the wait begins may be missed
        queue.interrupt()
        waiter.join(0.1)
        if not waiter.is_alive():
            break
    assert received == [[]]


def test_after_an_interrupt_messages_are_still_received(queue: LettersQueue) -> None:
    queue.interrupt()
    queue.send(Q, ["hello"])
    assert receive_one(queue).body == "hello"


@pytest.mark.parametrize(
    "body",
    ["", "not json", "{", '{"v": 99}', "\n\t ", "grüße 📦 \u2028", "x" * 70_000],
    ids=lambda body: repr(body[:12]),
)
def test_bodies_that_mean_nothing_pass_through_unchanged(harness: Harness, queue: LettersQueue, body: str) -> None:
    if harness.name == "sqs" and not body:
        with pytest.raises(ValueError, match="empty"):
            queue.send(Q, [body])
        return
    queue.send(Q, [body])
    assert receive_one(queue).body == body


def test_a_body_of_one_mebibyte_is_taken(queue: LettersQueue) -> None:
    body = "é" * (512 * 1024)
    queue.send(Q, [body])
    assert receive_one(queue).body == body


@pytest.mark.parametrize("body", ["x" * (1024 * 1024 + 1), "é" * (512 * 1024) + "x"], ids=["ascii", "utf-8"])
def test_a_larger_body_is_refused_and_nothing_of_that_call_is_sent(queue: LettersQueue, body: str) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        queue.send(Q, ["small", body])
    assert receive(queue) == []


def test_a_message_received_too_often_becomes_a_dead_letter(harness: Harness, queue: LettersQueue) -> None:
    queue.send(Q, ["poison", "fine"])
    for count in range(1, harness.max_receives + 1):
        deliveries = receive(queue)
        (poison,) = [d for d in deliveries if d.body == "poison"]
        assert poison.receive_count == count
        queue.acknowledge([d for d in deliveries if d.body == "fine"])
        queue.release([poison])
    assert receive(queue) == []
    (letter,) = queue.list_dead()
    assert (letter.body, letter.queue, letter.cause) == ("poison", Q, "receive-count")
    assert letter.receive_count >= harness.max_receives


def test_a_dying_message_does_not_hide_the_others(harness: Harness, queue: LettersQueue) -> None:
    queue.send(Q, ["poison"])
    for _ in range(harness.max_receives):
        queue.release([receive_one(queue)])
    queue.send(Q, ["fine"])
    bodies = [d.body for _ in range(2) for d in receive(queue, 1)]
    assert bodies == ["fine"]


def test_a_dead_letter_keeps_its_cause_and_can_be_looked_up(queue: LettersQueue) -> None:
    queue.send(Q, ["bad"])
    queue.dead_letter(receive_one(queue), "undecodable")
    (letter,) = queue.list_dead()
    assert (letter.body, letter.queue, letter.cause, letter.receive_count) == ("bad", Q, "undecodable", 1)
    assert queue.dead(letter.id) == letter
    assert queue.depth(Q).in_flight == 0


def test_an_unknown_dead_letter_is_none(queue: LettersQueue) -> None:
    assert queue.dead("0") is None
    assert queue.dead("there is no such letter") is None
    assert queue.redrive(["there is no such letter"]) == 0


def test_dead_letters_are_listed_newest_first_up_to_the_limit(harness: Harness, queue: LettersQueue) -> None:
    for body in ("a", "b", "c"):
        queue.send(Q, [body])
        queue.dead_letter(receive_one(queue), "test")
        harness.advance(1)
    assert [letter.body for letter in queue.list_dead()] == ["c", "b", "a"]
    assert [letter.body for letter in queue.list_dead(2)] == ["c", "b"]


def test_dead_letters_are_counted_by_queue(queue: LettersQueue) -> None:
    assert queue.count_dead() == {}
    queue.send(Q, ["a", "b"])
    for delivery in receive(queue, 2):
        queue.dead_letter(delivery, "test")
    assert queue.count_dead() == {Q: 2}
    queue.redrive()
    assert queue.count_dead() == {}


def test_a_redriven_message_is_delivered_as_if_for_the_first_time(queue: LettersQueue) -> None:
    queue.send(Q, ["bad"])
    queue.release([receive_one(queue)])
    queue.dead_letter(receive_one(queue), "test")
    assert queue.redrive() == 1
    assert queue.list_dead() == []
    again = receive_one(queue)
    assert (again.body, again.queue, again.receive_count) == ("bad", Q, 1)
    assert queue.redrive() == 0


def test_only_the_named_dead_letters_are_redriven(queue: LettersQueue) -> None:
    queue.send(Q, ["a", "b"])
    for delivery in receive(queue, 2):
        queue.dead_letter(delivery, "test")
    (wanted,) = [letter.id for letter in queue.list_dead() if letter.body == "a"]
    assert queue.redrive([wanted]) == 1
    assert [d.body for d in receive(queue)] == ["a"]
    assert [letter.body for letter in queue.list_dead()] == ["b"]


def test_recover_frees_what_that_owner_holds_and_nothing_else(harness: Harness, queue: LettersQueue) -> None:
    dead, living = harness.queue_of("dead"), harness.queue_of("living")
    queue.send(Q, ["a", "b"])
    lost, kept = receive_one(dead), receive_one(living)
    if not knows_owners(harness):
        assert queue.recover("dead") == 0
        assert receive(queue) == [], "what nobody knows to be lost comes again when its visibility ends"
        return
    assert queue.recover("dead") == 1
    (again,) = receive(queue)
    assert (again.message_id, again.receive_count) == (lost.message_id, 2)
    assert dead.acknowledge([lost]) == [lost]
    assert living.acknowledge([kept]) == []
    assert queue.recover("dead") == 0
    assert queue.recover("nobody") == 0


def test_recover_frees_nothing_that_its_owner_has_let_go(harness: Harness, queue: LettersQueue) -> None:
    dead = harness.queue_of("dead")
    queue.send(Q, ["done", "delayed"])
    for delivery in receive(dead, 2):
        if delivery.body == "done":
            dead.acknowledge([delivery])
        else:
            dead.release([delivery], MINUTE)
    assert queue.recover("dead") == 0
    assert receive(queue) == []


def test_depth_tells_ready_in_flight_and_delayed_apart(harness: Harness, queue: LettersQueue) -> None:
    empty = queue.depth(Q)
    assert (empty.ready, empty.in_flight, empty.delayed, empty.oldest_age_s) == (0, 0, 0, None)
    queue.send(Q, ["a", "b", "c"])
    queue.send(Q, ["d"], seconds(300))
    queue.send(OTHER, ["elsewhere"])
    receive_one(queue)
    depth = queue.depth(Q)
    assert (depth.ready, depth.in_flight, depth.delayed) == (2, 1, 1)
    harness.advance(61)
    depth = queue.depth(Q)
    assert (depth.ready, depth.in_flight, depth.delayed) == (3, 0, 1)


def test_the_oldest_age_is_that_of_what_waits(harness: Harness, queue: LettersQueue) -> None:
    queue.send(Q, ["old"])
    harness.advance(100)
    queue.send(Q, ["young"])
    age = queue.depth(Q).oldest_age_s
    if harness.name == "sqs":
        assert age is None, "only CloudWatch knows"
        return
    assert age is not None
    assert 100 <= age < 130
    deliveries = receive(queue)
    assert queue.depth(Q).oldest_age_s is None, "nothing waits: all is in flight"
    queue.release([d for d in deliveries if d.body == "young"])
    age = queue.depth(Q).oldest_age_s
    assert age is not None
    assert age < 30


def test_eight_receivers_get_every_message_exactly_once(harness: Harness, queue: LettersQueue) -> None:
    bodies = [f"m{i}" for i in range(500 if knows_owners(harness) else 150)]  # moto takes 50 calls a second
    queue.send(Q, bodies)
    seen: Counter[str] = Counter()
    stale: list[Delivery] = []
    lock = threading.Lock()

    def work(name: str) -> None:
        mine = harness.queue_of(name)
        while deliveries := receive(mine, 7):
            lost = mine.acknowledge(deliveries)
            with lock:
                seen.update(d.body for d in deliveries)
                stale.extend(lost)

    threads = [threading.Thread(target=work, args=(f"worker-{i}",), daemon=True) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    if repeats(harness):
        assert seen.keys() == set(bodies)
    else:
        assert stale == []
        assert seen == Counter(bodies)
    assert receive(queue) == []


def test_the_trace_of_an_image_comes_through_and_back_from_the_dead_letters(harness: Harness) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    queue = harness.queue
    queue.send(Q, [encode(FrameSubmitted(FacilityId("main"), new_image_id(), trace=trace))])
    sent = receive_one(queue)
    queue.dead_letter(sent, "a test")
    assert queue.redrive() == 1
    again = receive_one(queue)
    assert [decode(one.body).trace for one in (sent, again)] == [trace, trace]


@pytest.mark.parametrize("harness", ["moto", "fake-sqs"], indirect=True)
def test_sqs_shows_the_trace_as_an_attribute_also_of_dead_letters(harness: SqsHarness) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    body = encode(FrameSubmitted(FacilityId("main"), new_image_id(), trace=trace))
    harness.queue.send(Q, [body])
    harness.queue.dead_letter(receive_one(harness.queue), "a test")
    (dead,) = harness.raw(f"{Q}-dead")
    assert dead.items() >= attributes_of(body).items()
    assert harness.queue.redrive() == 1
    (risen,) = harness.raw(Q)
    assert risen == attributes_of(body)
    assert risen["traceparent"] == trace
