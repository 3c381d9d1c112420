"""The actions of the API: parameters in, answers out, as JSON has them."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from . import settings
from .broker import ACCOUNT, Broker
from .errors import SqsError, in_range, invalid, no_queue
from .message import Message, State, check_attributes, check_body, md5_of_attributes, md5_of_body, size_of
from .queue import LONGEST_VISIBILITY_S, Queue

_MOST_ENTRIES: Final = 10
_ENTRY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_SYSTEM_NAMES: Final = (
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
)
_SYSTEM_NAMES_OF_FIFO: Final = ("All", "SequenceNumber", "MessageDeduplicationId", "MessageGroupId")

Asked = Mapping[str, Any]
Answer = dict[str, Any]


class Actions:
    """`perform` is the only door: it counts calls and throttles."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._table: dict[str, Callable[[Asked], Answer | Awaitable[Answer]]] = {
            "CreateQueue": self._create_queue,
            "DeleteQueue": self._delete_queue,
            "GetQueueUrl": self._get_queue_url,
            "ListQueues": self._list_queues,
            "ListDeadLetterSourceQueues": self._list_sources,
            "GetQueueAttributes": self._get_queue_attributes,
            "SetQueueAttributes": self._set_queue_attributes,
            "PurgeQueue": self._purge_queue,
            "SendMessage": self._send_message,
            "SendMessageBatch": self._send_message_batch,
            "ReceiveMessage": self._receive_message,
            "DeleteMessage": self._delete_message,
            "DeleteMessageBatch": self._delete_message_batch,
            "ChangeMessageVisibility": self._change_visibility,
            "ChangeMessageVisibilityBatch": self._change_visibility_batch,
        }

    def perform(self, action: str, asked: Asked, base_url: str) -> Answer | Awaitable[Answer]:
        """Only a ReceiveMessage that finds nothing is awaited. `base_url`: what queue URLs begin with."""
        work = self._table.get(action)
        queue = str(asked.get("QueueUrl", asked.get("QueueName", ""))).rpartition("/")[2]
        self._broker.calls[queue, action if work else "?"] += 1
        if work is None:
            raise SqsError(
                "InvalidAction", f"The action {action} is not known here; there are {', '.join(self._table)}."
            )
        if self._broker.refusal:
            raise SqsError(self._broker.refusal, "Refused, as a test wants it.")
        if self._broker.dice.hit("throttle"):
            raise self._throttled()
        return work({**asked, "_base": base_url})

    def _throttled(self) -> SqsError:
        match self._broker.dice.below("throttle", 3):
            case 0:
                return SqsError("RequestThrottled", "The request was denied due to request throttling.")
            case 1:
                return SqsError("ThrottlingException", "Rate exceeded")
            case _:
                return SqsError("ServiceUnavailable", "Service is unavailable, try again.", status=503)

    def _queue(self, asked: Asked) -> Queue:
        return self._broker.queue(_needed(asked, "QueueUrl"))

    # Queues

    def _create_queue(self, asked: Asked) -> Answer:
        queue = self._broker.create(_needed(asked, "QueueName"), asked.get("Attributes", {}))
        return {"QueueUrl": _url(asked, queue)}

    def _delete_queue(self, asked: Asked) -> Answer:
        self._broker.delete(self._queue(asked))
        return {}

    def _get_queue_url(self, asked: Asked) -> Answer:
        return {"QueueUrl": _url(asked, self._broker.queue(_needed(asked, "QueueName")))}

    def _list_queues(self, asked: Asked) -> Answer:
        names = sorted(n for n in self._broker.queues if n.startswith(asked.get("QueueNamePrefix", "")))
        return _page(asked, [_url(asked, self._broker.queues[name]) for name in names], "QueueUrls")

    def _list_sources(self, asked: Asked) -> Answer:
        return _page(asked, [_url(asked, q) for q in self._broker.sources(self._queue(asked))], "queueUrls")

    def _get_queue_attributes(self, asked: Asked) -> Answer:
        queue, names = self._queue(asked), asked.get("AttributeNames", [])
        for name in names:
            if name not in settings.NAMES:
                raise SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")
        queue.surface()
        told = queue.settings.told() | {
            "QueueArn": queue.arn,
            "CreatedTimestamp": str(int(queue.created_at)),
            "LastModifiedTimestamp": str(int(queue.modified_at)),
        }
        told |= {state.value: str(queue.states[state]) for state in State if state is not State.GONE}
        return {"Attributes": {n: v for n, v in told.items() if "All" in names or n in names}} if names else {}

    def _set_queue_attributes(self, asked: Asked) -> Answer:
        self._broker.change(self._queue(asked), _needed(asked, "Attributes"))
        return {}

    def _purge_queue(self, asked: Asked) -> Answer:
        self._queue(asked).purge()
        return {}

    # Sending

    def _send_message(self, asked: Asked) -> Answer:
        return self._send(self._queue(asked), asked)

    def _send_message_batch(self, asked: Asked) -> Answer:
        queue = self._queue(asked)
        entries = _entries(asked)
        total = sum(size_of(str(e.get("MessageBody", "")), _attributes(e)) for e in entries)
        if total > settings.MOST_BYTES:
            text = f"Batch requests cannot be longer than {settings.MOST_BYTES} bytes. You have sent {total} bytes."
            raise SqsError("BatchRequestTooLong", text)
        return self._batch(entries, lambda entry: self._send(queue, entry))

    def _send(self, queue: Queue, asked: Asked) -> Answer:
        body, attributes = check_body(asked.get("MessageBody")), _attributes(asked)
        system = check_attributes(asked.get("MessageSystemAttributes") or {})
        if system.keys() - {"AWSTraceHeader"}:
            raise invalid("MessageSystemAttributes", ", ".join(system), "Only AWSTraceHeader can be sent.")
        if size_of(body, attributes) > (most := queue.settings.number("MaximumMessageSize")):
            text = f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
            raise SqsError("InvalidParameterValue", text)
        delay = in_range("DelaySeconds", asked.get("DelaySeconds", queue.settings.number("DelaySeconds")), 0, 900)
        message = self._broker.message(body, attributes, system)
        queue.send(message, delay)
        answer = {"MessageId": message.id, "MD5OfMessageBody": md5_of_body(body)}
        if attributes:
            answer["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
        if system:
            answer["MD5OfMessageSystemAttributes"] = md5_of_attributes(system)
        return answer

    # Receiving

    def _receive_message(self, asked: Asked) -> Answer | Awaitable[Answer]:
        queue = self._queue(asked)
        most = in_range("MaxNumberOfMessages", asked.get("MaxNumberOfMessages", 1), 1, 10)
        default = queue.settings.number("VisibilityTimeout")
        visibility = in_range("VisibilityTimeout", asked.get("VisibilityTimeout", default), 0, LONGEST_VISIBILITY_S)
        default = queue.settings.number("ReceiveMessageWaitTimeSeconds")
        wait = in_range("WaitTimeSeconds", asked.get("WaitTimeSeconds", default), 0, 20)
        wanted = [*asked.get("AttributeNames", []), *asked.get("MessageSystemAttributeNames", [])]
        for name in wanted:
            if name not in (*_SYSTEM_NAMES, *_SYSTEM_NAMES_OF_FIFO):
                raise SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")
        names = asked.get("MessageAttributeNames", [])

        def answer() -> Answer:
            messages = [_told(m, receipt, wanted, names) for m, receipt in queue.receive(most, visibility)]
            return {"Messages": messages} if messages else {}

        found = answer()
        return found if found or not wait else _poll(queue, answer, wait)

    # Settling

    def _delete_message(self, asked: Asked) -> Answer:
        self._queue(asked).delete(_needed(asked, "ReceiptHandle"))
        return {}

    def _delete_message_batch(self, asked: Asked) -> Answer:
        queue = self._queue(asked)
        return self._batch(_entries(asked), lambda entry: queue.delete(_needed(entry, "ReceiptHandle")))

    def _change_visibility(self, asked: Asked) -> Answer:
        _change(self._queue(asked), asked)
        return {}

    def _change_visibility_batch(self, asked: Asked) -> Answer:
        queue = self._queue(asked)
        return self._batch(_entries(asked), lambda entry: _change(queue, entry))

    def _batch(self, entries: list[Asked], work: Callable[[Asked], Answer | None]) -> Answer:
        answer: Answer = {"Successful": [], "Failed": []}
        for entry in entries:
            try:
                if self._broker.dice.hit("partial_failures"):
                    code = ("InternalError", "ServiceUnavailable")[self._broker.dice.below("partial_failures", 2)]
                    raise SqsError(code, "Try again.", status=500)
                answer["Successful"].append({"Id": entry["Id"], **(work(entry) or {})})
            except SqsError as error:
                self._broker.failed_entries[error.query_code] += 1
                failed = {"Id": entry["Id"], "SenderFault": error.status < 500}
                answer["Failed"].append(failed | {"Code": error.query_code, "Message": error.message})
        return answer


async def _poll(queue: Queue, answer: Callable[[], Answer], wait_s: float) -> Answer:
    """Ends when `wait_s` have passed on our clock or the broker's, whichever is first: an injected one may stand."""
    loop = asyncio.get_running_loop()
    end, end_by_clock = loop.time() + wait_s, queue.now() + wait_s
    while not (found := answer()):
        left = min(end - loop.time(), end_by_clock - queue.now())
        if left <= 0:
            break
        due = queue.due_in()
        changed = asyncio.Event()
        queue.watchers[changed] = changed.set
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(left if due is None else min(left, due + 0.001)):
                    await changed.wait()
        finally:
            del queue.watchers[changed]
        if queue.deleted:
            raise no_queue()
    return found


def _change(queue: Queue, asked: Asked) -> None:
    seconds = in_range("VisibilityTimeout", _needed(asked, "VisibilityTimeout"), 0, LONGEST_VISIBILITY_S)
    queue.change_visibility(_needed(asked, "ReceiptHandle"), seconds)


def _needed(asked: Asked, name: str) -> Any:
    if asked.get(name) is None:
        raise SqsError("MissingParameter", f"The request must contain the parameter {name}.")
    return asked[name]


def _attributes(asked: Asked) -> dict[str, dict[str, Any]]:
    return check_attributes(asked.get("MessageAttributes") or {})


def _entries(asked: Asked) -> list[Asked]:
    """Raises what makes SQS refuse a batch as a whole."""
    entries: list[Asked] = asked.get("Entries") or []
    if not entries:
        raise SqsError("EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(entries) > _MOST_ENTRIES:
        text = f"Maximum number of entries per request are {_MOST_ENTRIES}. You have sent {len(entries)}."
        raise SqsError("TooManyEntriesInBatchRequest", text)
    ids = [str(entry.get("Id", "")) for entry in entries]
    for id_ in ids:
        if not _ENTRY_ID.fullmatch(id_):
            text = "A batch entry id can only contain alphanumeric characters, hyphens and underscores, 80 at most."
            raise SqsError("InvalidBatchEntryId", text)
        if ids.count(id_) > 1:
            raise SqsError("BatchEntryIdsNotDistinct", f"Id {id_} repeated.")
    return entries


def _url(asked: Asked, queue: Queue) -> str:
    return f"{asked['_base']}/{ACCOUNT}/{queue.name}"


def _page(asked: Asked, urls: list[str], name: str) -> Answer:
    """`NextToken` is the number of those told before."""
    most = in_range("MaxResults", asked.get("MaxResults", 1000), 1, 1000)
    start = int(asked.get("NextToken") or 0)
    answer: Answer = {name: urls[start : start + most]}
    if "MaxResults" in asked and start + most < len(urls):
        answer["NextToken"] = str(start + most)
    return answer


def _told(message: Message, receipt: str, wanted: list[str], names: list[str]) -> Answer:
    answer: Answer = {
        "MessageId": message.id,
        "ReceiptHandle": receipt,
        "MD5OfBody": md5_of_body(message.body),
        "Body": message.body,
    }
    if wanted:
        known = {
            "SenderId": ACCOUNT,
            "SentTimestamp": str(round(message.sent_at * 1000)),
            "ApproximateReceiveCount": str(message.receive_count),
            "ApproximateFirstReceiveTimestamp": str(round(message.first_received_at * 1000)),
        }
        known |= {name: value["StringValue"] for name, value in message.system.items()}
        if message.came_from:
            known["DeadLetterQueueSourceArn"] = message.came_from
        answer["Attributes"] = {n: v for n, v in known.items() if "All" in wanted or n in wanted}
    if attributes := {n: v for n, v in message.attributes.items() if _asked_for(n, names)}:
        answer["MessageAttributes"] = attributes
        answer["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
    return answer


def _asked_for(name: str, names: list[str]) -> bool:
    return any(n in (name, "All", ".*") or (n.endswith(".*") and name.startswith(n[:-1])) for n in names)
