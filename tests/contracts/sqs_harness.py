"""The queue port on SQS: moto's server behind the real client. Time passes by moving moto's messages into the past."""

import uuid
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


class SqsHarness:
    """Queues of a random prefix on moto; the environment must lead boto3 to the server."""

    name = "sqs"
    max_receives = 5
    repeats = True

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock(blocking=True)
        self._prefix = f"test-{uuid.uuid4().hex[:8]}-"
        self._queues: list[SqsQueue] = []
        admin = make_client("sqs", REGION)
        provision_queues(admin, self._prefix, QUEUES, self.max_receives)
        admin.close()
        self.queue: LettersQueue = self.queue_of("first")

    def queue_of(self, owner: str) -> LettersQueue:
        clients = SqsClients(make_client("sqs", REGION, read_s=10), make_client("sqs", REGION))
        options = PollOptions(most=3, wait_s=1, look_s=0)
        queue = SqsQueue(clients, self.clock, self._prefix, options, QUEUES, hold_deletes=False)
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

    def close(self) -> None:
        for queue in self._queues:
            queue.close()


class FakeSqsHarness(SqsHarness):
    """The same on our own strict server, without adversity, which shares the adapter's clock."""

    repeats = False

    def __init__(self, fake: RunningFake, clock: FakeClock) -> None:
        self._fake = fake
        super().__init__(clock)

    def advance(self, seconds: float) -> None:
        self._fake.advance(seconds)
