"""No connection is ever made to where none may go."""

import socket
import ssl
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from framegate.adapters.clock import SystemClock
from framegate.adapters.hook_http import open_http_hooks
from framegate.adapters.hook_http.client import default_tls
from framegate.adapters.hook_http.guard import Guard, is_of_this_host
from framegate.adapters.hook_http.resolving import Resolver
from framegate.adapters.hook_http.urls import parse_url
from framegate.kernel.addresses import Allowed, host_address, parse_allow
from framegate.ports.hooks import Attempt, Ending, Endpoint, Hook, HookKind, HookMessage, HookRefused, Reason
from tests.support.receivers import Authority, ReceiverServer, answering, names, new_secret
from tests.support.ssrf import DENIED, MALFORMED_URLS, NEIGHBOURS, PUBLIC

MESSAGE = HookMessage("msg_1", "incident.opened", b"{}", "title", "text", None, "critical")
SECRETS = (new_secret(),)
EVERYWHERE = "0.0.0.0"  # noqa: S104


def deliver(hook: Hook, url: str) -> Attempt:
    return hook.deliver(Endpoint("e", HookKind.WEBHOOK, url, SECRETS), MESSAGE)


@cache
def tls() -> ssl.SSLContext:
    return default_tls()


def webhook(allowed: Allowed, resolver: Resolver | None = None, trusted: ssl.SSLContext | None = None) -> Hook:
    hooks = open_http_hooks(allowed, [], SystemClock(), resolver=resolver, tls=trusted or tls(), deadline_s=5)
    return hooks[HookKind.WEBHOOK]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every TCP address that somebody tried to connect to; nobody gets through."""
    tried: list[Any] = []
    connect = socket.socket.connect

    def spy(self: socket.socket, address: Any) -> None:
        if self.type != socket.SOCK_STREAM:
            connect(self, address)
            return
        tried.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", spy)
    return tried


@pytest.mark.parametrize("address", DENIED)
def test_a_name_that_leads_to_a_denied_address_is_blocked(dialled: list[Any], address: str) -> None:
    hook = webhook(Allowed(), names(hooks__test=[address]))
    with pytest.raises(HookRefused, match="FRAMEGATE_HOOKS__ALLOW") as refused:
        hook.check("https://hooks.test/in")
    assert refused.value.slug == "blocked-address"
    attempt = deliver(hook, "https://hooks.test/in")
    assert (attempt.ending, attempt.reason, attempt.status) == (Ending.RETRY, Reason.BLOCKED_ADDRESS, None)
    assert dialled == []
    assert address not in f"{refused.value} {attempt}", "whoever makes hooks learns nothing about our network"


@pytest.mark.parametrize("address", DENIED)
def test_a_denied_address_in_the_url_is_blocked(dialled: list[Any], address: str) -> None:
    url = f"https://[{address}]/" if ":" in address else f"https://{address}/"
    hook = webhook(Allowed())
    with pytest.raises(HookRefused) as refused:
        hook.check(url)
    assert refused.value.slug == deliver(hook, url).reason
    assert dialled == []


@pytest.mark.parametrize("url", MALFORMED_URLS, ids=range(len(MALFORMED_URLS)))
def test_a_malformed_url_leads_nowhere(dialled: list[Any], url: str) -> None:
    hook = webhook(Allowed(), Resolver(lambda _host, _port: ["93.184.216.34"]))
    assert deliver(hook, url).reason is Reason.INVALID_URL
    assert dialled == []


@pytest.mark.parametrize("address", [*PUBLIC, *NEIGHBOURS])
def test_public_addresses_are_connected_to(dialled: list[Any], address: str) -> None:
    hook = webhook(Allowed(), names(hooks__test=[address]))
    hook.check("https://hooks.test/in")
    assert deliver(hook, "https://hooks.test/in").reason is Reason.CONNECT
    assert dialled == [(address, 443)]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_guard_itself_permits_public_addresses(address: str) -> None:
    made = host_address(address)
    assert made is not None
    assert Guard(Allowed(), []).permits(parse_url("https://hooks.test/in", Allowed()), made)


@pytest.mark.parametrize("denied", ["10.0.0.1", "169.254.169.254", "::1", "64:ff9b::a9fe:a9fe"])
def test_one_denied_answer_among_many_blocks_all(dialled: list[Any], denied: str) -> None:
    for answers in ([denied, "8.8.8.8"], ["8.8.8.8", denied], ["8.8.8.8"] * 7 + [denied]):
        assert (
            deliver(webhook(Allowed(), names(hooks__test=answers)), "https://hooks.test/").reason == "blocked-address"
        )
    assert dialled == []


def test_the_next_address_is_tried_when_one_does_not_answer(dialled: list[Any]) -> None:
    deliver(webhook(Allowed(), names(hooks__test=PUBLIC[:3])), "https://hooks.test/")
    assert dialled == [(address, 443) for address in PUBLIC[:3]]


@pytest.fixture
def pair(authority: Authority) -> Iterator[tuple[ReceiverServer, ReceiverServer]]:
    """A receiver on 127.0.0.2 and, on the same port, a victim on 127.0.0.1."""
    certified = authority.server("hooks.test")
    victim = ReceiverServer(certified)
    receiver = ReceiverServer(certified, address="127.0.0.2", port=victim.port)
    yield receiver, victim
    receiver.close()
    victim.close()


def test_a_name_that_changes_its_mind_reaches_the_victim_never(
    authority: Authority, pair: tuple[ReceiverServer, ReceiverServer]
) -> None:
    receiver, victim = pair
    asked = threading.Lock()
    answers = iter(["127.0.0.2", "127.0.0.1"] * 21)

    def rebinding(_host: str, _port: int) -> list[str]:
        with asked:
            return [next(answers)]

    hook = webhook(parse_allow(f"127.0.0.2:{victim.port}"), Resolver(rebinding), authority.client())
    url = f"https://hooks.test:{victim.port}/"
    hook.check(url)
    with pytest.raises(HookRefused):
        hook.check(url)
    reasons = [deliver(hook, url).reason for _ in range(40)]
    assert reasons == [Reason.DELIVERED, Reason.BLOCKED_ADDRESS] * 20
    assert (receiver.connections, victim.connections) == (20, 0)


def test_a_connection_that_leads_elsewhere_is_closed_before_a_byte_is_sent(
    authority: Authority, pair: tuple[ReceiverServer, ReceiverServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, victim = pair
    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: connect(self, ("127.0.0.1", address[1])))
    hook = webhook(parse_allow(f"127.0.0.2:{victim.port}"), names(hooks__test=["127.0.0.2"]), authority.client())
    assert deliver(hook, f"https://hooks.test:{victim.port}/").reason is Reason.BLOCKED_ADDRESS
    assert victim.requests == []


def test_proxies_of_the_environment_are_not_asked(
    authority: Authority, pair: tuple[ReceiverServer, ReceiverServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, victim = pair
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{victim.port}")
        monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{victim.port}")
    hook = webhook(parse_allow(f"127.0.0.2:{victim.port}"), names(hooks__test=["127.0.0.2"]), authority.client())
    assert deliver(hook, f"https://hooks.test:{victim.port}/").ending is Ending.DELIVERED
    assert (receiver.connections, victim.connections) == (1, 0)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308, 399])
def test_redirects_are_not_followed(
    authority: Authority, pair: tuple[ReceiverServer, ReceiverServer], status: int
) -> None:
    receiver, victim = pair
    for target in (
        f"https://127.0.0.1:{victim.port}/",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "",
    ):
        receiver.behaviour = answering(status, {"location": target})
        hook = webhook(parse_allow(f"127.0.0.2:{victim.port}"), names(hooks__test=["127.0.0.2"]), authority.client())
        attempt = deliver(hook, f"https://hooks.test:{victim.port}/")
        assert (attempt.ending, attempt.status, attempt.reason) == (Ending.RETRY, status, Reason.REDIRECT)
        assert "169.254" not in repr(attempt)
    assert victim.connections == 0


@pytest.mark.parametrize(
    ("listens", "allow", "url", "address", "permitted"),
    [
        (("127.0.0.1", 8080), "http://127.0.0.0/8:8080", "http://hooks.test:8080/", "127.0.0.1", False),
        (("127.0.0.1", 8080), "http://127.0.0.0/8:8080", "http://hooks.test:8080/", "127.0.0.2", True),
        (("127.0.0.1", 8080), "http://127.0.0.0/8:8081", "http://hooks.test:8081/", "127.0.0.1", True),
        (("localhost", 8080), "http://hooks.test:8080", "http://hooks.test:8080/", "127.0.0.1", False),
        ((EVERYWHERE, 8080), "http://127.0.0.0/8:8080", "http://hooks.test:8080/", "127.0.0.9", False),
        (("::", 8080), "http://[::1]:8080", "http://hooks.test:8080/", "::1", False),
        (("", 8080), "http://127.0.0.0/8:8080", "http://hooks.test:8080/", "127.0.0.1", False),
        (("8.8.8.8", 8080), "", "https://hooks.test/", "8.8.8.8", False),
        (("8.8.8.8", 8080), "", "https://hooks.test/", "8.8.4.4", True),
        (("8.8.8.8", 8080), "8.8.8.8", "https://hooks.test/", "8.8.8.8", True),
        (("8.8.8.8", 443), "8.8.8.8", "https://hooks.test/", "8.8.8.8", False),
        ((EVERYWHERE, 0), "", "https://hooks.test/", "8.8.8.8", True),
    ],
)
def test_our_own_servers_are_not_receivers(
    listens: tuple[str, int], allow: str, url: str, address: str, permitted: bool
) -> None:
    allowed = parse_allow(allow)
    made = host_address(address)
    assert made is not None
    assert Guard(allowed, [listens]).permits(parse_url(url, allowed), made) is permitted


def test_the_addresses_of_this_host_are_known() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("8.8.8.8", 9))
        except OSError:
            pytest.skip("this host has no route to anywhere")
        own = host_address(probe.getsockname()[0])
    assert own is not None
    assert is_of_this_host(own)
    for other in ("8.8.8.8", "2606:4700:4700::1111"):
        address = host_address(other)
        assert address is not None
        assert not is_of_this_host(address)


@pytest.mark.parametrize(
    "error", [OSError("unknown"), socket.gaierror(-2, "Name or service not known"), UnicodeError("x")]
)
def test_a_name_that_does_not_resolve_leads_nowhere(dialled: list[Any], error: Exception) -> None:
    def failing(_host: str, _port: int) -> list[str]:
        raise error

    hook = webhook(Allowed(), Resolver(failing))
    with pytest.raises(HookRefused, match="cannot be resolved") as refused:
        hook.check("https://hooks.test/")
    assert refused.value.slug == "invalid-webhook-url"
    assert deliver(hook, "https://hooks.test/").reason is Reason.DNS
    assert dialled == []


@pytest.mark.parametrize(
    "answers", [[], ["fe80::1%eth0"], ["8.8.8.8", "fe80::1%eth0"], ["8.8.8.8", "nonsense"], ["127.1"], [""]]
)
def test_an_answer_that_cannot_be_read_leads_nowhere(dialled: list[Any], answers: list[str]) -> None:
    assert deliver(webhook(Allowed(), names(hooks__test=answers)), "https://hooks.test/").reason is Reason.DNS
    assert dialled == []


def test_a_resolver_that_hangs_costs_its_limit_and_no_more() -> None:
    ended = threading.Event()

    def hanging(_host: str, _port: int) -> list[str]:
        ended.wait(20)
        return ["8.8.8.8"]

    hook = webhook(Allowed(), Resolver(hanging, limit_s=0.05, lookups=2))
    attempts = [deliver(hook, "https://hooks.test/") for _ in range(4)]
    threads = [thread for thread in threading.enumerate() if thread.name == "resolve hooks.test"]
    ended.set()
    assert [attempt.reason for attempt in attempts] == [Reason.DNS] * 4
    assert max(attempt.elapsed_ms for attempt in attempts) < 2_000
    assert len(threads) == 2, "no more lookups hang than there are slots"
    for thread in threads:
        thread.join(5)
    assert hook.check("https://hooks.test/") is None, "the slots are free again"
