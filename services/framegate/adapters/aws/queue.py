"""The queue port on Amazon SQS standard queues."""

import math
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from framegate.adapters.aws.batches import MOST_BYTES, Entry, in_batches, insist, size_of
from framegate.adapters.aws.client import Resource, asking
from framegate.adapters.aws.dead_letters import SUFFIX, SqsDeadLetters
from framegate.adapters.aws.deletes import Deletes
from framegate.adapters.aws.polling import MOST_IN_A_CALL, PollOptions, Polls
from framegate.kernel.messages import attributes_of
from framegate.observability.logs import get_log
from framegate.ports.clock import Clock
from framegate.ports.queue import DeadLetter, Delivery, Depth

#: Amazon SQS quotas: the longest delay of a new message and the longest visibility timeout, seconds.
_LONGEST_DELAY_S: Final = 900
_LONGEST_VISIBILITY_S: Final = 12 * 3600
_CALLS_AT_A_TIME: Final = 8
_LONGEST_ANSWER_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class SqsClients:
    """`polls` has a read timeout longer than a long poll; the others answer at once or not at all."""

    polls: Any
    calls: Any

    def close(self) -> None:
        """Closes their connections."""
        self.polls.close()
        self.calls.close()


class SqsQueue:
    """`Queue` and `DeadLetters`. Safe for use from several threads; `close` it.

    SQS may honour a receipt whose visibility has ended, although somebody else has the message by then. So this object
    keeps account of what it holds and until when, and treats what it does not hold as stale, without asking.
    """

    def __init__(
        self,
        clients: SqsClients,
        clock: Clock,
        prefix: str,
        options: PollOptions,
        queues: Sequence[str],
        *,
        whole: Sequence[str] = (),
        hold_deletes: bool = True,
    ) -> None:
        """`queues`: those whose dead letters are listed. `hold_deletes`: up to a second, so that ten share a call.

        `whole`: queues that somebody else may have made and that are named without `prefix`, or by their URL.
        """
        self._clients, self._clock, self._prefix, self._whole = clients, clock, prefix, frozenset(whole)
        self._most = options.most * MOST_IN_A_CALL
        self._lock = threading.Lock()
        self._urls: dict[str, str] = {}
        self._until: dict[str, float] = {}  #: receipt -> when its visibility ends, by our clock
        self._polls = Polls(self._ask, self.release, options)
        self._pool = ThreadPoolExecutor(_CALLS_AT_A_TIME, thread_name_prefix="sqs-call")
        self._letters = SqsDeadLetters(clients.calls, self.url, self.resource, queues, self.send, options.look_s)
        self._deletes = Deletes(self._delete, clock) if hold_deletes else None
        self._log = get_log(component="sqs")

    @property
    def max_receive(self) -> int:
        """The most messages one `receive` brings."""
        return self._most

    def url(self, queue: str) -> str:
        """Asks once. Raises `DependencyUnavailable`."""
        name, _ = self._name(queue)
        if "://" in name:
            return name
        if queue not in self._urls:
            with asking(self.resource(queue), "sqs:GetQueueUrl"):
                self._urls[queue] = self._clients.calls.get_queue_url(QueueName=name)["QueueUrl"]
        return self._urls[queue]

    def resource(self, queue: str) -> Resource:
        """For messages to people."""
        name, setting = self._name(queue)
        return Resource(f"SQS queue {name}", setting)

    def _name(self, queue: str) -> tuple[str, str]:
        """Or its URL; and the setting that it comes from."""
        if queue.removesuffix(SUFFIX) in self._whole:
            return queue, "FRAMEGATE_EVENTS__QUEUE"
        return self._prefix + queue, "FRAMEGATE_QUEUE__PREFIX"

    def check(self, queues: Iterable[str]) -> None:
        """Whether they are there and may be seen. Raises `DependencyUnavailable`."""
        for queue in queues:
            with asking(self.resource(queue), "sqs:GetQueueAttributes"):
                self._clients.calls.get_queue_attributes(QueueUrl=self.url(queue), AttributeNames=["QueueArn"])

    def send(self, queue: str, bodies: Sequence[str], delay: timedelta = timedelta()) -> None:
        """Also raises ValueError for what SQS cannot carry: no characters at all, control characters, a delay > 900 s."""
        if delay.total_seconds() > _LONGEST_DELAY_S:
            raise ValueError(
                f"SQS delays a message by {_LONGEST_DELAY_S} s at most; longer pauses belong in the database"
            )
        entries = [_entry(body, math.ceil(delay.total_seconds())) for body in bodies]
        refused = self._in_batches("send_message_batch", "sqs:SendMessage", queue, entries)
        if refused:
            codes = ", ".join(sorted(set(refused.values())))
            raise ValueError(f"{self.resource(queue).name} refuses {len(refused)} of {len(bodies)} messages: {codes}")

    def _in_batches(self, method: str, permission: str, queue: str, entries: Sequence[Entry]) -> dict[int, str]:
        """As many calls as it takes, side by side; {number of an entry: code} of those that SQS refuses."""
        url, resource = self.url(queue), self.resource(queue)

        def call(batch: list[Entry]) -> Any:
            with asking(resource, permission):
                return getattr(self._clients.calls, method)(QueueUrl=url, Entries=batch)

        def work(batch: list[Entry]) -> dict[str, str]:
            return insist(call, batch, f"{resource.name}: {permission}")

        batches = list(in_batches(entries))
        answers = self._pool.map(work, batches) if len(batches) > 1 else map(work, batches)
        return {int(id_): code for answer in answers for id_, code in answer.items()}

    def receive(self, queues: Sequence[str], limit: int, wait: timedelta, visibility: timedelta) -> list[Delivery]:
        """Whole seconds of visibility, rounded up."""
        seconds = math.ceil(visibility.total_seconds())
        taken = self._polls.take(queues, min(limit, self._most), wait.total_seconds(), seconds)
        return self._fresh(taken, visibility)

    def _fresh(self, taken: Sequence[Delivery], visibility: timedelta) -> list[Delivery]:
        """What waited here for long is renewed before anybody relies on it; what waited too long is somebody else's."""
        soon = self._clock.monotonic() + visibility.total_seconds() * 2 / 3
        with self._lock:
            aged = [d for d in taken if self._until.get(d.receipt, 0.0) < soon]
        lost = {d.receipt for d in self.extend(aged, visibility)} if aged else set()
        return [d for d in taken if d.receipt not in lost]

    def _ask(self, queue: str, count: int, wait_s: int, visibility_s: int) -> list[Delivery]:
        asked_at = self._clock.monotonic()
        with asking(self.resource(queue), "sqs:ReceiveMessage"):
            answer = self._clients.polls.receive_message(
                QueueUrl=self.url(queue),
                MaxNumberOfMessages=count,
                WaitTimeSeconds=wait_s,
                VisibilityTimeout=visibility_s,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
        deliveries = [_delivery(queue, message) for message in answer.get("Messages", ())]
        # Their visibility began when SQS sent the answer; nothing on its way for longer than this is waited for.
        began = max(asked_at, self._clock.monotonic() - _LONGEST_ANSWER_S)
        with self._lock:
            self._until.update({d.receipt: began + visibility_s for d in deliveries})
        return deliveries

    def interrupt(self) -> None:
        """Also lets go of what arrived and was not received: it is visible to others at once."""
        self._polls.rest()

    def _held(self, deliveries: Iterable[Delivery]) -> dict[Delivery, float]:
        """Those whose visibility has not ended, and when it will."""
        now = self._clock.monotonic()
        with self._lock:
            return {d: until for d in deliveries if (until := self._until.get(d.receipt, 0.0)) > now}

    def _forget(self, deliveries: Iterable[Delivery]) -> None:
        with self._lock:
            for delivery in deliveries:
                self._until.pop(delivery.receipt, None)

    def extend(self, deliveries: Sequence[Delivery], visibility: timedelta) -> list[Delivery]:
        """Returns the stale ones."""
        now = self._clock.monotonic()
        held = list(self._held(deliveries))
        lost = self._hide(held, visibility)
        with self._lock:
            for delivery in held:
                if delivery.receipt in self._until:
                    self._until[delivery.receipt] = now + visibility.total_seconds()
        self._forget(lost)
        kept = {d.receipt for d in held} - {d.receipt for d in lost}
        stale = [d for d in deliveries if d.receipt not in kept]
        self._forget(stale)
        return stale

    def release(self, deliveries: Sequence[Delivery], delay: timedelta = timedelta()) -> None:
        """The receipts are not valid after it."""
        held = list(self._held(deliveries))
        self._hide(held, delay)
        self._forget(held)

    def _hide(self, deliveries: Sequence[Delivery], visibility: timedelta) -> list[Delivery]:
        if visibility.total_seconds() > _LONGEST_VISIBILITY_S:
            raise ValueError("SQS hides a message for 12 hours at most; longer pauses belong in the database")
        seconds = {"VisibilityTimeout": math.ceil(visibility.total_seconds())}
        return self._with_receipts(
            "change_message_visibility_batch", "sqs:ChangeMessageVisibility", deliveries, seconds
        )

    def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Returns the stale ones. Deletions that a crash forgets cost one more delivery each."""
        held = self._held(deliveries)
        if self._deletes is None:
            self._delete(list(held))
        else:
            self._deletes.add(held.items())
        self._forget(held)
        return [d for d in deliveries if d not in held]

    def _delete(self, deliveries: Sequence[Delivery]) -> None:
        self._with_receipts("delete_message_batch", "sqs:DeleteMessage", deliveries, {})

    def _with_receipts(
        self, method: str, permission: str, deliveries: Sequence[Delivery], more: dict[str, Any]
    ) -> list[Delivery]:
        """Returns those that SQS refused."""
        refused: list[Delivery] = []
        by_queue: defaultdict[str, list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            by_queue[delivery.queue].append(delivery)
        for queue, members in by_queue.items():
            entries = [{"ReceiptHandle": d.receipt} | more for d in members]
            refused += [members[n] for n in self._in_batches(method, permission, queue, entries)]
        return refused

    def dead_letter(self, delivery: Delivery, cause: str) -> None:
        """Two calls: when the process dies between them, there is a dead letter and the message comes again."""
        if self._held([delivery]):
            self._letters.bury(delivery, cause)
            self._delete([delivery])
            self._forget([delivery])

    def recover(self, owner: str) -> int:
        """SQS does not know who holds what: messages of the dead come again when their visibility ends."""
        return 0

    def depth(self, queue: str) -> Depth:
        """Approximate, and without an age: only CloudWatch tells it (ApproximateAgeOfOldestMessage)."""
        names = ["", "NotVisible", "Delayed"]
        with asking(self.resource(queue), "sqs:GetQueueAttributes"):
            answer = self._clients.calls.get_queue_attributes(
                QueueUrl=self.url(queue), AttributeNames=[f"ApproximateNumberOfMessages{name}" for name in names]
            )
        ready, in_flight, delayed = (int(answer["Attributes"][f"ApproximateNumberOfMessages{name}"]) for name in names)
        return Depth(ready, in_flight, delayed, None)

    def list_dead(self, limit: int = 100) -> list[DeadLetter]:
        """Newest first."""
        return self._letters.list_dead(limit)

    def count_dead(self, limit: int = 1000) -> Mapping[str, int]:
        """All of them, approximately."""
        return self._letters.count()

    def dead(self, dead_id: str) -> DeadLetter | None:
        """One of them."""
        return self._letters.dead(dead_id)

    def redrive(self, dead_ids: Sequence[str] | None = None) -> int:
        """Unknown ids are ignored."""
        return self._letters.redrive(dead_ids)

    def close(self) -> None:
        """Awaits the polls in flight, releases what they bring, deletes what was acknowledged."""
        self._polls.close()
        if self._deletes is not None:
            self._deletes.close()
        self._pool.shutdown()
        self._clients.close()


def _entry(body: str, delay_s: int) -> Entry:
    if not body:
        raise ValueError("SQS takes no empty message")
    entry: Entry = {"MessageBody": body, "DelaySeconds": delay_s}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in attributes_of(body).items()}
    if attributes:
        entry["MessageAttributes"] = attributes
    if (size := size_of(entry)) > MOST_BYTES:
        raise ValueError(
            f"a message may have {MOST_BYTES} bytes at most, this one has {size}; send a key instead of bytes"
        )
    return entry


def _delivery(queue: str, message: dict[str, Any]) -> Delivery:
    attributes = message.get("Attributes", {})
    sent_at = datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)
    count = int(attributes["ApproximateReceiveCount"])
    return Delivery(queue, message["MessageId"], message["ReceiptHandle"], message["Body"], count, sent_at)
