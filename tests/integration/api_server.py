"""The API behind a real server on a real socket, and a client that may say anything."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from framegate.ingest.server import make_server
from tests.unit.ingest.fakes import ApiBox


@dataclass(frozen=True)
class Answer:
    """What came back before the connection was closed or the answer was complete."""

    status: int
    head: str
    body: bytes
    closed: bool


class Wire:
    """One connection; bytes in, bytes out."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._received = b""

    def __del__(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def hang_up(self) -> None:
        self._socket.close()

    def answer(self) -> Answer:
        """Waits for one whole answer; `closed` says whether the server then closes the connection."""
        while b"\r\n\r\n" not in self._received:
            self._more()
        head, _, rest = self._received.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        length = int(fields.get("content-length", 0))
        self._received = rest
        while len(self._received) < length:
            self._more()
        body, self._received = self._received[:length], self._received[length:]
        return Answer(int(head.split()[1]), head.decode(), body, fields.get("connection") == "close")

    def is_closed_by_the_server(self) -> bool:
        """Waits for the end of the stream."""
        return self._socket.recv(1) == b""

    def _more(self) -> None:
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionError(f"closed after {self._received[:200]!r}")
        self._received += data


class Served:
    """A running server and the box behind it."""

    def __init__(self, box: ApiBox, server: uvicorn.Server) -> None:
        self.box, self._server = box, server
        self.port: int = server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        """As SIGTERM does; returns at once."""
        self._server.should_exit = True

    def wait_until_busy(self, requests: int) -> None:
        """Until so many requests are being answered."""
        while len(self._server.server_state.tasks) < requests:
            time.sleep(0.005)

    def connect(self) -> Wire:
        return Wire(self.port)

    def head(self, *fields: str, target: str = "/v1/images?camera=c", method: str = "POST") -> bytes:
        """A request's head with the usual fields and `fields`."""
        usual = ["Host: framegate", f"Authorization: Bearer {self.box.key}", "Content-Type: image/jpeg"]
        return "\r\n".join([f"{method} {target} HTTP/1.1", *usual, *fields, "", ""]).encode()

    @property
    def stored(self) -> int:
        """How many images are recorded."""
        return len(self.box.store.state.images)


@contextmanager
def served(spool: Path, **options: Any) -> Iterator[Served]:
    """Runs until left."""
    server_options = options.pop("server", {})
    box = ApiBox(spool, **options)
    started = threading.Event()
    server = make_server(box.app, "127.0.0.1", 0, listens=started.set, **server_options)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(30)
        yield Served(box, server)
    finally:
        server.should_exit = True
        thread.join(30)
