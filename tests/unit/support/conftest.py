"""The real SDK against the fake: what it accepts, the adapter accepts."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config

from framegate.adapters.memory import FakeClock
from tests.support.fake_sqs import Adversity, RunningFake, running_fake_sqs

Open = Callable[..., "Fake"]


@dataclass
class Fake:
    """A fake with a clock that stands, a client that never tries again, and a queue `q` of 30 s visibility."""

    running: RunningFake
    client: Any
    url: str

    def send(self, *bodies: str, **more: Any) -> list[str]:
        return [self.client.send_message(QueueUrl=self.url, MessageBody=b, **more)["MessageId"] for b in bodies]

    def receive(self, most: int = 10, **more: Any) -> list[dict[str, Any]]:
        asked = {"MaxNumberOfMessages": most, "MessageSystemAttributeNames": ["All"], **more}
        messages: list[dict[str, Any]] = self.client.receive_message(QueueUrl=self.url, **asked).get("Messages", [])
        return messages

    def receive_one(self, **more: Any) -> dict[str, Any]:
        (message,) = self.receive(1, **more)
        return message

    def bodies(self) -> list[str]:
        return [message["Body"] for message in self.receive()]

    def delete(self, message: dict[str, Any]) -> None:
        self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def hide(self, message: dict[str, Any], seconds: int) -> None:
        self.client.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds
        )

    def depth(self) -> tuple[int, int, int]:
        """Ready, in flight, delayed."""
        names = [f"ApproximateNumberOfMessages{name}" for name in ("", "NotVisible", "Delayed")]
        told = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return int(told[names[0]]), int(told[names[1]]), int(told[names[2]])

    def with_dead_letters(self, most: int) -> str:
        """Gives `q` a dead-letter queue; its URL."""
        dead: str = self.client.create_queue(QueueName="q-dead")["QueueUrl"]
        arn = self.client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": most})
        self.client.set_queue_attributes(QueueUrl=self.url, Attributes={"RedrivePolicy": policy})
        return dead


def sqs_client(url: str, *, tries: int = 1, read_timeout: float = 25) -> Any:
    config = Config(retries={"mode": "standard", "total_max_attempts": tries}, read_timeout=read_timeout)
    session = boto3.session.Session("test", "test", region_name="eu-central-1")
    return session.client("sqs", endpoint_url=url, config=config)


@pytest.fixture
def open_fake() -> Iterator[Open]:
    """Opens as many as a test likes: `open_fake(seed=7, duplicates=0.5)`."""
    with contextlib.ExitStack() as stack:

        def opened(in_flight_limit: int = 120_000, **adversity: Any) -> Fake:
            running = stack.enter_context(
                running_fake_sqs(Adversity(**adversity), FakeClock(), in_flight_limit=in_flight_limit)
            )
            client = sqs_client(running.url)
            stack.callback(client.close)
            # Made without the client, so that no adversity can hit it.
            running.do(lambda broker: broker.create("q", {}))
            return Fake(running, client, f"{running.url}/000000000000/q")

        yield opened


@pytest.fixture
def fake(open_fake: Open) -> Fake:
    return open_fake()
