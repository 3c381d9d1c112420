"""A receiver for each kind of hook, and what it was sent."""

from collections.abc import Mapping
from typing import Protocol

from framegate.adapters.memory import MemoryHook
from framegate.kernel.webhooks import new_secret
from framegate.ports.hooks import Attempt, Endpoint, Hook, HookKind, HookMessage, HookRefused, Reason, judge


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
