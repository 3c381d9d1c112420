"""A receiver that is a function."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from framegate.ports.hooks import Attempt, Endpoint, HookMessage, HookRefused, Reason, judge

#: What a receiver does: answers with a status, or decides the whole attempt.
Receiver = Callable[[Endpoint, HookMessage], int | Attempt]


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived, whatever the receiver answered."""

    endpoint: Endpoint
    message: HookMessage


class MemoryHook:
    """Of any kind. `received` keeps every try in order, `refused` the targets that `check` refuses, with the slug."""

    def __init__(self, receiver: Receiver = lambda _endpoint, _message: 200) -> None:
        """`receiver` is called in the thread that delivers; it may be replaced at any time."""
        self.receiver = receiver
        self.received: list[Received] = []
        self.refused: dict[str, HookRefused] = {}
        self._lock = threading.Lock()

    def check(self, target: str) -> None:
        """Anything with a scheme or an ARN passes, unless it is in `refused`."""
        if target in self.refused:
            raise self.refused[target]
        if ":" not in target:
            raise HookRefused(
                Reason.INVALID_URL, f"{target!r} is not a URL: write it in full, https://hooks.example.org/path"
            )

    def deliver(self, endpoint: Endpoint, message: HookMessage) -> Attempt:
        """What the receiver says, at once."""
        with self._lock:
            self.received.append(Received(endpoint, message))
        answer = self.receiver(endpoint, message)
        if isinstance(answer, Attempt):
            return answer
        ending, reason = judge(answer)
        return Attempt(ending, answer, reason, f"the receiver answered {answer}", elapsed_ms=0.0)

    def close(self) -> None:
        """Nothing to close."""
