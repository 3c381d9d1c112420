"""Hooks: how one message reaches one receiver, once tried. Schedules and retries are the caller's."""

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, Protocol

from framegate.kernel.errors import FramegateError

MAX_PAYLOAD_BYTES: Final = 20_000
MAX_HEAD_CHARS: Final = 4_096
#: Wall clock from the name's resolution to the end of the answer.
DEADLINE_S: Final = 15.0
_MESSAGE_ID: Final = re.compile(r"msg_[A-Za-z0-9_-]{1,120}")
_TYPE: Final = re.compile(r"[a-z0-9_]{1,40}(\.[a-z0-9_]{1,40}){0,4}")


class HookKind(StrEnum):
    """What a receiver understands."""

    WEBHOOK = "webhook"  #: Standard Webhooks: the payload, signed
    SLACK = "slack"  #: incoming webhooks of Slack, and of what imitates them (Mattermost, Rocket.Chat, Discord)
    SNS = "sns"  #: a topic of Amazon SNS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to, and with what. Neither target nor secrets are in its repr: a Slack URL is a secret, too."""

    endpoint_id: str
    kind: HookKind
    target: str = field(repr=False)  #: a URL, or the ARN of a topic
    secrets: tuple[str, ...] = field(default=(), repr=False)  #: newest first, each signs; only webhooks have them

    def __post_init__(self) -> None:
        if (self.kind is HookKind.WEBHOOK) != bool(self.secrets):
            raise ValueError("a webhook has at least one secret, and nothing else has any")


@dataclass(frozen=True, slots=True)
class HookMessage:
    """The same over all attempts and receivers; each kind takes what it can show."""

    message_id: str  #: `msg_...`; the `webhook-id`, by which receivers drop duplicates
    type: str  #: `incident.opened`
    payload: bytes  #: JSON in UTF-8, at most 20 kB
    title: str  #: one line
    text: str
    link: str | None
    severity: str
    trace: str = field(default="", compare=False)  #: W3C traceparent of the image that it is about; empty: none

    def __post_init__(self) -> None:
        if not _MESSAGE_ID.fullmatch(self.message_id) or not _TYPE.fullmatch(self.type):
            raise ValueError("a message needs an id like msg_1 and a type like incident.opened")
        if len(self.payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"the payload of {self.message_id} has over {MAX_PAYLOAD_BYTES} B: send a link instead")
        json.loads(self.payload.decode("utf-8"))


class Ending(StrEnum):
    """What the caller has to do next."""

    DELIVERED = "delivered"
    RETRY = "retry"
    GONE = "gone"  #: 410: the receiver wants no more; disable the endpoint


class Reason(StrEnum):
    """Why, as a stable slug for tables, metrics and people."""

    DELIVERED = "delivered"
    GONE = "gone"
    STATUS = "status"  #: an answer that is neither 2xx nor a redirect
    REDIRECT = "redirect"  #: 3xx, which is never followed
    TIMEOUT = "timeout"
    DNS = "dns"  #: the name does not resolve, or not in time
    BLOCKED_ADDRESS = "blocked-address"  #: a denied address; no connection was made
    INVALID_URL = "invalid-webhook-url"  #: the target is not allowed (any more)
    CONNECT = "connect"
    TLS = "tls"
    PROTOCOL = "protocol"  #: what came is not HTTP, or the connection ended before the answer
    TOO_LARGE = "too-large"  #: the answer's head has no end
    INTERNAL = "internal"  #: our own fault; the log has it
    CREDENTIALS = "credentials"  #: ours are missing or refused (SNS)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. Heads have at most 4 kB and never hold a secret; the body of an answer is never kept."""

    ending: Ending
    status: int | None  #: of the answer, None without one
    reason: Reason
    detail: str  #: one sentence for people; never an address that a name resolved to
    retry_after_s: float | None = None  #: what the receiver asked for
    request_head: str = ""  #: empty when nothing was sent
    response_head: str = ""
    elapsed_ms: float = 0.0


class HookRefused(FramegateError):
    """The target may not be used; the message says what to do."""

    def __init__(self, slug: Literal[Reason.INVALID_URL, Reason.BLOCKED_ADDRESS], message: str) -> None:
        """`slug` is the problem type of the API: `invalid-webhook-url` or `blocked-address`."""
        super().__init__(message)
        self.slug = slug


class Hook(Protocol):
    """One kind of receiver. Safe for use from many threads at once."""

    def check(self, target: str) -> None:
        """When an endpoint is made or changed: raises `HookRefused`. May resolve a name, sends nothing."""
        ...

    def deliver(self, endpoint: Endpoint, message: HookMessage) -> Attempt:
        """Blocks, up to `DEADLINE_S` in all. Never raises for what a receiver, its name or its certificate does."""
        ...

    def close(self) -> None:
        """Idempotent; nothing is delivered after it."""
        ...


def judge(status: int) -> tuple[Ending, Reason]:
    """What the status of an answer means."""
    if 200 <= status < 300:
        return Ending.DELIVERED, Reason.DELIVERED
    if status == 410:
        return Ending.GONE, Reason.GONE
    return Ending.RETRY, Reason.REDIRECT if 300 <= status < 400 else Reason.STATUS
