"""A topic of Amazon SNS as a receiver: programs that subscribe get the payload, people get words."""

import json
import re
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from framegate.adapters.aws.client import Resource, explain, make_client
from framegate.kernel.errors import ConfigurationError, DependencyUnavailable
from framegate.kernel.redelivery import parse_retry_after
from framegate.ports.clock import Clock
from framegate.ports.hooks import DEADLINE_S, Attempt, Ending, Endpoint, HookMessage, HookRefused, Reason, judge

#: The region becomes part of a host name, so nothing else may stand there.
_ARN: Final = re.compile(
    r"arn:aws(?:-[a-z]{1,10}){0,2}:sns:(?P<region>[a-z]{2}(?:-[a-z]+){1,2}-[0-9]{1,2}):[0-9]{12}:"
    r"[A-Za-z0-9_-]{1,256}(?P<fifo>\.fifo)?"
)
#: Seconds of silence.
READ_S: Final = 8.0
_MAX_SUBJECT: Final = 99
_NOT_IN_SUBJECT: Final = re.compile(r"[^ -~]+")
_TIMEOUTS: Final = (ConnectTimeoutError, ReadTimeoutError)

#: Calls at a time, and connections of a client.
CALLS: Final = 64

OpenClient = Callable[[str], Any]
#: Of a call: ending, status, reason, detail, seconds asked for.
Result = tuple[Ending, int | None, Reason, str, float | None]


def open_sns(region: str) -> Any:
    """A client that tries once: trying again is the schedule's."""
    return make_client("sns", region, read_s=READ_S, connections=CALLS, attempts=1)


class SnsHook:
    """`Hook`. Safe for use from many threads; one client for each region that a topic was in."""

    def __init__(self, clock: Clock, open_client: OpenClient = open_sns, *, deadline_s: float = DEADLINE_S) -> None:
        """`open_client`: by region; raises `ConfigurationError` or `DependencyUnavailable`."""
        self._clock, self._open_client, self._deadline_s = clock, open_client, deadline_s
        self._slots = threading.BoundedSemaphore(CALLS)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def check(self, target: str) -> None:
        """Only the form: whether the topic exists and may be used is known when something is sent."""
        if _ARN.fullmatch(target) is None:
            raise HookRefused(
                Reason.INVALID_URL, "this is no topic's ARN: it looks like arn:aws:sns:eu-central-1:123456789012:alerts"
            )

    def deliver(self, endpoint: Endpoint, message: HookMessage) -> Attempt:
        """In a thread of its own: boto3 bounds silence, but neither the whole call nor the search for credentials."""
        started = time.monotonic()
        ending, status, reason, detail, retry_after_s = self._in_time(lambda: self._publish(endpoint.target, message))
        return Attempt(
            ending,
            status,
            reason,
            detail,
            retry_after_s=retry_after_s,
            request_head=f"Publish {message.message_id} ({message.type})",
            response_head="" if status is None else f"HTTP/1.1 {status}",
            elapsed_ms=(time.monotonic() - started) * 1000,
        )

    def _in_time(self, publish: Callable[[], Result]) -> Result:
        ends = time.monotonic() + self._deadline_s
        late: Result = (Ending.RETRY, None, Reason.TIMEOUT, f"no whole answer within {self._deadline_s:.3g} s", None)
        if not self._slots.acquire(timeout=self._deadline_s):
            return late
        results: SimpleQueue[Result | Exception] = SimpleQueue()

        def work() -> None:
            try:
                results.put(publish())
            except Exception as error:  # not ours to judge: raised again in the thread that waits
                results.put(error)
            finally:
                self._slots.release()

        try:
            threading.Thread(target=work, name="sns-publish", daemon=True).start()
        except RuntimeError:  # this process may have no more threads
            self._slots.release()
            raise
        try:
            result = results.get(timeout=max(0.0, ends - time.monotonic()))
        except Empty:
            return late
        if isinstance(result, Exception):
            raise result
        return result

    def _publish(self, arn: str, message: HookMessage) -> Result:
        form = _ARN.fullmatch(arn)
        if form is None:
            return Ending.RETRY, None, Reason.INVALID_URL, "the target is no topic's ARN", None
        resource = Resource(f"SNS topic {arn}", "the hook's ARN")
        try:
            answer = self._client(form["region"]).publish(**publication(arn, message))
            return Ending.DELIVERED, _status(answer), Reason.DELIVERED, "delivered", None
        except ClientError as error:
            status = _status(error.response)
            ending, reason = judge(status)
            detail = explain(error, resource, "sns:Publish")
            return ending, status, reason, detail, self._asked(error.response)
        except ResponseParserError:  # no BotoCoreError; its words are the body of the answer
            detail = f"{resource.name}: what answered is not SNS: check AWS_ENDPOINT_URL"
            return Ending.RETRY, None, Reason.PROTOCOL, detail, None
        except BotoCoreError as error:
            return Ending.RETRY, None, _reason(error), explain(error, resource, "sns:Publish"), None
        except (ConfigurationError, DependencyUnavailable) as error:
            return Ending.RETRY, None, Reason.CREDENTIALS, str(error), None

    def _asked(self, answer: Any) -> float | None:
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return parse_retry_after(str(headers.get("retry-after", "")), self._clock.now())

    def _client(self, region: str) -> Any:
        with self._lock:  # creating clients is not thread-safe, using them is
            if region not in self._clients:
                self._clients[region] = self._open_client(region)
            return self._clients[region]

    def close(self) -> None:
        """Closes the clients."""
        with self._lock:
            while self._clients:
                self._clients.popitem()[1].close()


def publication(arn: str, message: HookMessage) -> dict[str, Any]:
    """What is published. The id is an attribute, so that subscribers can drop what comes twice and filter by the rest."""
    words = "\n\n".join(part for part in (message.title, message.text, message.link) if part)
    told = {
        "TopicArn": arn,
        "MessageStructure": "json",
        "Message": json.dumps(
            {"default": message.payload.decode("utf-8"), "email": words, "sms": message.title}, ensure_ascii=False
        ),
        "Subject": _subject(message),
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value}
            for name, value in (
                ("message_id", message.message_id),
                ("type", message.type),
                ("severity", message.severity),
                ("traceparent", message.trace),
            )
            if value
        },
    }
    if arn.endswith(".fifo"):
        told |= {"MessageGroupId": message.message_id, "MessageDeduplicationId": message.message_id}
    return told


def _subject(message: HookMessage) -> str:
    # SNS: ASCII in one line, under 100 characters, not beginning with a space.
    return _NOT_IN_SUBJECT.sub("?", message.title)[:_MAX_SUBJECT].strip() or message.type


def _status(answer: Any) -> int:
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _reason(error: BotoCoreError) -> Reason:
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Reason.CREDENTIALS
    if isinstance(error, _TIMEOUTS):
        return Reason.TIMEOUT
    return Reason.CONNECT if isinstance(error, EndpointConnectionError) else Reason.PROTOCOL
