"""The HTTP/1.1 connection: what must be refused before there is a request an application could answer.

httptools parses, and refuses what smuggling is made of: Content-Length beside Transfer-Encoding or twice, bare line feeds,
folded lines. It has no limit on the header block and no patience that ends, takes any Host and `gzip, chunked`, loses the
body of a request that offers an upgrade, and uvicorn answers its refusals as plain text. This class mends that, and closes
connections so that an early answer arrives.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from framegate.web.problems import MEDIA_TYPE, Problem, problem_body
from framegate.web.stopping import STOPPING

_HEAD_BYTES: Final = 16 * 1024
_HEAD_FIELDS: Final = 100
#: For a whole header block, or for the rest of a body that was answered early; uvicorn's own keep-alive timeout covers the
#: pause between requests.
_HEAD_TIMEOUT_S: Final = 10.0
#: After an answer that came early, so much is still read and thrown away: a client that sends its whole body before it
#: looks for an answer would otherwise see a reset connection instead.
_LINGER_BYTES: Final = 64 * 1024 * 1024
_LINGER_S: Final = 5.0
_OFFER: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


class _Refused(Exception):
    """Raised inside a callback of the parser, which turns it into one of its own errors."""


class LingeringTransport:
    """A transport whose `close` waits for the client to finish sending, within limits."""

    def __init__(self, transport: asyncio.Transport, is_body_pending: Callable[[], bool]) -> None:
        self._transport, self._is_body_pending = transport, is_body_pending
        self.lingering = False
        self._left = _LINGER_BYTES

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Also while it lingers: nothing more is answered."""
        return self.lingering or self._transport.is_closing()

    def close(self) -> None:
        """Half-closes first when a body is still coming."""
        if self.lingering or self._transport.is_closing():
            return
        if not self._is_body_pending() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self.lingering = True
        self._transport.write_eof()
        self._transport.resume_reading()
        asyncio.get_running_loop().call_later(_LINGER_S, self._transport.close)

    def throw_away(self, length: int) -> None:
        """Counts what came after the answer."""
        self._left -= length
        if self._left < 0:
            self._transport.close()


class Connection(HttpToolsProtocol):
    """One client. See the module."""

    transport: Any
    _head_bytes = 0
    _in_head = True
    _refusal: Problem | None = None
    _timer: asyncio.TimerHandle | None = None
    most_connections = 1024

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Too many connections are told so and closed."""
        lingering = LingeringTransport(transport, self._is_body_pending)  # type: ignore[arg-type]
        super().connection_made(lingering)  # type: ignore[arg-type]
        self._start_timer()
        if len(self.connections) > self.most_connections:
            self._refuse(Problem("overloaded", "Too many connections.", headers={"Retry-After": "1"}))

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was running sees that its client is gone."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of the client, or what follows an early answer."""
        if self.transport.lingering:
            self.transport.throw_away(len(data))
            return
        if self._answered_early():
            self.transport.throw_away(len(data))
            if self._timer is None:
                self._start_timer()
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal or Problem("malformed-request"))
            return
        if self._in_head and not self.transport.is_closing():
            # A field that never ends is not reported by the parser until it does.
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES:
                self._refuse(Problem("headers-too-large"))

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade() + data[upgrade.args[0] :]

    def _without_upgrade(self) -> bytes:
        """An upgrade is an offer. The parser stops at it: the same request is read anew without it."""
        method = self.parser.get_method()
        if method == b"CONNECT" or not self._in_head:
            raise httptools.HttpParserError
        kept = [(name, value) for name, value in self.headers if name not in _OFFER]
        self.parser = httptools.HttpRequestParser(self)
        fields = b"".join(b"%b: %b\r\n" % field for field in kept)
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self.url, fields)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head_bytes = True, 0
        if self._timer is None:
            self._start_timer()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Called once or more for each request."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called for each complete field."""
        self._count(len(name) + len(value) + 4)
        if not self._in_head:
            return  # the trailer of a chunked body: nobody asked for it
        if len(self.headers) >= _HEAD_FIELDS:
            self._head_too_large()
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The application takes over."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return  # comes again without the offer
        self._check_head()
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is complete."""
        if self._in_head:
            return
        super().on_message_complete()
        self.cycle.more_body = False  # uvicorn leaves it when the answer was early
        self._stop_timer()

    def _check_head(self) -> None:
        """RFC 9112 §3.2 and §6.1."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1") or codings not in ([], [b"chunked"]):
            self._refusal = Problem("malformed-request")
            raise _Refused

    def shutdown(self) -> None:
        """The server stops: who only waits for something to happen is to answer now (`is_stopping`)."""
        if self.cycle is not None:
            self.cycle.scope[STOPPING] = True  # type: ignore[typeddict-unknown-key]
        super().shutdown()

    def _count(self, length: int) -> None:
        self._head_bytes += length
        if self._head_bytes > _HEAD_BYTES:
            self._head_too_large()

    def _head_too_large(self) -> None:
        self._refusal = Problem("headers-too-large")
        raise _Refused

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(_HEAD_TIMEOUT_S, self._took_too_long)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _took_too_long(self) -> None:
        if self._in_head or self._answered_early():
            self.transport.close()

    def _is_body_pending(self) -> bool:
        return self._refusal is not None or (self.cycle is not None and self.cycle.more_body)

    def _answered_early(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete and self.cycle.more_body

    def _refuse(self, problem: Problem) -> None:
        """The parser has given up: answers in the application's place, once, and closes."""
        self._refusal = problem
        if self.cycle is not None and not self.cycle.response_complete:
            # The request before this is cut short or was followed by garbage: it must not be stored on its word.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        body = problem_body(problem, None)
        head = [STATUS_LINE[problem.kind.status].decode().rstrip(), f"Content-Type: {MEDIA_TYPE}"]
        head += [f"{name}: {value}" for name, value in problem.headers.items()]
        head += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
        self.transport.write("\r\n".join(head).encode() + body)
        self.transport.close()
