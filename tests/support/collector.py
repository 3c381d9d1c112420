"""A collector that takes OTLP over HTTP, as any of them does, and keeps what it is sent."""

import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from framegate.kernel.tracecontext import SpanContext
from framegate.observability.tracing import Kind, Span
from tests.support.spans import Spans

_KINDS = {trace_pb2.Span.SpanKind.Value(f"SPAN_KIND_{kind.name}"): kind for kind in Kind}


class Collector:
    """On loopback; answers `status`, after `gate` is set."""

    def __init__(self) -> None:
        self.spans = Spans()
        self.bodies: list[bytes] = []  #: as they came
        self.services: set[str] = set()
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                collector.gate.wait(30)
                if collector.status == 200:
                    collector.take(body)
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            self.services.add(_attributes(resource.resource.attributes)["service.name"])
            for scope in resource.scope_spans:
                self.spans += [_span(span) for span in scope.spans]


def _span(span: Any) -> Span:
    attributes = _attributes(span.attributes)
    error = attributes.pop("error.type", "") if span.status.code == trace_pb2.Status.STATUS_CODE_ERROR else ""
    return Span(
        span.name,
        _KINDS[span.kind],
        _context(span),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        attributes,
        tuple(_context(link) for link in span.links),
        error,
    )


def _context(span: Any) -> SpanContext:
    return SpanContext(span.trace_id.hex(), span.span_id.hex(), span.flags & 0xFF)


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
