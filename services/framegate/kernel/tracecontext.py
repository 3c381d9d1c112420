"""W3C Trace Context, level 2: how the steps of one image find each other in a trace.

A context is the text of a `traceparent`, as it travels in headers, messages and rows; the empty text means that there is
none. What is asked of every image is asked of that text, so an image that is not traced costs a comparison.
"""

import os
import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

_FORM: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_SAMPLED: Final = 0x01
_RANDOM_FLAG: Final = 0x02
_ODD: Final = frozenset("13579bdf")
#: One more than what the 56 bits of a trace id from the right can be, which are random where the flag says so.
_RANDOM: Final = 1 << 56


@dataclass(frozen=True, slots=True)
class SpanContext:
    """A place in a trace: what comes next has `span_id` as its parent."""

    trace_id: str  #: 32 hexadecimal digits
    span_id: str  #: 16 of them
    flags: int

    def __str__(self) -> str:
        """The `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def next(self, span_id: str) -> "SpanContext":
        """Of a span below this one."""
        return SpanContext(self.trace_id, span_id, self.flags)


def read_traceparent(text: str) -> str:
    """As a context; empty where it is not well formed, which is never an error (section 4.3).

    Of a later version only what this one has is taken (2.2.4); flags that are not known are cleared (2.2.5).
    """
    found = _FORM.fullmatch(text)
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"] is not None):
        return ""
    if not int(found["trace"], 16) or not int(found["parent"], 16):
        return ""
    return str(SpanContext(found["trace"], found["parent"], int(found["flags"], 16) & (_SAMPLED | _RANDOM_FLAG)))


def is_sampled(trace: str) -> bool:
    """Whether what happens to its image is recorded: the last digit's lowest bit."""
    return trace != "" and trace[-1] in _ODD


def trace_id_of(trace: str) -> str | None:
    """For log lines and exemplars; None where there is no trace that is recorded."""
    return trace[3:35] if is_sampled(trace) else None


def context_of(trace: str) -> SpanContext:
    """Of a text that `read_traceparent` or a `SpanContext` has made."""
    return SpanContext(trace[3:35], trace[36:52], int(trace[53:], 16))


def unsampled(trace: str) -> str:
    """The same trace, of which nothing is recorded from here on."""
    context = context_of(trace)
    return str(SpanContext(context.trace_id, context.span_id, context.flags & ~_SAMPLED))


def root_of(image_id: UUID, span_id: str) -> SpanContext:
    """Of an image whose trace begins here. The trace's id is the image's, so that either is found by the other.

    That is sound for a UUIDv7: the trace's last 56 bits have to be random for level 2, and of the image's id the last 62
    are, from the system's generator; the moment in its first 48 is no secret, and in every trace anyway.
    """
    return SpanContext(image_id.hex, span_id, _SAMPLED | _RANDOM_FLAG)


def is_chosen(image_id: UUID, share: float) -> bool:
    """Whether it is one of the share of images whose trace is recorded, decided by its random bits.

    As OpenTelemetry samples consistently by probability: the 56 random bits against a threshold of rejection.
    """
    return image_id.int % _RANDOM >= round((1 - share) * _RANDOM)


def new_span_id() -> str:
    """Never all zeros."""
    return (int.from_bytes(os.urandom(8), "big") or 1).to_bytes(8, "big").hex()
