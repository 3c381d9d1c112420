"""The limits of SQS and the words in which it refuses."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.aws import moto_server

from .conftest import Fake, Open, sqs_client

MOST = 1024 * 1024
PREFIX = "AWS.SimpleQueueService."
ATTRIBUTES = {
    "zoe": {"DataType": "String", "StringValue": "grüße"},
    "count": {"DataType": "Number.int", "StringValue": "42"},
    "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
}


def entries(*bodies: str, **more: Any) -> list[dict[str, Any]]:
    return [{"Id": str(n), "MessageBody": body, **more} for n, body in enumerate(bodies)]


def send_batch(fake: Fake, *bodies: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = fake.client.send_message_batch(QueueUrl=fake.url, Entries=entries(*bodies, **more))
    return answer


def refusal(call: Any, **asked: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as error:
        call(**asked)
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ([], "EmptyBatchRequest"),
        (entries(*"abcdefghijk"), "TooManyEntriesInBatchRequest"),
        (entries("a") + entries("b"), "BatchEntryIdsNotDistinct"),
        ([{"Id": "a b", "MessageBody": "x"}], "InvalidBatchEntryId"),
        ([{"Id": "x" * 81, "MessageBody": "x"}], "InvalidBatchEntryId"),
        (entries("x" * MOST, "x"), "BatchRequestTooLong"),
        (entries("é" * (MOST // 2), "x"), "BatchRequestTooLong"),
    ],
    ids=["empty", "eleven", "twice", "characters", "long id", "bytes", "bytes of UTF-8"],
)
def test_a_wrong_batch_is_refused_and_nothing_of_it_is_sent(fake: Fake, wrong: list[Any], code: str) -> None:
    assert refusal(fake.client.send_message_batch, QueueUrl=fake.url, Entries=wrong) == (400, PREFIX + code)
    assert fake.depth() == (0, 0, 0)
    assert fake.running.statistics()["errors"] == {PREFIX + code: 1}


def test_attributes_count_towards_the_size_of_a_batch(fake: Fake) -> None:
    body = "x" * (MOST - len("n" + "String" + "v"))
    attribute = {"MessageAttributes": {"n": {"DataType": "String", "StringValue": "v"}}}
    assert not send_batch(fake, body, **attribute)["Failed"]
    with pytest.raises(fake.client.exceptions.BatchRequestTooLong):
        send_batch(fake, body + "x", **attribute)


def test_one_mebibyte_is_taken_and_a_byte_more_is_not(fake: Fake) -> None:
    fake.send("x" * MOST)
    assert fake.receive_one()["Body"] == "x" * MOST
    too_long = {"QueueUrl": fake.url, "MessageBody": "x" * (MOST + 1)}
    assert refusal(fake.client.send_message, **too_long) == (400, "InvalidParameterValue")


def test_one_bad_entry_fails_by_the_senders_fault_and_the_others_are_sent(fake: Fake) -> None:
    bad = [{"Id": "late", "MessageBody": "x", "DelaySeconds": 901}, {"Id": "bell", "MessageBody": "\a"}]
    answer = fake.client.send_message_batch(QueueUrl=fake.url, Entries=[*entries("fine"), *bad])
    assert [sent["Id"] for sent in answer["Successful"]] == ["0"]
    failed = {(f["Id"], f["SenderFault"], f["Code"]) for f in answer["Failed"]}
    assert failed == {("late", True, "InvalidParameterValue"), ("bell", True, "InvalidMessageContents")}
    assert fake.bodies() == ["fine"]


def test_a_batch_of_receipts_is_settled_one_by_one(fake: Fake) -> None:
    fake.send("a", "b")
    receipts = [m["ReceiptHandle"] for m in fake.receive()]
    mixed = [{"Id": str(n), "ReceiptHandle": r} for n, r in enumerate([*receipts, "nonsense"])]
    hidden = fake.client.change_message_visibility_batch(
        QueueUrl=fake.url, Entries=[entry | {"VisibilityTimeout": 600} for entry in mixed]
    )
    fake.running.advance(599)
    deleted = fake.client.delete_message_batch(QueueUrl=fake.url, Entries=mixed)
    for answer in (hidden, deleted):
        assert [done["Id"] for done in answer["Successful"]] == ["0", "1"]
        (failed,) = answer["Failed"]
        assert (failed["Id"], failed["SenderFault"], failed["Code"]) == ("2", True, "ReceiptHandleIsInvalid")
    assert fake.depth() == (0, 0, 0)


@pytest.mark.parametrize(
    ("action", "asked", "code"),
    [
        ("receive_message", {"MaxNumberOfMessages": 0}, "InvalidParameterValue"),
        ("receive_message", {"MaxNumberOfMessages": 11}, "InvalidParameterValue"),
        ("receive_message", {"WaitTimeSeconds": 21}, "InvalidParameterValue"),
        ("receive_message", {"VisibilityTimeout": 43_201}, "InvalidParameterValue"),
        ("receive_message", {"MessageSystemAttributeNames": ["Nonsense"]}, "InvalidAttributeName"),
        ("send_message", {"MessageBody": "x", "DelaySeconds": 901}, "InvalidParameterValue"),
        ("send_message", {"MessageBody": "x", "DelaySeconds": -1}, "InvalidParameterValue"),
        ("send_message", {"MessageBody": ""}, "MissingParameter"),
        ("send_message", {"MessageBody": "\x00"}, "InvalidMessageContents"),
        ("send_message", {"MessageBody": "\ufffe"}, "InvalidMessageContents"),
        (
            "send_message",
            {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": "Text", "StringValue": "x"}}},
            "InvalidParameterValue",
        ),
        (
            "send_message",
            {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": "String", "StringValue": ""}}},
            "InvalidParameterValue",
        ),
        ("set_queue_attributes", {"Attributes": {"VisibilityTimeout": "43201"}}, "InvalidAttributeValue"),
        ("set_queue_attributes", {"Attributes": {"RedrivePolicy": "{}"}}, "InvalidAttributeValue"),
        ("set_queue_attributes", {"Attributes": {"Nonsense": "1"}}, "InvalidAttributeName"),
        ("get_queue_attributes", {"AttributeNames": ["Nonsense"]}, "InvalidAttributeName"),
    ],
)
def test_what_is_out_of_range_is_refused(fake: Fake, action: str, asked: dict[str, Any], code: str) -> None:
    assert refusal(getattr(fake.client, action), QueueUrl=fake.url, **asked) == (400, code)
    assert fake.depth() == (0, 0, 0)


def test_a_dead_letter_queue_must_exist(fake: Fake) -> None:
    policy = {"RedrivePolicy": '{"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:0:none", "maxReceiveCount": 3}'}
    asked = {"QueueUrl": fake.url, "Attributes": policy}
    assert refusal(fake.client.set_queue_attributes, **asked) == (400, "InvalidParameterValue")


@pytest.mark.parametrize("name", ["", "a.fifo", "a b", "x" * 81])
def test_a_queue_has_a_plain_name(fake: Fake, name: str) -> None:
    assert refusal(fake.client.create_queue, QueueName=name) == (400, "InvalidParameterValue")


def test_with_too_many_in_flight_a_receive_is_refused_until_some_are_settled(open_fake: Open) -> None:
    fake = open_fake(in_flight_limit=3)
    fake.send("a", "b", "c", "d")
    held = fake.receive()
    assert len(held) == 3
    with pytest.raises(fake.client.exceptions.OverLimit):
        fake.receive()
    fake.delete(held[0])
    assert fake.bodies() == ["d"]


def test_attributes_come_back_when_asked_for_with_the_checksum_that_moto_computes_too(fake: Fake) -> None:
    asked = {"MessageBody": "x", "MessageAttributes": ATTRIBUTES}
    sent = fake.client.send_message(QueueUrl=fake.url, **asked)["MD5OfMessageAttributes"]
    message = fake.receive_one(MessageAttributeNames=["All"])
    assert message["MessageAttributes"] == asked["MessageAttributes"]
    assert message["MD5OfMessageAttributes"] == sent
    with moto_server() as url:
        moto = sqs_client(url)
        queue = moto.create_queue(QueueName="q")["QueueUrl"]
        assert moto.send_message(QueueUrl=queue, **asked)["MD5OfMessageAttributes"] == sent
        moto.close()


def test_only_the_attributes_asked_for_come_back(fake: Fake) -> None:
    text = {"DataType": "String", "StringValue": "x"}
    fake.send("hello", MessageAttributes={"trace.id": text, "trace.parent": text, "other": text})
    message = fake.receive_one(MessageAttributeNames=["trace.*"])
    assert message["MessageAttributes"].keys() == {"trace.id", "trace.parent"}
    fake.running.advance(30)
    assert "MessageAttributes" not in fake.receive_one()
