"""From a message's bytes to an attempt: what all receivers behind a URL have in common."""

from collections.abc import Sequence
from typing import Final

from framegate.adapters.hook_http.client import Answer, Client, common_headers
from framegate.adapters.hook_http.deadline import Deadline
from framegate.adapters.hook_http.failures import Unanswered
from framegate.adapters.hook_http.guard import Guard
from framegate.adapters.hook_http.urls import HookUrl, parse_url
from framegate.kernel.redelivery import parse_retry_after
from framegate.ports.clock import Clock
from framegate.ports.hooks import DEADLINE_S, MAX_HEAD_CHARS, Attempt, Ending, HookRefused, Reason, judge

#: Of an answer's headers, those that help to find out what is wrong and hold nothing of ours or theirs.
_SHOWN: Final = ("content-type", "content-length", "date", "server", "retry-after", "x-request-id")
_MAY_ASK_FOR_TIME: Final = (429, 503)


class Poster:
    """Safe for use from many threads."""

    def __init__(self, guard: Guard, client: Client, clock: Clock, deadline_s: float = DEADLINE_S) -> None:
        """`deadline_s`: for a whole try, in real time."""
        self._guard, self._client, self._deadline_s = guard, client, deadline_s
        self.clock = clock

    def check(self, target: str) -> None:
        """Raises `HookRefused`."""
        url = parse_url(target, self._guard.allowed)
        try:
            self._guard.addresses(url)
        except Unanswered as error:
            if error.reason is Reason.BLOCKED_ADDRESS:
                raise HookRefused(Reason.BLOCKED_ADDRESS, str(error)) from error
            raise HookRefused(Reason.INVALID_URL, str(error)) from error

    def post(self, target: str, headers: Sequence[tuple[str, str]], body: bytes) -> Attempt:
        """One try; never raises for what happens on the way."""
        deadline = Deadline(self._deadline_s)
        try:
            url = parse_url(target, self._guard.allowed)
        except HookRefused as error:
            return Attempt(Ending.RETRY, None, error.slug, str(error), elapsed_ms=deadline.elapsed_ms())
        sent = [*common_headers(url, body), *headers]
        head = _request_head(url, sent)
        try:
            answer = self._client.post(url, sent, body, deadline)
        except Unanswered as error:
            return Attempt(
                Ending.RETRY,
                None,
                error.reason,
                str(error),
                request_head="" if error.reason in _NOTHING_SENT else head,
                elapsed_ms=deadline.elapsed_ms(),
            )
        return self._attempt(answer, head, deadline)

    def _attempt(self, answer: Answer, head: str, deadline: Deadline) -> Attempt:
        ending, reason = judge(answer.status)
        asked = answer.headers.get("retry-after", "") if answer.status in _MAY_ASK_FOR_TIME else ""
        return Attempt(
            ending,
            answer.status,
            reason,
            _DETAILS.get(reason, f"the receiver answered {answer.status}"),
            retry_after_s=parse_retry_after(asked, self.clock.now()),
            request_head=head,
            response_head=_response_head(answer),
            elapsed_ms=deadline.elapsed_ms(),
        )


_NOTHING_SENT: Final = (Reason.DNS, Reason.BLOCKED_ADDRESS, Reason.CONNECT, Reason.TLS)
_DETAILS: Final = {
    Reason.GONE: "the receiver answered 410: it wants no more messages",
    Reason.REDIRECT: "the receiver answered with a redirect, which is never followed: enter the final URL",
}


def _request_head(url: HookUrl, headers: Sequence[tuple[str, str]]) -> str:
    # Not the path: with many receivers (Slack, Teams, Discord) it is the secret.
    path = "/" if url.path == "/" else "/..."
    return _bounded([f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)])


def _response_head(answer: Answer) -> str:
    shown = [f"{name}: {answer.headers[name]}" for name in _SHOWN if name in answer.headers]
    return _bounded([f"HTTP/1.1 {answer.status}", *shown])


def _bounded(lines: Sequence[str]) -> str:
    return "\n".join(line[:512] for line in lines)[:MAX_HEAD_CHARS]
