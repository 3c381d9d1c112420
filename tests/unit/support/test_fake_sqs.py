"""Without adversity the fake is a strict standard queue, as the SDK sees it."""

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from .conftest import Fake, Open, sqs_client


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_message_arrives_as_it_was_sent_with_its_checksum_and_its_times(fake: Fake) -> None:
    answer = fake.client.send_message(QueueUrl=fake.url, MessageBody="grüße 📦")
    fake.running.advance(2.5)
    message = fake.receive_one()
    assert message["Body"] == "grüße 📦"
    assert message["MessageId"] == answer["MessageId"]
    md5 = hashlib.md5("grüße 📦".encode(), usedforsecurity=False).hexdigest()
    assert message["MD5OfBody"] == answer["MD5OfMessageBody"] == md5
    told = message["Attributes"]
    assert told["ApproximateReceiveCount"] == "1"
    assert int(told["ApproximateFirstReceiveTimestamp"]) - int(told["SentTimestamp"]) == 2500


def test_messages_come_in_the_order_in_which_they_were_sent(fake: Fake) -> None:
    sent = [str(n) for n in range(25)]
    fake.send(*sent)
    assert fake.bodies() + fake.bodies() + fake.bodies() == sent
    assert fake.bodies() == []


def test_a_received_message_is_hidden_until_its_visibility_ends(fake: Fake) -> None:
    fake.send("hello")
    first = fake.receive_one(VisibilityTimeout=60)
    fake.running.advance(59)
    assert fake.receive() == []
    fake.running.advance(1)
    second = fake.receive_one()
    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    first_at = "ApproximateFirstReceiveTimestamp"
    assert second["Attributes"][first_at] == first["Attributes"][first_at]


def test_without_a_visibility_of_its_own_a_receive_takes_that_of_the_queue(fake: Fake) -> None:
    fake.send("hello")
    fake.receive_one()
    fake.running.advance(29)
    assert fake.receive() == []
    fake.running.advance(1)
    assert fake.bodies() == ["hello"]


def test_a_changed_visibility_counts_from_now(fake: Fake) -> None:
    fake.send("hello")
    message = fake.receive_one()
    fake.running.advance(20)
    fake.hide(message, 30)
    fake.running.advance(29)
    assert fake.receive() == []
    fake.running.advance(1)
    assert fake.bodies() == ["hello"]


def test_a_message_of_visibility_zero_is_visible_at_once(fake: Fake) -> None:
    fake.send("hello")
    fake.hide(fake.receive_one(), 0)
    assert fake.receive_one(VisibilityTimeout=0)["Attributes"]["ApproximateReceiveCount"] == "2"
    assert fake.receive_one()["Attributes"]["ApproximateReceiveCount"] == "3"


def test_a_message_is_held_for_twelve_hours_in_all_at_most(fake: Fake) -> None:
    fake.send("hello")
    message = fake.receive_one()
    fake.running.advance(10)
    fake.hide(message, 43_190)
    with pytest.raises(ClientError, match="beyond the limit") as error:
        fake.hide(message, 43_191)
    assert code_of(error) == "InvalidParameterValue"


def test_an_old_receipt_neither_deletes_nor_hides(fake: Fake) -> None:
    fake.send("hello")
    stale = fake.receive_one()
    fake.running.advance(30)
    fake.receive_one()
    for attempt in (lambda: fake.delete(stale), lambda: fake.hide(stale, 0)):
        with pytest.raises(ClientError, match="expired") as error:
            attempt()
        assert code_of(error) == "InvalidParameterValue"
    assert fake.receive() == []
    fake.running.advance(30)
    assert fake.bodies() == ["hello"]


def test_the_last_receipt_still_deletes_after_its_visibility_but_hides_no_more(fake: Fake) -> None:
    fake.send("hello")
    message = fake.receive_one()
    fake.running.advance(31)
    with pytest.raises(fake.client.exceptions.MessageNotInflight):
        fake.hide(message, 30)
    fake.delete(message)
    assert fake.receive() == []


def test_a_deleted_message_is_gone_and_deleting_it_again_is_no_error(fake: Fake) -> None:
    fake.send("hello")
    message = fake.receive_one()
    fake.delete(message)
    fake.delete(message)
    with pytest.raises(ClientError, match="does not exist or is not available") as error:
        fake.hide(message, 30)
    assert code_of(error) == "InvalidParameterValue"
    fake.running.advance(3600)
    assert fake.receive() == []


def test_what_is_no_receipt_of_this_queue_is_refused(fake: Fake) -> None:
    other = fake.client.create_queue(QueueName="other")["QueueUrl"]
    fake.send("hello")
    receipt = fake.receive_one()["ReceiptHandle"]
    for url, handle in ((fake.url, "nonsense"), (other, receipt)):
        with pytest.raises(fake.client.exceptions.ReceiptHandleIsInvalid):
            fake.client.delete_message(QueueUrl=url, ReceiptHandle=handle)


def test_a_delay_of_the_message_counts_before_that_of_the_queue(fake: Fake) -> None:
    fake.client.set_queue_attributes(QueueUrl=fake.url, Attributes={"DelaySeconds": "60"})
    fake.send("queue")
    fake.send("own", DelaySeconds=5)
    assert fake.depth() == (0, 0, 2)
    fake.running.advance(5)
    assert fake.bodies() == ["own"]
    fake.running.advance(55)
    assert "queue" in fake.bodies()


def test_depth_tells_ready_in_flight_and_delayed_apart(fake: Fake) -> None:
    fake.send("a", "b", "c")
    fake.send("d", DelaySeconds=300)
    fake.receive_one()
    assert fake.depth() == (2, 1, 1)


def test_what_was_received_too_often_goes_to_the_dead_letters_as_old_as_it_was(fake: Fake) -> None:
    dead = fake.with_dead_letters(2)
    (id_,) = fake.send("poison")
    sent_at = fake.receive_one()["Attributes"]["SentTimestamp"]
    fake.running.advance(30)
    fake.receive_one()
    fake.running.advance(30)
    assert fake.receive() == []
    (letter,) = fake.client.receive_message(QueueUrl=dead, MessageSystemAttributeNames=["All"])["Messages"]
    assert (letter["MessageId"], letter["Body"]) == (id_, "poison")
    assert letter["Attributes"]["SentTimestamp"] == sent_at
    assert letter["Attributes"]["ApproximateReceiveCount"] == "3"
    assert letter["Attributes"]["DeadLetterQueueSourceArn"].endswith(":q")
    assert fake.client.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [fake.url]


def test_a_dying_message_does_not_take_the_place_of_another(fake: Fake) -> None:
    fake.with_dead_letters(1)
    fake.send("poison")
    fake.hide(fake.receive_one(), 0)
    fake.send("fine")
    assert fake.receive_one()["Body"] == "fine"


def test_a_message_older_than_the_retention_is_gone(fake: Fake) -> None:
    fake.client.set_queue_attributes(QueueUrl=fake.url, Attributes={"MessageRetentionPeriod": "60"})
    fake.send("old")
    fake.running.advance(61)
    assert fake.receive() == []
    assert fake.running.statistics()["messages"]["q"]["expired"] == 1


def test_a_long_poll_returns_as_soon_as_something_is_sent(fake: Fake) -> None:
    received: list[str] = []
    waiter = threading.Thread(target=lambda: received.extend(m["Body"] for m in fake.receive(WaitTimeSeconds=20)))
    began = time.monotonic()
    waiter.start()
    wait_for(lambda: polls(fake))
    fake.send("hello")
    waiter.join(10)
    assert received == ["hello"]
    assert time.monotonic() - began < 10


def test_a_long_poll_sees_a_message_whose_time_comes(fake: Fake) -> None:
    fake.send("later", DelaySeconds=15)
    received: list[str] = []
    waiter = threading.Thread(target=lambda: received.extend(m["Body"] for m in fake.receive(WaitTimeSeconds=20)))
    waiter.start()
    wait_for(lambda: polls(fake))
    fake.running.advance(15)
    waiter.join(10)
    assert received == ["later"]


def test_a_long_poll_ends_when_its_time_is_over_on_either_clock(fake: Fake) -> None:
    began = time.monotonic()
    assert fake.receive(WaitTimeSeconds=1) == []
    assert 0.9 < time.monotonic() - began < 10
    received: list[Any] = []
    waiter = threading.Thread(target=lambda: received.append(fake.receive(WaitTimeSeconds=20)))
    waiter.start()
    wait_for(lambda: polls(fake))
    fake.running.advance(20)
    waiter.join(10)
    assert received == [[]]


def test_a_poll_that_its_client_has_left_takes_no_message(fake: Fake) -> None:
    impatient = sqs_client(fake.running.url, read_timeout=1)
    with pytest.raises(ReadTimeoutError):
        impatient.receive_message(QueueUrl=fake.url, WaitTimeSeconds=20)
    impatient.close()
    wait_for(lambda: not polls(fake))
    fake.send("hello")
    assert fake.bodies() == ["hello"]


def test_a_poll_of_a_queue_that_is_deleted_is_told(fake: Fake) -> None:
    told: list[str] = []

    def poll() -> None:
        try:
            fake.receive(WaitTimeSeconds=20)
        except ClientError as error:
            told.append(error.response["Error"]["Code"])

    waiter = threading.Thread(target=poll)
    waiter.start()
    wait_for(lambda: polls(fake))
    fake.client.delete_queue(QueueUrl=fake.url)
    waiter.join(10)
    assert told == ["AWS.SimpleQueueService.NonExistentQueue"]


def test_a_purge_forgets_everything_and_may_not_be_repeated_within_a_minute(fake: Fake) -> None:
    fake.send("ready", "taken")
    fake.send("delayed", DelaySeconds=300)
    taken = fake.receive_one()
    fake.client.purge_queue(QueueUrl=fake.url)
    assert fake.depth() == (0, 0, 0)
    fake.delete(taken)
    with pytest.raises(fake.client.exceptions.PurgeQueueInProgress):
        fake.client.purge_queue(QueueUrl=fake.url)
    fake.running.advance(3600)
    assert fake.receive() == []
    fake.client.purge_queue(QueueUrl=fake.url)


def test_queues_are_created_found_listed_changed_and_deleted(fake: Fake) -> None:
    client = fake.client
    made = client.create_queue(QueueName="more", Attributes={"VisibilityTimeout": "90"})["QueueUrl"]
    assert made == client.create_queue(QueueName="more", Attributes={"VisibilityTimeout": "90"})["QueueUrl"]
    assert made == client.get_queue_url(QueueName="more")["QueueUrl"]
    with pytest.raises(client.exceptions.QueueNameExists):
        client.create_queue(QueueName="more", Attributes={"VisibilityTimeout": "91"})
    assert client.list_queues()["QueueUrls"] == [made, fake.url]
    assert client.list_queues(QueueNamePrefix="mo")["QueueUrls"] == [made]
    pages = client.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 1})
    assert [page["QueueUrls"] for page in pages] == [[made], [fake.url]]
    client.set_queue_attributes(QueueUrl=made, Attributes={"DelaySeconds": "7"})
    told = client.get_queue_attributes(QueueUrl=made, AttributeNames=["All"])["Attributes"]
    assert (told["VisibilityTimeout"], told["DelaySeconds"], told["MaximumMessageSize"]) == ("90", "7", str(1024**2))
    client.delete_queue(QueueUrl=made)
    with pytest.raises(client.exceptions.QueueDoesNotExist) as error:
        client.get_queue_url(QueueName="more")
    assert error.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(client.exceptions.QueueDeletedRecently):
        client.create_queue(QueueName="more")
    fake.running.advance(60)
    client.create_queue(QueueName="more")


def test_statistics_add_up_whatever_happens(open_fake: Open) -> None:
    fake = open_fake(
        seed=3, duplicates=0.3, reorder=0.3, delay=0.3, resurrect=0.3, partial_failures=0.2, stale_noop=0.5
    )
    dead = fake.with_dead_letters(4)
    for n in range(60):
        bodies = [{"Id": str(i), "MessageBody": f"{n}-{i}"} for i in range(5)]
        fake.client.send_message_batch(QueueUrl=fake.url, Entries=bodies)
        receipts = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(fake.receive())]
        if n % 2 and receipts:
            fake.client.delete_message_batch(QueueUrl=fake.url, Entries=receipts)
        fake.running.advance(11)
    statistics = fake.running.statistics()
    for told in statistics["messages"].values():
        came = told["sent"] + told["adopted"] + told["returned"]
        went = told["deleted"] + told["buried"] + told["expired"] + told["purged"]
        assert came == went + told["ready"] + told["in_flight"] + told["delayed"]
    assert statistics["messages"]["q"]["buried"] == statistics["messages"]["q-dead"]["adopted"] > 0
    assert statistics["messages"]["q"]["sent"] + statistics["adversities"]["partial_failures"] > 300
    assert statistics["calls_by_queue"]["q"]["SendMessageBatch"] == 60
    assert sum(statistics["calls_by_action"].values()) == statistics["calls"]
    assert sum(sum(by.values()) for by in statistics["calls_by_queue"].values()) == statistics["calls"]
    assert dead.endswith("q-dead")


def polls(fake: Fake) -> int:
    return fake.running.do(lambda broker: len(broker.queues["q"].watchers))


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
