"""Dead letters in the queue `<name>-dead` beside each queue, and the way back.

SQS can move all of them back by itself (StartMessageMoveTask), but not some; looking at them is receiving them, too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from framegate.adapters.aws.client import Resource, asking
from framegate.adapters.aws.polling import MOST_IN_A_CALL
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.messages import attributes_of
from framegate.ports.queue import DeadLetter, Delivery

SUFFIX: Final = "-dead"
#: While somebody looks, others do not see the letters; as long as one look may take.
_LOOK_S: Final = 30
_LONGEST_CAUSE: Final = 1000


class SqsDeadLetters:
    """`DeadLetters`. Two people who look at the same time may each see a part."""

    def __init__(
        self,
        client: Any,
        url: Callable[[str], str],
        resource: Callable[[str], Resource],
        queues: Sequence[str],
        send: Callable[[str, Sequence[str]], None],
        look_s: int,
    ) -> None:
        self._look_s = look_s
        self._client, self._url, self._resource, self._queues, self._send = client, url, resource, queues, send

    def bury(self, delivery: Delivery, cause: str) -> None:
        """Raises `DependencyUnavailable`."""
        dead = delivery.queue + SUFFIX
        values = {"cause": cause[:_LONGEST_CAUSE] or "unknown", "receive-count": str(delivery.receive_count)}
        values |= attributes_of(delivery.body)
        with asking(self._resource(dead), "sqs:SendMessage"):
            self._client.send_message(
                QueueUrl=self._url(dead),
                MessageBody=delivery.body,
                MessageAttributes={n: {"DataType": "String", "StringValue": v} for n, v in values.items()},
            )

    def list_dead(self, limit: int = 100) -> list[DeadLetter]:
        """Newest first."""
        letters: list[DeadLetter] = []
        for queue in self._queues:
            for letter, receipt in self._look(queue):
                letters.append(letter)
                self._show(queue, receipt)
        return sorted(letters, key=lambda letter: letter.died_at, reverse=True)[:limit]

    def count(self) -> Mapping[str, int]:
        """Approximately, those that somebody looks at included; without the queues that have none."""
        names = [f"ApproximateNumberOfMessages{name}" for name in ("", "NotVisible")]
        counts: dict[str, int] = {}
        for queue in self._queues:
            with asking(self._resource(queue + SUFFIX), "sqs:GetQueueAttributes"):
                answer = self._client.get_queue_attributes(QueueUrl=self._url(queue + SUFFIX), AttributeNames=names)
            if found := sum(int(answer["Attributes"][name]) for name in names):
                counts[queue] = found
        return counts

    def dead(self, dead_id: str) -> DeadLetter | None:
        """Looks through all of them."""
        return next((letter for letter in self.list_dead(1_000_000) if letter.id == dead_id), None)

    def redrive(self, dead_ids: Sequence[str] | None = None) -> int:
        """Sent first and deleted afterwards: a process that dies in between sends one twice, and loses none."""
        wanted, sent = None if dead_ids is None else set(dead_ids), 0
        for queue in self._queues:
            for letter, receipt in self._look(queue):
                if wanted is not None and letter.id not in wanted:
                    self._show(queue, receipt)
                    continue
                self._send(queue, [letter.body])
                with asking(self._resource(queue + SUFFIX), "sqs:DeleteMessage"):
                    self._client.delete_message(QueueUrl=self._url(queue + SUFFIX), ReceiptHandle=receipt)
                sent += 1
        return sent

    def _look(self, queue: str) -> Iterator[tuple[DeadLetter, str]]:
        """Everything that is there, hidden from others; whoever asks for the next one has settled the one before."""
        found: list[tuple[DeadLetter, str]] = []
        with asking(self._resource(queue + SUFFIX), "sqs:ReceiveMessage"):
            while messages := self._client.receive_message(
                QueueUrl=self._url(queue + SUFFIX),
                MaxNumberOfMessages=MOST_IN_A_CALL,
                VisibilityTimeout=_LOOK_S,
                WaitTimeSeconds=self._look_s,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages"):
                found += [(_letter(queue, message), message["ReceiptHandle"]) for message in messages]
        yield from found

    def _show(self, queue: str, receipt: str) -> None:
        try:
            with asking(self._resource(queue + SUFFIX), "sqs:ChangeMessageVisibility"):
                self._client.change_message_visibility(
                    QueueUrl=self._url(queue + SUFFIX), ReceiptHandle=receipt, VisibilityTimeout=0
                )
        except DependencyUnavailable:
            pass  # it shows again by itself


def _letter(queue: str, message: dict[str, Any]) -> DeadLetter:
    given = {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
    known = message["Attributes"]
    # One that SQS moved here keeps the moment at which it was first sent; when it died is not told.
    at = datetime.fromtimestamp(int(known["SentTimestamp"]) / 1000, UTC)
    count = int(given.get("receive-count", known["ApproximateReceiveCount"]))
    return DeadLetter(message["MessageId"], queue, message["Body"], given.get("cause", "receive-count"), count, at)
