"""`/metrics`, `/healthz` and `/readyz` of a worker process, with the standard library only."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

#: What is scraped and its content type, for an `Accept` header.
Render = Callable[[str], tuple[bytes, str]]
#: Reasons why a process is not ready, by stage; empty when it is.
Reasons = Callable[[], dict[str, str]]


class HealthServer:
    """Listens on `port` (0: any free one, see `port` after `start`) of `host` until closed."""

    def __init__(self, render_metrics: Render, reasons: Reasons, host: str, port: int) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(render_metrics, reasons))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


def _handler(render_metrics: Render, reasons: Reasons) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    body, content_type = render_metrics(self.headers.get("Accept", ""))
                    self._answer(200, content_type, body)
                case "/healthz":
                    self._answer(200, "application/json", b'{"alive":true}')
                case "/readyz":
                    found = reasons()
                    body = json.dumps({"ready": not found, "stages": found}).encode()
                    self._answer(503 if found else 200, "application/json", body)
                case _:
                    self._answer(404, "text/plain", b"try /metrics, /healthz or /readyz\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the standard library's name)
            """Scrapes are not news."""

    return Handler
