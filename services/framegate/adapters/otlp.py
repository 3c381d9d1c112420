"""Spans to a collector by OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/), with OpenTelemetry's SDK.

A thread of its own makes the SDK's spans of ours and sends them, so that whoever records one only puts it into a queue.
What the collector wants beside (headers, certificates, compression) the exporter reads from the variables OTEL_EXPORTER_OTLP_*
that every OpenTelemetry exporter knows.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanKind, Status, StatusCode, TraceFlags

from framegate.kernel.tracecontext import SpanContext
from framegate.observability.logs import get_log
from framegate.observability.tracing import Kind, Span

#: Spans that wait at most; each has about a kilobyte.
MOST_WAITING: Final = 4096
_TOGETHER: Final = 512
_LINGER_S: Final = 1.0
#: How long the end of the process waits for what is left.
_FLUSH_S: Final = 3.0
_COMPLAIN_S: Final = 60.0
_KINDS: Final = {kind: SpanKind[kind.name] for kind in Kind}

#: Told how many spans were exported, dropped (the queue was full, or the end did not wait) or failed (no collector).
Told = Callable[[str, int], None]


class Exporter(Protocol):
    """What is needed of the SDK's exporters."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Blocks, for a bounded time."""
        ...

    def shutdown(self) -> None:
        """Ends an `export` that waits for its next try."""
        ...


def otlp_exporter(endpoint: str, timeout_s: float) -> Exporter:
    """`endpoint`: the whole URL, path included; `timeout_s`: for one call with all its tries."""
    # It says in its own words, for each batch, what we count and say once a minute.
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
    logging.getLogger("opentelemetry").propagate = False
    return OTLPSpanExporter(endpoint=endpoint, timeout=timeout_s)


class SpanSender:
    """`Record`. Calling it never blocks; `close` it, which waits a few seconds at most."""

    def __init__(self, exporter: Exporter, resource: Mapping[str, str], told: Told) -> None:
        """`resource`: whose spans they are."""
        self._exporter, self._told = exporter, told
        self._made = _Made(resource)
        self._waiting: queue.Queue[Span | None] = queue.Queue(MOST_WAITING)
        self._closing = threading.Event()
        self._complained_at = float("-inf")
        self._log = get_log(component="traces")
        self._thread = threading.Thread(target=self._send_until_closed, name="spans", daemon=True)
        self._thread.start()

    def __call__(self, span: Span) -> None:
        """Hands it to the thread."""
        try:
            self._waiting.put_nowait(span)
        except queue.Full:
            self._told("dropped", 1)

    def _send_until_closed(self) -> None:
        while not self._closing.is_set():
            first = self._waiting.get()
            if self._waiting.qsize() < _TOGETHER:
                self._closing.wait(_LINGER_S)
            self._send([first, *self._ready()])
        while left := self._ready():
            self._send(left)

    def _ready(self) -> list[Span | None]:
        taken: list[Span | None] = []
        while len(taken) < _TOGETHER:
            try:
                taken.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return taken

    def _send(self, taken: Sequence[Span | None]) -> None:
        spans = [span for span in taken if span is not None]
        if not spans:
            return
        try:
            sent = self._exporter.export(self._made.of(spans)) is SpanExportResult.SUCCESS
        except Exception as error:  # whatever an exporter does, this thread goes on
            self._log.debug("export failed", action="export_failed", error=str(error))
            sent = False
        self._told("exported" if sent else "failed", len(spans))
        now = time.monotonic()
        if not sent and now - self._complained_at > _COMPLAIN_S:
            self._complained_at = now
            self._log.warning("spans lost: the collector does not take them", action="export_failed", count=len(spans))

    def close(self) -> None:
        """Sends what waits; what cannot be sent in time is dropped."""
        self._closing.set()
        with suppress(queue.Full):
            self._waiting.put_nowait(None)  # wakes the thread
        self._thread.join(_FLUSH_S)
        self._exporter.shutdown()
        if self._thread.is_alive():
            self._thread.join(0.5)
        left = sum(span is not None for span in self._ready())
        if left:
            self._told("dropped", left)


class _Made:
    """Makes the SDK's spans of ours, by its public interface: it begins them, with our ids, and ends them at once."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        self._ids, self._ended = _Ids(), _Ended()
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create(resource),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._ended)
        self._tracer = provider.get_tracer("framegate")

    def of(self, spans: Sequence[Span]) -> list[ReadableSpan]:
        for span in spans:
            self._make(span)
        made, self._ended.spans = self._ended.spans, []
        return made

    def _make(self, span: Span) -> None:
        self._ids.next = span.context
        context = trace.set_span_in_context(trace.INVALID_SPAN)
        if span.parent_id:
            above = span.context.next(span.parent_id)
            context = trace.set_span_in_context(NonRecordingSpan(_sdk(above, is_remote=True)))
        made = self._tracer.start_span(
            span.name,
            context,
            _KINDS[span.kind],
            dict(span.attributes),
            [Link(_sdk(link)) for link in span.links],
            span.start_ns,
        )
        if span.error:
            made.set_attribute("error.type", span.error)
            made.set_status(Status(StatusCode.ERROR))
        made.end(span.end_ns)


def _sdk(context: SpanContext, *, is_remote: bool = False) -> trace.SpanContext:
    return trace.SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote, TraceFlags(context.flags))


class _Ids(IdGenerator):
    """The ids that were chosen when the span began. Used by one thread."""

    next: SpanContext

    def generate_span_id(self) -> int:
        return int(self.next.span_id, 16)

    def generate_trace_id(self) -> int:
        return int(self.next.trace_id, 16)


class _Ended(SpanProcessor):
    """Gathers what has ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)
