"""Receivers of hooks on loopback: they do what a function says, and count who came."""

import base64
import os
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import trustme

from framegate.adapters.hook_http.resolving import Resolver
from framegate.kernel.addresses import Allowed, parse_allow
from framegate.kernel.webhooks import PREFIX

HOST = "hooks.test"  #: RFC 6761: resolves nowhere but here


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]  #: names in lower case
    body: bytes


def new_secret() -> str:
    """As one that was derived for an endpoint, of nobody's."""
    return PREFIX + base64.b64encode(os.urandom(32)).decode("ascii")


Behaviour = Callable[[Any, Request], None]


def answering(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"ok") -> Behaviour:
    lines = [f"{name}: {value}" for name, value in {"content-length": str(len(body)), **(headers or {})}.items()]
    answer = "\r\n".join([f"HTTP/1.1 {status} Whatever", *lines, "", ""]).encode() + body

    def behave(connection: Any, _request: Request) -> None:
        connection.sendall(answer)

    return behave


def sending(data: bytes) -> Behaviour:
    """These bytes, and the connection ends."""
    return lambda connection, _request: connection.sendall(data)


class ReceiverServer:
    """Everything has ended when `close` returns; behaviours that wait do so for `ended`."""

    def __init__(
        self, tls: ssl.SSLContext | None = None, *, greet: bool = True, address: str = "127.0.0.1", port: int = 0
    ) -> None:
        """`greet`: reads requests; otherwise the behaviour has the bare connection and an empty request."""
        self.behaviour: Behaviour = answering(200)
        self.requests: list[Request] = []
        self.connections = 0
        self.ended = threading.Event()
        self._tls, self._greet = tls, greet
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((address, port), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(20)
        connection: Any = plain
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
            request = self._read(connection) if self._greet else Request("", {}, b"")
            if request is not None:
                self.behaviour(connection, request)
        except OSError:
            pass  # the other side is gone
        finally:
            connection.close()
            plain.close()

    def _read(self, connection: Any) -> Request | None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (some := connection.recv(65536)):
                return None
            data += some
        head, _, body = data.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        while len(body) < int(headers.get("content-length", 0)):
            if not (some := connection.recv(65536)):
                return None
            body += some
        request = Request(line, headers, body)
        with self._lock:
            self.requests.append(request)
        return request

    def close(self) -> None:
        self.ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()
        for thread in self._threads:
            thread.join(20)


class Authority:
    """A certificate authority of the tests' own."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(*names).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        context.set_alpn_protocols(["http/1.1"])
        return context


def names(**known: Sequence[str]) -> Resolver:
    """Resolves only these; a double underscore stands for a dot."""
    table = {name.replace("__", "."): addresses for name, addresses in known.items()}

    def look_up(host: str, _port: int) -> Sequence[str]:
        if host not in table:
            raise OSError(f"{host} is unknown")
        return table[host]

    return Resolver(look_up)


def loopback(port: int, scheme: str = "https") -> Allowed:
    return parse_allow(f"{scheme}://127.0.0.0/8:{port}")
