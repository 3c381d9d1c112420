"""A receiver for each kind of hook, and what it was sent."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from framegate.adapters.aws.client import make_client
from framegate.adapters.aws.hook_sns import SnsHook
from framegate.adapters.clock import SystemClock
from framegate.adapters.hook_http import open_http_hooks
from framegate.adapters.memory import MemoryHook
from framegate.ports.hooks import Attempt, Endpoint, Hook, HookKind, HookMessage, HookRefused, Reason, judge
from tests.support.aws import REGION, lead_to
from tests.support.receivers import HOST, Authority, ReceiverServer, answering, loopback, names, new_secret


class HookStand(Protocol):
    """`secrets_of_it`: what no head may show."""

    hook: Hook
    endpoint: Endpoint
    carries_payload: bool
    secrets_of_it: tuple[str, ...]

    def answer(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """From now on, to everything."""

    def vanish(self) -> None:
        """From now on nothing listens there."""

    def bodies(self) -> list[bytes]:
        """What arrived."""

    def ids(self) -> list[str]:
        """By which a receiver drops duplicates; empty where the kind knows none."""

    def close(self) -> None: ...


class MemoryStand:
    carries_payload = True
    secrets_of_it: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.hook = MemoryHook()
        self.endpoint = Endpoint("hook-1", HookKind.WEBHOOK, "https://hooks.example.org/in", (new_secret(),))
        self.hook.refused["https://10.0.0.1/"] = HookRefused(Reason.BLOCKED_ADDRESS, "10.0.0.1 is private: see docs")

    def answer(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        asked = (headers or {}).get("retry-after")
        ending, reason = judge(status)
        attempt = Attempt(ending, status, reason, f"answered {status}", float(asked) if asked else None)
        self.hook.receiver = lambda _endpoint, _message: attempt

    def vanish(self) -> None:
        attempt = Attempt(judge(500)[0], None, Reason.CONNECT, "nothing listens there")
        self.hook.receiver = lambda _endpoint, _message: attempt

    def bodies(self) -> list[bytes]:
        return [received.message.payload for received in self.hook.received]

    def ids(self) -> list[str]:
        return [received.message.message_id for received in self.hook.received]

    def close(self) -> None:
        self.hook.close()


@cache
def authority() -> Authority:
    return Authority()


class HttpStand:
    """A webhook or Slack, over TLS."""

    def __init__(self, kind: HookKind) -> None:
        self._server = ReceiverServer(authority().server(HOST))
        self._hooks = open_http_hooks(
            loopback(self._server.port),
            [],
            SystemClock(),
            resolver=names(hooks__test=["127.0.0.1"]),
            tls=authority().client(),
            deadline_s=10,
        )
        self.hook = self._hooks[kind]
        secrets = (new_secret(),) if kind is HookKind.WEBHOOK else ()
        self.endpoint = Endpoint(
            "hook-1", kind, f"https://{HOST}:{self._server.port}/T000/tokentoken?key=sesame", secrets
        )
        self.secrets_of_it = ("tokentoken", "sesame")
        self.carries_payload = kind is HookKind.WEBHOOK

    def answer(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self._server.behaviour = answering(status, headers)

    def vanish(self) -> None:
        self._server.close()

    def bodies(self) -> list[bytes]:
        return [request.body for request in self._server.requests]

    def ids(self) -> list[str]:
        return [id_ for request in self._server.requests if (id_ := request.headers.get("webhook-id", ""))]

    def close(self) -> None:
        for hook in self._hooks.values():
            hook.close()
        self._server.close()


class SnsStand:
    """A topic of moto's; for what moto cannot answer, a server that answers anything."""

    carries_payload = True
    secrets_of_it = ("SECRETSECRET",)

    def __init__(self, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._server = ReceiverServer()
        lead_to(f"http://127.0.0.1:{self._server.port}", monkeypatch)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETSECRET")
        self._scripted = make_client("sns", REGION, read_s=5, attempts=1)
        monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
        self._moto = make_client("sns", REGION, connections=16, attempts=1)
        arn = self._moto.create_topic(Name="alerts")["TopicArn"]
        self._topic = sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics[arn]
        self._topic.sent_notifications.clear()
        self._active = self._moto
        self.hook = SnsHook(SystemClock(), lambda _region: self)
        self.endpoint = Endpoint("hook-1", HookKind.SNS, arn)

    def publish(self, **told: Any) -> Any:
        """As the client that the hook holds."""
        return self._active.publish(**told)

    def answer(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self._active = self._moto if status == 200 else self._scripted
        self._server.behaviour = answering(
            status, headers, b"<ErrorResponse><Error><Code>Odd</Code></Error></ErrorResponse>"
        )

    def vanish(self) -> None:
        self._active = self._scripted
        self._server.close()

    def bodies(self) -> list[bytes]:
        return [json.loads(sent[1])["default"].encode() for sent in self._topic.sent_notifications]

    def ids(self) -> list[str]:
        return [sent[3]["message_id"]["Value"] for sent in self._topic.sent_notifications]

    def close(self) -> None:
        self._scripted.close()
        self._moto.close()
        self._server.close()


def message(number: int = 1, *, payload: bytes | None = None) -> HookMessage:
    return HookMessage(
        message_id=f"msg_{number}",
        type="incident.opened",
        payload=payload or b'{"type": "incident.opened", "data": {"number": %d}}' % number,
        title=f"Incident {number}",
        text="Torn cartons & wet <labels> at dock-3",
        link="https://box.example.org/incidents/1",
        severity="critical",
    )
