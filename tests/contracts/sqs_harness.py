"""The queue port on SQS: moto's server behind the real client. Time passes by moving moto's messages into the past."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.sqs.models import sqs_backends

from framegate.adapters.aws.client import make_client
from framegate.adapters.aws.polling import PollOptions
from framegate.adapters.aws.provision import provision_queues
from framegate.adapters.aws.queue import SqsClients, SqsQueue
from framegate.adapters.memory import FakeClock
from tests.support.aws import REGION
from tests.support.fake_sqs.running import RunningFake

from .harness import LettersQueue

QUEUES = ("frame-submitted-live", "frame-submitted-bulk")


class SharedClients(SqsClients):
    """Making them takes longer than most tests: all queues of a test run share them."""

    def close(self) -> None:
        pass


@contextmanager
def shared_clients() -> Iterator[SqsClients]:
    """The environment must lead boto3 to the server."""
    polls, calls = make_client("sqs", REGION, read_s=10, connections=50), make_client("sqs", REGION, connections=50)
    yield SharedClients(polls, calls)
    polls.close()
    calls.close()


class SqsHarness:
    """Queues of a random prefix on moto."""

    name = "sqs"
    max_receives = 5
    repeats = True

    def __init__(self, clients: SqsClients, clock: FakeClock | None = None) -> None:
        self._clients, self.clock = clients, clock or FakeClock(blocking=True)
        self._prefix = f"test-{uuid.uuid4().hex[:8]}-"
        self._queues: list[SqsQueue] = []
        provision_queues(clients.calls, self._prefix, QUEUES, self.max_receives)
        self.queue: LettersQueue = self.queue_of("first")

    def queue_of(self, owner: str) -> LettersQueue:
        options = PollOptions(most=3, wait_s=1, look_s=0)
        queue = SqsQueue(self._clients, self.clock, self._prefix, options, QUEUES, hold_deletes=False)
        self._queues.append(queue)
        return queue

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for queue in self._moto_queues():
            for message in queue._messages:
                message.visible_at -= seconds * 1000
                message.delayed_until -= seconds * 1000
                message.sent_timestamp -= int(seconds * 1000)

    def _moto_queues(self) -> list[Any]:
        backend = sqs_backends[DEFAULT_ACCOUNT_ID][REGION]
        return [queue for name, queue in backend.queues.items() if name.startswith(self._prefix)]

    def raw(self, queue: str) -> list[dict[str, str]]:
        """The attributes of the messages that are ready, as anybody sees them who receives; they stay."""
        client = self._clients.calls
        url = client.get_queue_url(QueueName=self._prefix + queue)["QueueUrl"]
        found = client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, MessageAttributeNames=["All"]
        )
        return [
            {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
            for message in found.get("Messages", ())
        ]

    def close(self) -> None:
        for queue in self._queues:
            queue.close()


class FakeSqsHarness(SqsHarness):
    """The same on our own strict server, without adversity, which shares the adapter's clock."""

    repeats = False

    def __init__(self, clients: SqsClients, fake: RunningFake, clock: FakeClock) -> None:
        self._fake = fake
        super().__init__(clients, clock)

    def advance(self, seconds: float) -> None:
        self._fake.advance(seconds)
