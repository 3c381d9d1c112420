import dataclasses
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from framegate.adapters.aws.client import make_client
from framegate.adapters.aws.hook_sns import CALLS, SnsHook, open_sns, publication
from framegate.adapters.memory import FakeClock
from framegate.kernel.errors import ConfigurationError
from framegate.ports.hooks import Ending, Endpoint, HookKind, HookMessage, HookRefused, Reason
from tests.support.aws import REGION, lead_to
from tests.support.receivers import ReceiverServer, Request, answering, sending

ARN = "arn:aws:sns:eu-central-1:123456789012:alerts"
MESSAGE = HookMessage(
    "msg_1", "incident.opened", b'{"umlaut": "\xc3\xb6"}', "Torn cartons", "At dock-3", "https://box/i/1", "critical"
)


def endpoint(arn: str = ARN) -> Endpoint:
    return Endpoint("e", HookKind.SNS, arn)


@pytest.mark.parametrize(
    "arn",
    [
        ARN,
        f"{ARN}.fifo",
        "arn:aws-cn:sns:cn-north-1:123456789012:a",
        "arn:aws-us-gov:sns:us-gov-west-1:123456789012:A_b-1",
        "arn:aws-iso-b:sns:us-isob-east-1:123456789012:a",
    ],
)
def test_the_arn_of_a_topic_is_accepted(arn: str) -> None:
    SnsHook(FakeClock()).check(arn)


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "alerts",
        "arn:aws:sqs:eu-central-1:123456789012:alerts",
        "arn:aws:sns:eu-central-1:123456789012:",
        "arn:aws:sns:eu-central-1:12345678901:alerts",
        "arn:aws:sns::123456789012:alerts",
        "arn:aws:sns:evil.example.org/:123456789012:alerts",
        "arn:aws:sns:eu-central-1@evil:123456789012:alerts",
        "arn:aws:sns:eu-central-1:123456789012:alerts:0a1b-subscription",
        "arn:aws:sns:eu-central-1:123456789012:alerts.fifo.fifo",
        f"{ARN}\n",
        f" {ARN}",
        "https://sns.eu-central-1.amazonaws.com/",
    ],
)
def test_anything_else_is_refused_and_never_asked(arn: str) -> None:
    def never(_region: str) -> Any:
        raise AssertionError("no client for this")

    hook = SnsHook(FakeClock(), never)
    with pytest.raises(HookRefused, match="arn:aws:sns") as refused:
        hook.check(arn)
    assert refused.value.slug == "invalid-webhook-url"
    assert hook.deliver(endpoint(arn), MESSAGE).reason is Reason.INVALID_URL


def test_programs_get_the_payload_and_people_get_words() -> None:
    told = publication(ARN, MESSAGE)
    words = json.loads(told["Message"])
    assert told["MessageStructure"] == "json"
    assert words["default"].encode() == MESSAGE.payload
    assert words["email"] == "Torn cartons\n\nAt dock-3\n\nhttps://box/i/1"
    assert words["sms"] == "Torn cartons"
    assert {name: value["StringValue"] for name, value in told["MessageAttributes"].items()} == {
        "message_id": "msg_1",
        "type": "incident.opened",
        "severity": "critical",
    }
    assert "MessageGroupId" not in told


def test_a_fifo_topic_drops_the_second_try_of_a_message() -> None:
    told = publication(f"{ARN}.fifo", MESSAGE)
    assert (told["MessageGroupId"], told["MessageDeduplicationId"]) == ("msg_1", "msg_1")


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("Torn cartons", "Torn cartons"),
        ("x" * 200, "x" * 99),
        ("Zerrissene Kärtons\nx: y", "Zerrissene K?rtons?x: y"),
        ("  spaces  ", "spaces"),
        ("", "incident.opened"),
    ],
)
def test_the_subject_is_one_that_sns_takes(title: str, subject: str) -> None:
    assert publication(ARN, dataclasses.replace(MESSAGE, title=title))["Subject"] == subject


def test_a_message_reaches_a_topic_and_a_fifo_topic(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(moto_url, monkeypatch)
    client = make_client("sns", REGION)
    topics = [
        client.create_topic(Name="plain")["TopicArn"],
        client.create_topic(Name="strict.fifo", Attributes={"FifoTopic": "true"})["TopicArn"],
    ]
    client.close()
    hook = SnsHook(FakeClock())
    for arn in topics:
        assert hook.deliver(endpoint(arn), MESSAGE).ending is Ending.DELIVERED
        (sent,) = sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics[arn].sent_notifications
        assert json.loads(sent[1])["default"].encode() == MESSAGE.payload
        assert sent[4] == ("msg_1" if arn.endswith(".fifo") else None)
    hook.close()


def test_a_topic_that_does_not_exist_is_tried_again_and_named(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(moto_url, monkeypatch)
    hook = SnsHook(FakeClock())
    attempt = hook.deliver(endpoint("arn:aws:sns:eu-central-1:123456789012:nowhere"), MESSAGE)
    hook.close()
    assert (attempt.ending, attempt.status, attempt.reason) == (Ending.RETRY, 404, Reason.STATUS)
    assert "SNS topic arn:aws:sns:eu-central-1:123456789012:nowhere" in attempt.detail


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReceiverServer]:
    made = ReceiverServer()
    lead_to(f"http://127.0.0.1:{made.port}", monkeypatch)
    yield made
    made.close()


def test_a_refusal_for_lack_of_permission_names_the_permission(server: ReceiverServer) -> None:
    server.behaviour = answering(403, {}, b"<R><Error><Code>AccessDenied</Code><Message>no</Message></Error></R>")
    hook = SnsHook(FakeClock())
    attempt = hook.deliver(endpoint(), MESSAGE)
    hook.close()
    assert (attempt.ending, attempt.status) == (Ending.RETRY, 403)
    assert "sns:Publish" in attempt.detail


def test_the_schedule_tries_again_and_not_boto3(server: ReceiverServer) -> None:
    server.behaviour = answering(503)
    hook = SnsHook(FakeClock())
    hook.deliver(endpoint(), MESSAGE)
    hook.close()
    assert len(server.requests) == 1


def test_silence_costs_its_limit(server: ReceiverServer) -> None:
    server.behaviour = lambda _connection, _request: server.ended.wait(20) and None
    hook = SnsHook(FakeClock(), lambda region: make_client("sns", region, read_s=0.3, attempts=1))
    attempt = hook.deliver(endpoint(), MESSAGE)
    hook.close()
    assert (attempt.ending, attempt.status, attempt.reason) == (Ending.RETRY, None, Reason.TIMEOUT)
    assert attempt.elapsed_ms < 5_000


def test_an_answer_that_drips_ends_at_the_deadline(server: ReceiverServer) -> None:
    def drip(connection: Any, _request: Request) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not server.ended.wait(0.01):
            connection.sendall(b"x")

    server.behaviour = drip
    hook = SnsHook(FakeClock(), deadline_s=0.3)
    attempt = hook.deliver(endpoint(), MESSAGE)
    server.close()
    hook.close()
    for thread in [thread for thread in threading.enumerate() if thread.name == "sns-publish"]:
        thread.join(10)
    assert (attempt.ending, attempt.reason) == (Ending.RETRY, Reason.TIMEOUT)
    assert attempt.elapsed_ms < 3_000


def test_calls_that_hang_take_no_more_threads_than_there_are_slots() -> None:
    ended = threading.Event()

    class Hanging:
        def publish(self, **_told: Any) -> Any:
            ended.wait(20)
            return {"ResponseMetadata": {"HTTPStatusCode": 200}}

        def close(self) -> None:
            pass

    hook = SnsHook(FakeClock(), lambda _region: Hanging(), deadline_s=0.01)
    reasons = {hook.deliver(endpoint(), MESSAGE).reason for _ in range(CALLS + 4)}
    threads = [thread for thread in threading.enumerate() if thread.name == "sns-publish"]
    ended.set()
    for thread in threads:
        thread.join(10)
    assert reasons == {Reason.TIMEOUT}
    assert len(threads) == CALLS
    assert hook.deliver(endpoint(), MESSAGE).ending is Ending.DELIVERED


def test_a_call_that_gets_no_thread_gives_its_slot_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def unknown(_region: str) -> Any:
        raise ConfigurationError("no such region")

    hook = SnsHook(FakeClock(), unknown, deadline_s=0.5)
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refused)
        for _ in range(40):
            with pytest.raises(RuntimeError):
                hook.deliver(endpoint(), MESSAGE)
    assert hook.deliver(endpoint(), MESSAGE).reason is Reason.CREDENTIALS


def test_what_is_our_own_mistake_is_raised() -> None:
    class Broken:
        def publish(self, **_told: Any) -> Any:
            raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        SnsHook(FakeClock(), lambda _region: Broken()).deliver(endpoint(), MESSAGE)


def test_what_is_not_aws_is_tried_again(server: ReceiverServer) -> None:
    hook = SnsHook(FakeClock())
    for nonsense in (b"nonsense\r\n\r\n", b"HTTP/1.1 500 no\r\ncontent-length: 3\r\n\r\nxyz", b""):
        server.behaviour = sending(nonsense)
        attempt = hook.deliver(endpoint(), MESSAGE)
        assert (attempt.ending, attempt.status, attempt.reason) == (Ending.RETRY, None, Reason.PROTOCOL)
        assert "xyz" not in attempt.detail
    hook.close()


def test_missing_credentials_are_said(server: ReceiverServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    hook = SnsHook(FakeClock())
    attempt = hook.deliver(endpoint(), MESSAGE)
    hook.close()
    assert (attempt.ending, attempt.reason) == (Ending.RETRY, Reason.CREDENTIALS)
    assert "AWS_ACCESS_KEY_ID" in attempt.detail
    assert server.requests == []


def test_a_client_that_cannot_be_made_is_a_failed_try() -> None:
    def broken(_region: str) -> Any:
        raise ConfigurationError("set AWS_PROFILE")

    attempt = SnsHook(FakeClock(), broken).deliver(endpoint(), MESSAGE)
    assert (attempt.ending, attempt.reason, attempt.detail) == (Ending.RETRY, Reason.CREDENTIALS, "set AWS_PROFILE")


def test_each_topic_is_asked_in_its_own_region(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(moto_url, monkeypatch)
    opened: list[str] = []

    def opening(region: str) -> Any:
        opened.append(region)
        return open_sns(region)

    hook = SnsHook(FakeClock(), opening)
    for region in ("eu-central-1", "us-east-1", "eu-central-1"):
        hook.deliver(endpoint(f"arn:aws:sns:{region}:123456789012:alerts"), MESSAGE)
    hook.close()
    assert opened == ["eu-central-1", "us-east-1"]
