"""Spans: what was done to one image, told when it is done. Knows no tracing backend: a `Record` takes what has ended.

Whether an image is recorded at all is written in its trace context (`kernel.tracecontext`) and asked before anything is
built. Names and attributes follow the semantic conventions of OpenTelemetry 1.43 for HTTP, messaging and databases
(https://opentelemetry.io/docs/specs/semconv/); what is ours begins with `framegate.`. An attribute never holds what a
sender said of an image, a URL, or the text of an error: only names, numbers, states and kinds of errors.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID

from framegate.kernel.tracecontext import (
    SpanContext,
    context_of,
    is_chosen,
    is_sampled,
    new_span_id,
    root_of,
    unsampled,
)

Attributes = Mapping[str, str | int | float | bool]


class Kind(StrEnum):
    """What a span is to its neighbours in the trace."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


@dataclass(frozen=True, slots=True)
class Span:
    """One that has ended. Moments are nanoseconds since 1970."""

    name: str
    kind: Kind
    context: SpanContext
    parent_id: str  #: the span above; empty: the trace begins here
    start_ns: int
    end_ns: int
    attributes: Attributes = field(default_factory=dict)
    links: tuple[SpanContext, ...] = ()
    error: str = ""  #: its kind; empty: it went well


#: Takes a span. Never blocks or raises.
Record = Callable[[Span], None]


@dataclass(frozen=True, slots=True)
class Systems:
    """What stands behind the ports, as the conventions call it: `messaging.system` and `db.system.name`."""

    messaging: str = "memory"
    database: str = "memory"


class Tracing:
    """One for each process. Without `record` it is off, and costs those who ask nothing but `on`."""

    def __init__(
        self,
        record: Record | None = None,
        *,
        sample: float = 0.0,
        cameras_per_s: float = 10.0,
        systems: Systems = Systems(),
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`sample`: share of the images without a trace of their own that are recorded.

        `cameras_per_s`: how many traces cameras may have recorded, by their own flag.
        """
        self.on: Final = record is not None
        self.systems: Final = systems
        self.now_ns: Final = now_ns
        self._record, self._sample = record, sample
        self._cameras = _Bucket(cameras_per_s, now_ns)

    def record(self, span: Span) -> None:
        """Tells of it."""
        if self._record is not None:
            self._record(span)

    def upload(self, parent: str) -> "UploadTrace":
        """Of a request that begins now; `parent` is the context that came with it."""
        return UploadTrace(self, parent)

    def root(self, image_id: UUID, parent: str) -> SpanContext | None:
        """The first span of an image, below `parent` where there is one; None: it is not recorded."""
        if is_sampled(parent):
            return context_of(parent).next(new_span_id()) if self._cameras.take() else None
        if parent or not is_chosen(image_id, self._sample):
            return None
        return root_of(image_id, new_span_id())

    def database(self, operation: str, context: SpanContext, start_ns: int, end_ns: int, images: int = 1) -> Span:
        """A statement below `context`: one round trip that was about so many images."""
        attributes: dict[str, str | int] = {
            "db.system.name": self.systems.database,
            "db.operation.name": operation.partition(".")[2],
            "db.query.summary": operation,
        }
        if images > 1:
            attributes["db.operation.batch.size"] = images
        return _below(context, operation, Kind.CLIENT, start_ns, end_ns, attributes=attributes)

    def sent(self, queue: str, context: SpanContext, parent_id: str, start_ns: int, end_ns: int) -> Span:
        """A message that carries `context`, made durable by the statement of that time."""
        attributes = self.messaging("send", queue)
        return Span(f"send {queue}", Kind.PRODUCER, context, parent_id, start_ns, end_ns, attributes)

    def messaging(self, operation: str, queue: str) -> dict[str, str | int | float | bool]:
        """Attributes of what is done to a message."""
        return {
            "messaging.system": self.systems.messaging,
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "messaging.destination.name": queue,
        }


@dataclass(slots=True)
class Unfinished:
    """A span that goes on, with its parts. They are told together at its end: one that never ends tells nothing."""

    context: SpanContext
    parent_id: str
    sent: SpanContext  #: of the message that follows it
    began_ns: int
    parts: list[Span] = field(default_factory=list)

    @classmethod
    def below(cls, trace: str, began_ns: int) -> Self:
        """What a message with this context led to."""
        above = context_of(trace)
        return cls(above.next(new_span_id()), above.span_id, above.next(new_span_id()), began_ns)

    def add(
        self, name: str, start_ns: int, end_ns: int, *, error: str = "", links: tuple[SpanContext, ...] = ()
    ) -> SpanContext:
        """A part that has ended; its context."""
        part = _below(self.context, name, Kind.INTERNAL, start_ns, end_ns, links=links, error=error)
        self.parts.append(part)
        return part.context


class UploadTrace:
    """Of one upload, from its request to its answer."""

    __slots__ = (
        "_about",
        "_began_ns",
        "_durable_ns",
        "_parent",
        "_root",
        "_sent",
        "_storing_ns",
        "_tracing",
        "context",
    )

    def __init__(self, tracing: Tracing, parent: str = "") -> None:
        self._tracing, self._parent = tracing, parent
        self.context = ""  #: of the image's first message, once it is begun
        self._root: SpanContext | None = None
        self._sent: SpanContext | None = None
        self._about: Attributes = {}
        self._began_ns = self._storing_ns = self._durable_ns = tracing.now_ns() if tracing.on else 0

    def storing(self) -> None:
        """Everything has arrived."""
        if self._tracing.on:
            self._storing_ns = self._tracing.now_ns()

    def begin(self, image_id: UUID, facility: str, camera: str) -> str:
        """The context of the image's first message. Decides whether the image is recorded."""
        self.context = self._begin(image_id, facility, camera)
        return self.context

    def _begin(self, image_id: UUID, facility: str, camera: str) -> str:
        self._root = self._tracing.root(image_id, self._parent) if self._tracing.on else None
        if self._root is None:
            return unsampled(self._parent) if self._parent else ""
        self._sent = self._root.next(new_span_id())
        self._about = {
            "framegate.image.id": str(image_id),
            "framegate.facility": facility,
            "framegate.camera": camera,
        }
        return str(self._sent)

    def durable(self) -> None:
        """The original is; recording it follows."""
        if self._root is not None:
            self._durable_ns = self._tracing.now_ns()

    def recorded(self, name: str, kind: Kind, queue: str, request: Attributes | None = None) -> None:
        """The image is. `queue`: where its first message waits; empty: there is none."""
        root, sent, tracing = self._root, self._sent, self._tracing
        if root is None or sent is None:
            return
        now = tracing.now_ns()
        tracing.record(_below(root, "store", Kind.INTERNAL, self._storing_ns, self._durable_ns))
        tracing.record(tracing.database("intake.accept", root, self._durable_ns, now))
        if queue:
            tracing.record(tracing.sent(queue, sent, root.span_id, self._durable_ns, now))
        above = context_of(self._parent).span_id if self._parent else ""
        tracing.record(Span(name, kind, root, above, self._began_ns, now, {**(request or {}), **self._about}))


def _below(above: SpanContext, name: str, kind: Kind, start_ns: int, end_ns: int, **more: Any) -> Span:
    return Span(name, kind, above.next(new_span_id()), above.span_id, start_ns, end_ns, **more)


class _Bucket:
    """Lets so many pass in a second, and as many at once."""

    def __init__(self, per_s: float, now_ns: Callable[[], int]) -> None:
        self._per_s, self._now_ns = per_s, now_ns
        self._left, self._at_ns = max(1.0, per_s), now_ns()
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            now = self._now_ns()
            grown = self._left + max(0, now - self._at_ns) * self._per_s / 1e9
            self._left, self._at_ns = min(grown, max(1.0, self._per_s)), now
            if self._left < 1:
                return False
            self._left -= 1
            return True
