"""Whatever a receiver does, a try is bounded, says why, and takes nothing from others."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from standardwebhooks import Webhook

from framegate import __version__
from framegate.adapters.clock import SystemClock
from framegate.adapters.hook_http import open_http_hooks
from framegate.adapters.hook_http.resolving import Resolver
from framegate.adapters.memory import FakeClock
from framegate.kernel.addresses import parse_allow
from framegate.kernel.webhooks import verify
from framegate.ports.clock import Clock
from framegate.ports.hooks import Attempt, Ending, Endpoint, Hook, HookKind, HookMessage, Reason
from tests.support.box import until
from tests.support.receivers import (
    HOST,
    Authority,
    Behaviour,
    ReceiverServer,
    Request,
    answering,
    loopback,
    names,
    new_secret,
    sending,
)

DEADLINE_S = 0.5
#: A busy machine may take this long beyond it.
SLACK_MS = 2_500
SECRETS = (new_secret(),)
MESSAGE = HookMessage("msg_1", "incident.opened", b'{"number": 1}', "Incident 1", "Torn", None, "critical")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority) -> Iterator[ReceiverServer]:
    made = ReceiverServer(authority.server(HOST))
    yield made
    made.close()


@pytest.fixture
def bare() -> Iterator[ReceiverServer]:
    """Speaks neither TLS nor HTTP by itself."""
    made = ReceiverServer(greet=False)
    yield made
    made.close()


def webhook(
    authority: Authority,
    port: int,
    *,
    deadline_s: float = 10,
    clock: Clock | None = None,
    resolver: Resolver | None = None,
) -> Hook:
    return open_http_hooks(
        loopback(port),
        [],
        clock or SystemClock(),
        resolver=resolver or names(hooks__test=["127.0.0.1"]),
        tls=authority.client(),
        deadline_s=deadline_s,
    )[HookKind.WEBHOOK]


def deliver(hook: Hook, port: int, message: HookMessage = MESSAGE, secrets: tuple[str, ...] = SECRETS) -> Attempt:
    return hook.deliver(Endpoint("e", HookKind.WEBHOOK, f"https://{HOST}:{port}/in", secrets), message)


def hang(server: ReceiverServer) -> Behaviour:
    return lambda _connection, _request: server.ended.wait(20) and None


def drip(server: ReceiverServer, first: bytes, then: Callable[[int], bytes]) -> Behaviour:
    """`first` at once, then little by little for as long as somebody listens."""

    def behave(connection: Any, _request: Request) -> None:
        connection.sendall(first)
        number = 0
        while not server.ended.wait(0.01):
            connection.sendall(then(number))
            number += 1

    return behave


def flood(data: bytes) -> Behaviour:
    def behave(connection: Any, _request: Request) -> None:
        while True:
            connection.sendall(data)

    return behave


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", lambda _: b"H"),
        (b"HTTP/1.1 200 OK\r\n", lambda number: b"x-%d: y\r\n" % number),
        (b"HTTP/1.1 200 OK\r\nx: ", lambda _: b"y"),
        (b"", lambda _: b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status", "headers", "header", "informational"],
)
def test_a_head_that_drips_ends_at_the_deadline(
    authority: Authority, server: ReceiverServer, first: bytes, then: Callable[[int], bytes]
) -> None:
    server.behaviour = drip(server, first, then)
    attempt = deliver(webhook(authority, server.port, deadline_s=DEADLINE_S), server.port)
    assert (attempt.ending, attempt.reason) == (Ending.RETRY, Reason.TIMEOUT)
    assert attempt.elapsed_ms < DEADLINE_S * 1000 + SLACK_MS


def test_a_receiver_that_never_answers_costs_the_deadline(authority: Authority, server: ReceiverServer) -> None:
    server.behaviour = hang(server)
    attempt = deliver(webhook(authority, server.port, deadline_s=DEADLINE_S), server.port)
    assert (attempt.ending, attempt.status, attempt.reason) == (Ending.RETRY, None, Reason.TIMEOUT)
    assert DEADLINE_S * 1000 <= attempt.elapsed_ms < DEADLINE_S * 1000 + SLACK_MS
    assert "webhook-id: msg_1" in attempt.request_head
    assert attempt.response_head == ""


def test_a_greeting_that_never_comes_costs_the_deadline(authority: Authority, bare: ReceiverServer) -> None:
    bare.behaviour = hang(bare)
    attempt = deliver(webhook(authority, bare.port, deadline_s=DEADLINE_S), bare.port)
    assert attempt.reason is Reason.TIMEOUT
    assert attempt.elapsed_ms < DEADLINE_S * 1000 + SLACK_MS


def test_a_greeting_that_drips_costs_the_deadline(authority: Authority, bare: ReceiverServer) -> None:
    # A handshake record of 16 kB, one byte at a time.
    bare.behaviour = drip(bare, b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb", lambda _: b"\x03")
    attempt = deliver(webhook(authority, bare.port, deadline_s=DEADLINE_S), bare.port)
    assert attempt.reason in (Reason.TIMEOUT, Reason.TLS)
    assert attempt.elapsed_ms < DEADLINE_S * 1000 + SLACK_MS


def test_an_address_that_takes_no_connection_costs_the_deadline(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as waiting:
        port = listener.getsockname()[1]
        for _ in range(3):  # nobody accepts: the queue is full, and the kernel drops who comes next
            other = waiting.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        attempt = deliver(webhook(authority, port, deadline_s=DEADLINE_S), port)
    assert attempt.reason is Reason.TIMEOUT
    assert attempt.elapsed_ms < DEADLINE_S * 1000 + SLACK_MS


@pytest.mark.parametrize("body", [b"", b"content-length: 1000\r\n"], ids=["until-close", "by-length"])
def test_a_body_that_drips_after_2xx_is_not_waited_for(
    authority: Authority, server: ReceiverServer, body: bytes
) -> None:
    server.behaviour = drip(server, b"HTTP/1.1 200 OK\r\n" + body + b"\r\n", lambda _: b"x")
    attempt = deliver(webhook(authority, server.port), server.port)
    assert (attempt.ending, attempt.status) == (Ending.DELIVERED, 200)
    assert attempt.elapsed_ms < 1_000 + SLACK_MS


@pytest.mark.parametrize("status", [200, 500])
def test_of_a_body_of_10_mb_little_is_read(authority: Authority, server: ReceiverServer, status: int) -> None:
    sent: list[int] = []
    big = b"x" * 65_536

    def behave(connection: Any, _request: Request) -> None:
        connection.sendall(b"HTTP/1.1 %d OK\r\ncontent-length: 10485760\r\n\r\n" % status)
        for number in range(160):
            connection.sendall(big)
            sent.append(number)

    server.behaviour = behave
    attempt = deliver(webhook(authority, server.port), server.port)
    server.close()
    assert attempt.status == status
    assert attempt.ending is (Ending.DELIVERED if status == 200 else Ending.RETRY)
    assert "xxx" not in repr(attempt)
    assert len(sent) < 160, "the connection was closed long before the end"


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, b"HTTP/1.1 100 Continue\r\n\r\n" * 8_000],
    ids=["header", "informational"],
)
def test_a_head_without_an_end_is_given_up(authority: Authority, server: ReceiverServer, data: bytes) -> None:
    server.behaviour = flood(data)
    attempt = deliver(webhook(authority, server.port), server.port)
    assert (attempt.ending, attempt.status, attempt.reason) == (Ending.RETRY, None, Reason.TOO_LARGE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"<html>hello</html>\r\n\r\n",
        b"\x00" * 1_000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example.org ESMTP\r\n",
    ],
)
def test_what_is_not_http_is_tried_again(authority: Authority, server: ReceiverServer, data: bytes) -> None:
    server.behaviour = sending(data)
    attempt = deliver(webhook(authority, server.port), server.port)
    assert (attempt.ending, attempt.status, attempt.reason) == (Ending.RETRY, None, Reason.PROTOCOL)
    assert attempt.detail


def test_a_connection_that_is_reset_is_tried_again(authority: Authority, server: ReceiverServer) -> None:
    def reset(connection: Any, _request: Request) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.close()

    server.behaviour = reset
    assert deliver(webhook(authority, server.port), server.port).reason is Reason.PROTOCOL


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nshort", 200),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nlonger", 200),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n", 200),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nno gzip", 200),
        (b"HTTP/1.0 200 OK\r\n\r\nold", 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n", 202),
        (b"HTTP/1.1 200 \xff\xfe\r\nx: \xff\r\n\r\n", 200),
    ],
)
def test_the_status_decides_whatever_follows_it(
    authority: Authority, server: ReceiverServer, head: bytes, status: int
) -> None:
    server.behaviour = sending(head)
    attempt = deliver(webhook(authority, server.port), server.port)
    assert (attempt.ending, attempt.status) == (Ending.DELIVERED, status)


def test_an_answer_before_the_request_was_read_counts(authority: Authority) -> None:
    hasty = ReceiverServer(authority.server(HOST), greet=False)

    def behave(connection: Any, _request: Request) -> None:
        connection.sendall(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")
        hasty.ended.wait(5)

    hasty.behaviour = behave
    attempt = deliver(webhook(authority, hasty.port), hasty.port)
    hasty.close()
    assert attempt.ending is Ending.GONE


def expired() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server, and for a client that trusts its authority."""
    ca = trustme.CA()
    long_ago = ca.issue_cert(
        HOST, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2020, 2, 1, tzinfo=UTC)
    )
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    long_ago.configure_cert(server)
    ca.configure_trust(client)
    return server, client


@pytest.mark.parametrize(
    ("trouble", "said"),
    [("unknown-authority", "not trusted"), ("other-name", "Hostname mismatch"), ("expired", "expired")],
)
def test_a_bad_certificate_gets_no_byte_of_the_message(authority: Authority, trouble: str, said: str) -> None:
    client = authority.client()
    match trouble:
        case "unknown-authority":
            certified = Authority().server(HOST)
        case "other-name":
            certified = authority.server("other.test")
        case _:
            certified, client = expired()
    bad = ReceiverServer(certified)
    hook = open_http_hooks(
        loopback(bad.port), [], SystemClock(), resolver=names(hooks__test=["127.0.0.1"]), tls=client, deadline_s=10
    )[HookKind.WEBHOOK]
    attempt = deliver(hook, bad.port)
    bad.close()
    assert (attempt.ending, attempt.status, attempt.reason) == (Ending.RETRY, None, Reason.TLS)
    assert said in attempt.detail
    assert (bad.requests, attempt.request_head) == ([], "")


def test_a_receiver_without_tls_gets_no_byte_of_the_message(authority: Authority) -> None:
    plain = ReceiverServer()
    attempt = deliver(webhook(authority, plain.port, deadline_s=DEADLINE_S), plain.port)
    plain.close()
    assert attempt.reason in (Reason.TLS, Reason.TIMEOUT)
    assert plain.requests == []


def test_old_versions_of_tls_are_not_spoken(authority: Authority) -> None:
    certified = authority.server(HOST)
    certified.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        certified.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        certified.maximum_version = ssl.TLSVersion.TLSv1_1
    old = ReceiverServer(certified)
    attempt = deliver(webhook(authority, old.port), old.port)
    old.close()
    assert attempt.reason is Reason.TLS


def test_a_receiver_that_vanished_from_dns_is_tried_again(authority: Authority, server: ReceiverServer) -> None:
    there = iter([True, False, True])

    def look_up(host: str, _port: int) -> list[str]:
        if next(there):
            return ["127.0.0.1"]
        raise OSError(f"{host} is unknown")

    hook = webhook(authority, server.port, resolver=Resolver(look_up))
    assert [deliver(hook, server.port).reason for _ in range(3)] == [Reason.DELIVERED, Reason.DNS, Reason.DELIVERED]


def test_a_receiver_that_refuses_connections_is_tried_again(authority: Authority, server: ReceiverServer) -> None:
    server.close()
    attempt = deliver(webhook(authority, server.port), server.port)
    assert (attempt.ending, attempt.reason) == (Ending.RETRY, Reason.CONNECT)
    assert "connection refused" in attempt.detail


def test_a_receiver_on_the_premises_may_speak_plain_http() -> None:
    plain = ReceiverServer()
    hook = open_http_hooks(
        parse_allow(f"http://hooks.test:{plain.port}"), [], SystemClock(), resolver=names(hooks__test=["127.0.0.1"])
    )[HookKind.WEBHOOK]
    url = f"http://{HOST}:{plain.port}/in?x=1"
    hook.check(url)
    attempt = hook.deliver(Endpoint("e", HookKind.WEBHOOK, url, SECRETS), MESSAGE)
    plain.close()
    assert attempt.ending is Ending.DELIVERED
    (request,) = plain.requests
    assert (request.line, request.headers["host"]) == ("POST /in?x=1 HTTP/1.1", f"{HOST}:{plain.port}")


def test_what_was_opened_and_is_not_any_more_is_not_sent_to() -> None:
    hook = open_http_hooks(parse_allow(""), [], SystemClock())[HookKind.WEBHOOK]
    attempt = hook.deliver(Endpoint("e", HookKind.WEBHOOK, "http://plc.local/in", SECRETS), MESSAGE)
    assert (attempt.ending, attempt.reason) == (Ending.RETRY, Reason.INVALID_URL)
    assert "FRAMEGATE_HOOKS__ALLOW" in attempt.detail


def test_the_request_is_that_of_standard_webhooks(authority: Authority) -> None:
    seen: list[str | None] = []
    certified = authority.server(HOST)
    certified.sni_callback = lambda _socket, name, _context: seen.append(name)
    server = ReceiverServer(certified)
    attempt = deliver(webhook(authority, server.port), server.port)
    server.close()
    (request,) = server.requests
    assert attempt.ending is Ending.DELIVERED
    assert seen == [HOST]
    assert request.line == "POST /in HTTP/1.1"
    assert {name: request.headers[name] for name in ("host", "user-agent", "content-type", "webhook-id")} == {
        "host": f"{HOST}:{server.port}",
        "user-agent": f"Framegate/{__version__}",
        "content-type": "application/json",
        "webhook-id": "msg_1",
    }
    assert request.body == MESSAGE.payload
    assert Webhook(SECRETS[0]).verify(request.body, request.headers) == json.loads(MESSAGE.payload)
    assert not {"cookie", "authorization", "referer", "transfer-encoding"} & request.headers.keys()


def test_id_and_body_are_the_same_at_every_try_and_the_timestamp_is_of_this_one(
    authority: Authority, server: ReceiverServer
) -> None:
    clock = FakeClock()
    hook = webhook(authority, server.port, clock=clock)
    new, old = new_secret(), new_secret()
    for _ in range(2):
        deliver(hook, server.port, secrets=(new, old))
        clock.advance(3600)
    first, second = server.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 3600
    for request, hours in ((first, 0), (second, 1)):
        now = (FakeClock().now() + timedelta(hours=hours)).timestamp()
        for secret in (new, old):
            verify([secret], request.headers, request.body, now)


def test_cookies_are_not_kept(authority: Authority, server: ReceiverServer) -> None:
    server.behaviour = answering(500, {"set-cookie": "a=b; Path=/"})
    hook = webhook(authority, server.port)
    for _ in range(2):
        deliver(hook, server.port)
    assert ["cookie" in request.headers for request in server.requests] == [False, False]


@pytest.mark.parametrize(
    ("status", "asked", "understood"),
    [
        (429, "120", 120),
        (503, "Thu, 01 Jan 2026 00:02:00 GMT", 120),
        (503, "Wed, 31 Dec 2025 00:00:00 GMT", 0),
        (429, "soon", None),
        (500, "120", None),
        (200, "120", None),
        (302, "120", None),
    ],
)
def test_retry_after_counts_with_429_and_503(
    authority: Authority, server: ReceiverServer, status: int, asked: str, understood: float | None
) -> None:
    server.behaviour = answering(status, {"Retry-After": asked})
    attempt = deliver(webhook(authority, server.port, clock=FakeClock()), server.port)
    assert attempt.retry_after_s == understood


def test_a_receiver_that_hangs_does_not_hold_up_others(authority: Authority, server: ReceiverServer) -> None:
    stuck = ReceiverServer(authority.server(HOST))
    stuck.behaviour = hang(stuck)
    hook = open_http_hooks(
        parse_allow(f"127.0.0.0/8:{stuck.port}, 127.0.0.0/8:{server.port}"),
        [],
        SystemClock(),
        resolver=names(hooks__test=["127.0.0.1"]),
        tls=authority.client(),
        deadline_s=60,
    )[HookKind.WEBHOOK]
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(deliver, hook, stuck.port) for _ in range(8)]
        until(lambda: len(stuck.requests) == 8, what="the eighth request")  # all are past their handshakes
        assert deliver(hook, server.port).ending is Ending.DELIVERED
        assert not [one for one in waiting if one.done()]
        stuck.close()
        assert {one.result().reason for one in waiting} == {Reason.PROTOCOL}


def test_sixteen_threads_share_one_hook_and_leave_nothing_open(authority: Authority, server: ReceiverServer) -> None:
    hook = webhook(authority, server.port)
    deliver(hook, server.port)
    before = len(list(Path("/proc/self/fd").iterdir()))
    barrier = threading.Barrier(16)

    def work(worker: int) -> list[Attempt]:
        barrier.wait(20)
        made = []
        for number in range(6):
            message = HookMessage(f"msg_{worker}_{number}", "a.b", b'"%d"' % worker, "t", "t", None, "info")
            made.append(deliver(hook, server.port, message, (new_secret(),)))
        return made

    with ThreadPoolExecutor(16) as pool:
        attempts = [attempt for made in pool.map(work, range(16)) for attempt in made]
    assert [attempt.ending for attempt in attempts] == [Ending.DELIVERED] * 96
    arrived = server.requests[1:]
    assert {request.headers["webhook-id"] for request in arrived} == {
        f"msg_{w}_{n}" for w in range(16) for n in range(6)
    }
    for request in arrived:
        worker = request.headers["webhook-id"].split("_")[1]
        assert request.body == f'"{worker}"'.encode(), "no two messages were mixed"
    server.close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
