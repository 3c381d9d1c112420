"""HTTP/1.1 over asyncio: the API at `/`, and `/_control/...` for tests."""

import asyncio
import json
import socket
import struct
import traceback
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from itertools import count
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from .actions import Actions
from .adversity import RATES
from .broker import Broker
from .errors import SqsError

_MOST_BYTES: Final = 16 * 1024 * 1024  # 1 MiB of control characters is 6 MiB of JSON
_TARGET: Final = "AmazonSQS."


class BadRequest(Exception):
    """No HTTP that we speak; the connection is closed after saying so."""


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` by name in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


def parse(buffer: bytearray) -> Request | None:
    """Takes the first request out of `buffer`; None when it is not complete. Raises BadRequest."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > 65_536:
            raise BadRequest("the headers do not end")
        return None
    first, *lines = buffer[:end].decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    parts, length = first.split(" "), headers.get("content-length", "0")
    if len(parts) != 3 or "transfer-encoding" in headers or not length.isdigit() or int(length) > _MOST_BYTES:
        raise BadRequest(f"cannot read the request {first!r}")
    total = end + 4 + int(length)
    if len(buffer) < total:
        return None
    request = Request(parts[1], headers, bytes(buffer[end + 4 : total]))
    del buffer[:total]
    return request


class Connection(asyncio.Protocol):
    """One request at a time; a long poll that its client has left takes no messages."""

    def __init__(self, server: "Server") -> None:
        self._server, self._buffer = server, bytearray()
        self.poll: asyncio.Task[Any] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self.poll is not None:
            self.poll.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._serve()

    def _serve(self) -> None:
        try:
            while self.poll is None and not self.transport.is_closing() and (request := parse(self._buffer)):
                self._answer(request)
        except BadRequest as error:
            self._write(400, {"message": str(error)})
            self.transport.close()

    def _answer(self, request: Request) -> None:
        if request.path.startswith("/_control/"):
            self._write(*self._server.control(request))
            return
        try:
            answer = self._server.perform(request)
        except Exception as error:
            self._refuse(error)
            return
        if isinstance(answer, dict):
            self._succeed(answer)
        else:
            self.poll = asyncio.ensure_future(self._later(answer))

    async def _later(self, answer: Awaitable[dict[str, Any]]) -> None:
        try:
            self._succeed(await answer)
        except Exception as error:
            self._refuse(error)
        self.poll = None
        self._serve()

    def _succeed(self, answer: dict[str, Any]) -> None:
        if self._server.broker.dice.hit("resets"):
            # Closing at once sends RST instead of FIN, so that the client sees "connection reset by peer".
            sock: socket.socket = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self._write(200, answer)

    def _refuse(self, error: Exception) -> None:
        if not isinstance(error, SqsError):
            traceback.print_exception(error)
            error = SqsError("InternalFailure", f"a fault of the fake: {error!r}", status=500)
        self._server.broker.errors[error.query_code] += 1
        body = {"__type": error.type, "message": error.message}
        self._write(error.status, body, f"x-amzn-query-error: {error.query_code};{error.fault}\r\n")

    def _write(self, status: int, body: dict[str, Any], headers: str = "") -> None:
        data = json.dumps(body, separators=(",", ":")).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/x-amz-json-1.0\r\n"
            f"x-amzn-RequestId: {next(self._server.request_ids):032x}\r\n{headers}Content-Length: {len(data)}\r\n\r\n"
        )
        self.transport.write(head.encode("latin-1") + data)


class Server:
    """Belongs to the loop that started it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.connections: set[Connection] = set()
        self.request_ids = count(1)
        self.url = ""
        self._actions = Actions(broker)
        self._listening: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """`url` is known on return. Port 0: any that is free."""
        self._listening = await asyncio.get_running_loop().create_server(lambda: Connection(self), host, port)
        self.url = f"http://{host}:{self._listening.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Polls end without an answer."""
        assert self._listening is not None
        self._listening.close()
        polls = [connection.poll for connection in self.connections if connection.poll is not None]
        for connection in self.connections:
            connection.transport.abort()
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        await self._listening.wait_closed()

    def perform(self, request: Request) -> dict[str, Any] | Awaitable[dict[str, Any]]:
        """Raises SqsError."""
        target = request.headers.get("x-amz-target", "")
        if not target.startswith(_TARGET):
            raise SqsError("InvalidAction", "Only AWS JSON 1.0 with X-Amz-Target: AmazonSQS.<Action> is spoken here.")
        try:
            asked = json.loads(request.body or b"{}")
        except ValueError as error:
            raise SqsError("SerializationException", f"No JSON: {error}") from error
        if not isinstance(asked, dict):
            raise SqsError("SerializationException", "No JSON object.")
        host = request.headers.get("host")
        return self._actions.perform(target[len(_TARGET) :], asked, f"http://{host}" if host else self.url)

    def control(self, request: Request) -> tuple[int, dict[str, Any]]:
        """statistics, reset, advance?seconds=, purge[?queue=], adversity[?duplicates=...&late_s=...]."""
        url = urlsplit(request.path)
        given = dict(parse_qsl(url.query))
        try:
            return 200, self._control(url.path.removeprefix("/_control/"), given)
        except (ValueError, KeyError, SqsError) as error:
            return 400, {"message": str(error)}

    def _control(self, what: str, given: dict[str, str]) -> dict[str, Any]:
        broker = self.broker
        match what:
            case "statistics":
                return broker.statistics()
            case "reset":
                broker.reset_statistics()
            case "advance":
                broker.advance(float(given["seconds"]))
            case "purge":
                for queue in [broker.queue(given["queue"])] if "queue" in given else broker.queues.values():
                    queue.forget_all()
            case "adversity":
                broker.dice.change(**{name: float(value) for name, value in given.items()})
                return {n: v for n, v in asdict(broker.dice.adversity).items() if n in (*RATES, "late_s")}
            case _:
                raise ValueError(f"no such control: {what}; there are statistics, reset, advance, purge, adversity")
        return {}
