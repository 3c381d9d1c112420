"""The spans of one stage: of each attempt at an image that is recorded, and of the batches that it was in."""

import os
from collections.abc import Sequence
from typing import Any, Final

from framegate.kernel.inspection import Outcome, Prepared
from framegate.kernel.messages import FrameInspected, FramePrepared, FrameSubmitted, Message
from framegate.kernel.states import Stage
from framegate.kernel.tracecontext import SpanContext, is_sampled, new_span_id
from framegate.observability.tracing import Attributes, Kind, Span, Tracing, Unfinished
from framegate.pipeline import queue_name
from framegate.ports.progress import Ending, LookAgain, PrepareAgain, Result
from framegate.worker.handler import Held

AnyHeld = Held[Any]
_CHARGED: Final = (Ending.ERROR, Ending.CRASH)


class StageTraces:
    """Safe for use from several threads: a message is in the hands of one of them at a time."""

    def __init__(self, tracing: Tracing, stage: Stage) -> None:
        self._tracing, self._stage = tracing, str(stage)

    def now(self) -> int:
        """0 when nothing is recorded."""
        return self._tracing.now_ns() if self._tracing.on else 0

    def claimed(self, held: Sequence[AnyHeld], began_ns: int, images: int) -> None:
        """By a call about so many images that began then."""
        if not self._tracing.on:
            return
        now = self._tracing.now_ns()
        for one in held:
            if is_sampled(one.claim.message.trace):
                one.traced = traced = Unfinished.below(one.claim.message.trace, began_ns)
                traced.parts.append(
                    self._tracing.database("progress.claim", traced.context, began_ns, now, images=images)
                )

    def loaded(self, held: AnyHeld, began_ns: int, error: Exception | None = None) -> None:
        """What its work needs."""
        if held.traced is not None:
            held.traced.add("load", began_ns, self._tracing.now_ns(), error=_name(error))

    def handled(self, batch: Sequence[AnyHeld], began_ns: int, error: Exception | None = None) -> None:
        """Together. A batch of several has a span in a trace of its own, as it belongs to none of them; both sides link."""
        traced = [held.traced for held in batch if held.traced is not None]
        if not traced:
            return
        now, failed = self._tracing.now_ns(), _name(error)
        if len(batch) == 1:
            traced[0].add(self._stage, began_ns, now, error=failed)
            return
        whole = SpanContext(os.urandom(16).hex(), new_span_id(), traced[0].context.flags)
        members = tuple(one.add(self._stage, began_ns, now, error=failed, links=(whole,)) for one in traced)
        about: Attributes = {"framegate.stage": self._stage, "framegate.batch.images": len(batch)}
        name = f"{self._stage} batch"
        self._tracing.record(Span(name, Kind.INTERNAL, whole, "", began_ns, now, about, members, failed))

    def completed(self, held: AnyHeld, result: Result, began_ns: int, images: int) -> None:
        """Its result is durable, by a call about so many images that began then."""
        traced = held.traced
        if traced is None:
            return
        now = self._tracing.now_ns()
        traced.parts.append(self._tracing.database("progress.complete", traced.context, began_ns, now, images=images))
        if not isinstance(result, Outcome):
            queue = _follows(result, held)
            traced.parts.append(self._tracing.sent(queue, traced.sent, traced.context.span_id, began_ns, now))
        self._end(held, traced, _said(result))

    def given_back(self, held: AnyHeld, ending: Ending, cause: str, began_ns: int, images: int) -> None:
        """The attempt ended without a result, told by a call about so many that began then."""
        traced = held.traced
        if traced is None:
            return
        now = self._tracing.now_ns()
        traced.parts.append(self._tracing.database("progress.give_back", traced.context, began_ns, now, images=images))
        # Only the kind of an error: its text may quote what it is about.
        kind = cause.partition(":")[0] if ending in _CHARGED else str(ending)
        self._end(held, traced, {"framegate.ending": str(ending)}, "" if ending is Ending.RELEASED else kind)

    def lost(self, held: AnyHeld) -> None:
        """Somebody else has it by now."""
        if held.traced is not None:
            self._end(held, held.traced, {}, "claim-lost")

    def _end(self, held: AnyHeld, traced: Unfinished, more: dict[str, str], error: str = "") -> None:
        held.traced = None
        for part in traced.parts:
            self._tracing.record(part)
        claim, delivery = held.claim, held.delivery
        waited_ms = (claim.claimed_at - delivery.enqueued_at).total_seconds() * 1000
        attributes = self._tracing.messaging("process", delivery.queue) | {
            "messaging.message.id": delivery.message_id,
            "framegate.stage": self._stage,
            "framegate.image.id": str(claim.image.image_id),
            "framegate.look": claim.message.look,
            "framegate.attempt": claim.attempt,
            "framegate.waited_ms": round(max(0.0, waited_ms), 3),
        }
        whole = (traced.context, traced.parent_id, traced.began_ns, self._tracing.now_ns())
        name = f"process {delivery.queue}"
        self._tracing.record(Span(name, Kind.CONSUMER, *whole, attributes | more, error=error))


def _follows(result: Result, held: AnyHeld) -> str:
    """The queue of the message that a result sends."""
    message: type[Message] = FramePrepared if isinstance(result, Prepared) else FrameInspected
    if isinstance(result, PrepareAgain | LookAgain):
        message = FrameSubmitted
    return queue_name(message, held.claim.image.lane)


def _said(result: Result) -> dict[str, str]:
    """What came of it, in words of ours."""
    if isinstance(result, Outcome):
        verdict = {} if result.verdict is None else {"framegate.verdict": str(result.verdict)}
        return {"framegate.state": str(result.state), "framegate.reason": result.reason} | verdict
    return {"framegate.result": type(result).__name__}


def _name(error: Exception | None) -> str:
    return "" if error is None else type(error).__name__
