"""One POST on one connection, bounded in time and size; neither proxies nor redirects nor cookies exist here."""

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import certifi
import httpcore

from framegate import __version__
from framegate.adapters.hook_http.deadline import Deadline
from framegate.adapters.hook_http.failures import Unanswered
from framegate.adapters.hook_http.guard import Guard
from framegate.adapters.hook_http.urls import HookUrl
from framegate.ports.hooks import Reason

#: Of an answer, head and body together.
MAX_ANSWER_BYTES: Final = 64 * 1024
#: For the body, which nobody needs: many receivers call a connection broken that ends before they have written it.
BODY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Its head; names in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)


class Client:
    """Safe for use from many threads. Every POST has a connection of its own, so every try is vetted anew."""

    def __init__(self, guard: Guard, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: by default the system's certificate authorities and those of certifi."""
        self._guard = guard
        self._tls = tls or default_tls()

    def post(self, url: HookUrl, headers: Sequence[tuple[str, str]], body: bytes, deadline: Deadline) -> Answer:
        """The answer, whatever its status. Raises `Unanswered`."""
        connected = self._guard.connect(url, deadline)
        with contextlib.closing(_Stream(connected, deadline)) as stream:
            if url.scheme == "https":
                stream.start_tls_with(self._tls, url)
            return _exchange(url, headers, body, stream, deadline)


def common_headers(url: HookUrl, body: bytes) -> list[tuple[str, str]]:
    """What every request has."""
    return [
        ("host", url.authority),
        ("user-agent", f"Framegate/{__version__}"),
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("accept-encoding", "identity"),
        ("connection", "close"),
    ]


def default_tls() -> ssl.SSLContext:
    """TLS 1.2 or newer, certificate and host name verified. `SSL_CERT_FILE` adds a company's own authority (OpenSSL)."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    # Once and not at each connection: changing a context that other threads connect with is not safe.
    context.set_alpn_protocols(["http/1.1"])
    return context


def _exchange(
    url: HookUrl, headers: Sequence[tuple[str, str]], body: bytes, stream: "_Stream", deadline: Deadline
) -> Answer:
    origin = httpcore.Origin(url.scheme.encode(), url.host.encode(), url.port)
    target = httpcore.URL(scheme=url.scheme.encode(), host=url.host.encode(), port=url.port, target=url.path.encode())
    request = httpcore.Request(b"POST", target, headers=list(headers), content=body)
    try:
        with httpcore.HTTP11Connection(origin, stream) as connection:
            response = connection.handle_request(request)
            answer = Answer(response.status, _decoded(response.headers))
            # The status decides; what follows is read only so that the receiver may finish.
            deadline.shorten(BODY_S)
            with contextlib.suppress(Unanswered, httpcore.NetworkError, httpcore.ProtocolError):
                for _ in response.iter_stream():
                    pass
            return answer
    except (httpcore.ProtocolError, httpcore.NetworkError) as error:
        said = str(error) or "the connection ended"
        raise Unanswered(Reason.PROTOCOL, f"{url.authority}: no HTTP answer: {said[:200]}") from error


def _decoded(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


class _Stream(httpcore.NetworkStream):
    """Gives every call what is left of the deadline, so that a receiver cannot win time by sending little."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket, self._deadline = connected, deadline
        self._bytes_left = MAX_ANSWER_BYTES

    def start_tls_with(self, context: ssl.SSLContext, url: HookUrl) -> None:
        """Verifies that the other side is `url.host`."""
        self._socket.settimeout(self._deadline.left_s())
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=url.host)
        except TimeoutError:
            raise self._deadline.passed() from None
        except ssl.SSLCertVerificationError as error:
            raise Unanswered(
                Reason.TLS, f"{url.authority}: its certificate is not trusted: {error.verify_message}"
            ) from error
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            said = getattr(error, "reason", None) or getattr(error, "strerror", None) or "it ended early"
            raise Unanswered(Reason.TLS, f"{url.authority}: no TLS connection: {said}") from error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to the limit of an answer; `timeout` is the deadline's."""
        if self._bytes_left <= 0:
            raise Unanswered(Reason.TOO_LARGE, f"the answer has over {MAX_ANSWER_BYTES} B before its end")
        with self._bounded(httpcore.ReadError):
            data = self._socket.recv(min(max_bytes, self._bytes_left))
        self._bytes_left -= len(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All of it."""
        view = memoryview(buffer)
        while view:
            with self._bounded(httpcore.WriteError):  # httpcore then reads what was answered before the whole request
                view = view[self._socket.send(view) :]

    def close(self) -> None:
        """Idempotent."""
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """Nothing: the connection serves one request."""
        return None

    @contextlib.contextmanager
    def _bounded(self, error_class: type[httpcore.NetworkError]) -> Iterator[None]:
        self._socket.settimeout(self._deadline.left_s())
        try:
            yield
        except TimeoutError:
            raise self._deadline.passed() from None
        except OSError as error:
            raise error_class(error.strerror or type(error).__name__) from error
