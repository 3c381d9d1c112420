"""The first step: receive, decode, claim, load."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Generic, TypeVar

from framegate.kernel.errors import BlobMissing, Transient
from framegate.kernel.messages import Message, NewerMessage, UndecodableMessage, decode
from framegate.observability.catalogue import (
    DEAD_LETTERS,
    MESSAGES_RECEIVED,
    MESSAGES_STALE,
    QUEUE_WAIT_SECONDS,
)
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.pipeline import queues_of
from framegate.ports.progress import CONVICTING_CRASHES, Claim, Denied, Ending, Progress
from framegate.ports.queue import Delivery, Queue
from framegate.worker.breaker import Breaker
from framegate.worker.handler import Handler, Held, WorkerOptions
from framegate.worker.lease import Lease
from framegate.worker.retry import after_missing_blob, poison
from framegate.worker.settle import Done, failed_attempt

J = TypeVar("J")
_BUSY_DELAY = timedelta(seconds=5)
_NEWER_DELAY = timedelta(seconds=60)
#: Every fourth receive looks at the bulk lane first, so that live work never starves it.
_BULK_EVERY = 4


class Fetcher(Generic[J]):
    """Brings claimed and loaded jobs to `ready`, and what needs no work straight to `done`."""

    def __init__(
        self,
        handler: Handler[J],
        queue: Queue,
        progress: Progress,
        options: WorkerOptions,
        lease: Lease[J],
        breaker: Breaker,
        metrics: Metrics,
        log: Log,
        *,
        ready: Callable[[Held[J]], bool],
        done: Callable[[Done[J]], object],
    ) -> None:
        self._handler, self._queue, self._progress, self._options = handler, queue, progress, options
        self._lease, self._breaker, self._metrics, self._log = lease, breaker, metrics, log
        self._ready, self._done = ready, done
        self._queues = queues_of(handler.stage)
        self._stage = str(handler.stage)
        self._receives = 0
        self._cautious = 0

    def run(self, stop: threading.Event) -> None:
        """Until stopped. What a receive brought after the stop is released, not worked on."""
        window = self._options.prefetch + self._options.lanes * self._options.max_batch
        while not stop.is_set():
            # After a crash around a batch its members run alone: one message at a time, nothing else in flight.
            room = (1 if self._cautious else window) - len(self._lease)
            if room <= 0:
                self._lease.wait_below(1 if self._cautious else window, timeout_s=1.0)
                continue
            try:
                deliveries = self._receive(room)
                if stop.is_set():
                    self._queue.release(deliveries)
                    return
                held = self._claim_insisting(self._decode(deliveries), stop)
            except Transient as error:
                self._breaker.failed(error)
                self._log.warning("cannot receive", action="receive_failed", error=str(error))
                self._breaker.pause(stop)
                continue
            self._breaker.succeeded()
            self._lease.hold(held)
            for one in held:
                self._admit(one, stop)

    def _receive(self, room: int) -> list[Delivery]:
        self._receives += 1
        queues = self._queues if self._receives % _BULK_EVERY else tuple(reversed(self._queues))
        limit = min(room, self._queue.max_receive)
        deliveries = self._queue.receive(queues, limit, self._options.poll, self._options.lease)
        if deliveries:
            self._metrics.count(MESSAGES_RECEIVED, len(deliveries), stage=self._stage)
        return deliveries

    def _decode(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Message]]:
        decoded = []
        for delivery in deliveries:
            try:
                decoded.append((delivery, decode(delivery.body)))
            except NewerMessage:
                self._queue.release([delivery], _NEWER_DELAY)
            except UndecodableMessage as error:
                self._bury(delivery, "undecodable", str(error))
        return decoded

    def _bury(self, delivery: Delivery, slug: str, cause: str) -> None:
        self._queue.dead_letter(delivery, cause)
        self._metrics.count(DEAD_LETTERS, stage=self._stage, cause=slug)
        self._log.error("dead letter", action="dead_letter", message=delivery.message_id, cause=cause)

    def _claim_insisting(self, messages: Sequence[tuple[Delivery, Message]], stop: threading.Event) -> list[Held[J]]:
        while True:
            try:
                return self._claim(messages)
            except Transient as error:
                # Keep what was received: dropping it would burn a receive count for somebody else's fault.
                self._breaker.failed(error)
                if self._breaker.pause(stop):
                    self._queue.release([delivery for delivery, _ in messages])
                    return []
                with suppress(Transient):
                    self._queue.extend([delivery for delivery, _ in messages], self._options.lease)

    def _claim(self, messages: Sequence[tuple[Delivery, Message]]) -> list[Held[J]]:
        if not messages:
            return []
        answers = self._progress.claim(
            self._handler.stage, [m for _, m in messages], self._options.owner, self._options.lease
        )
        held: list[Held[J]] = []
        stale: list[Delivery] = []
        for (delivery, _), answer in zip(messages, answers, strict=True):
            match answer:
                case Claim():
                    held.append(Held(delivery, answer))
                case Denied.STALE:
                    stale.append(delivery)
                case Denied.BUSY:
                    self._queue.release([delivery], _BUSY_DELAY)
                case Denied.UNKNOWN:
                    self._bury(delivery, "unknown-image", "no such image is recorded")
        if stale:
            self._queue.acknowledge(stale)
            self._metrics.count(MESSAGES_STALE, len(stale), stage=self._stage)
        for h in held:
            waited = (h.claim.claimed_at - h.delivery.enqueued_at).total_seconds()
            self._metrics.observe(QUEUE_WAIT_SECONDS, max(0.0, waited), stage=self._stage)
        return held

    def _admit(self, held: Held[J], stop: threading.Event) -> None:
        if held.claim.crashes >= CONVICTING_CRASHES:
            self._done(Done(held, poison(held.claim)))
        elif self._must_wait_to_be_alone(held):
            self._done(Done(held, None))
        else:
            self._load(held, stop)

    def _must_wait_to_be_alone(self, held: Held[J]) -> bool:
        if self._options.isolates or not held.claim.solo:
            self._cautious = max(0, self._cautious - 1)
            return False
        self._cautious = 2 * self._options.max_batch + self._options.prefetch
        return len(self._lease) > 1

    def _load(self, held: Held[J], stop: threading.Event) -> None:
        while True:
            try:
                held.job = self._handler.load(held.claim)
            except BlobMissing as error:
                result = after_missing_blob(held.claim)
                self._done(Done(held, result) if result is not None else self._failed(held, error))
            except Transient as error:
                # Not the image's fault: keep the lease and try until the dependency is back.
                self._breaker.failed(error)
                self._log.warning("cannot load", action="load_failed", error=str(error))
                if not self._breaker.pause(stop):
                    continue
                self._done(Done(held, None, ending=Ending.DEPENDENCY, cause=str(error)))
            except Exception as error:
                self._log.exception("load failed", action="load_failed", image=str(held.claim.image.image_id))
                self._done(self._failed(held, error))
            else:
                if not self._ready(held):
                    self._done(Done(held, None))
            return

    def _failed(self, held: Held[J], error: Exception) -> Done[J]:
        options = self._options
        cause = f"{type(error).__name__}: {error}"
        return failed_attempt(held, Ending.ERROR, cause, options.max_attempts, options.last_attempt)
