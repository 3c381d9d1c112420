"""The first step: receive, decode, claim, load."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Generic, TypeVar

from framegate.kernel.errors import BlobMissing, Transient
from framegate.kernel.messages import Message, NewerMessage, UndecodableMessage, decode
from framegate.kernel.tracecontext import trace_id_of
from framegate.observability.catalogue import (
    DEAD_LETTERS,
    MESSAGE_RECEIVES,
    MESSAGES_RECEIVED,
    MESSAGES_STALE,
    QUEUE_WAIT_SECONDS,
)
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.pipeline import queues_of
from framegate.ports.progress import Claim, Denied, Ending, Progress
from framegate.ports.queue import Delivery, Queue
from framegate.worker.breaker import Breaker
from framegate.worker.handler import Handler, Held, WorkerOptions
from framegate.worker.lease import Lease
from framegate.worker.retry import after_missing_blob, convicted, poison
from framegate.worker.settle import Done, failed_attempt
from framegate.worker.steps import Steps
from framegate.worker.telling import about, tell_of_dead_letter
from framegate.worker.traced import StageTraces

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
        traces: StageTraces,
        *,
        ready: Callable[[Held[J]], bool],
        done: Callable[[Done[J]], object],
    ) -> None:
        self._handler, self._queue, self._progress, self._options = handler, queue, progress, options
        self._lease, self._breaker, self._metrics, self._log = lease, breaker, metrics, log
        self._ready, self._done, self._traces = ready, done, traces
        self._queues = queues_of(handler.stage)
        self._stage = str(handler.stage)
        self._steps = Steps(metrics, self._stage)
        self._receives = 0
        self._window = options.prefetch + options.lanes * options.max_batch
        #: Images around a crash run alone: their messages wait here, unclaimed, until nothing else is in flight.
        self._parked: deque[Held[J]] = deque()
        self._one_runs_alone = False

    def run(self, stop: threading.Event) -> None:
        """Until stopped. What a receive brought after the stop is released, not worked on."""
        while not stop.is_set():
            limit = self._limit()
            # Half a window at a time: receiving and claiming one message costs almost as much as a dozen.
            refill = limit // 2 + 1
            if len(self._lease) >= refill:
                self._lease.wait_below(refill, 1.0, stop)
                continue
            try:
                messages = self._next_messages(limit - len(self._lease), stop)
                held = self._claim_insisting(messages, stop)
            except Transient as error:
                self._breaker.failed(error)
                self._log.warning("cannot receive", action="receive_failed", error=str(error))
                self._breaker.pause(stop)
                continue
            self._breaker.succeeded()
            for one in self._park_suspects(held, stop):
                self._admit(one, stop)
        for one in self._parked:
            self._done(Done(one, None))

    def _limit(self) -> int:
        if not len(self._lease):
            self._one_runs_alone = False
        return 1 if self._parked or self._one_runs_alone else self._window

    def _next_messages(self, room: int, stop: threading.Event) -> list[tuple[Delivery, Message]]:
        if self._parked:
            held = self._parked.popleft()
            self._lease.drop([held])
            return [(held.delivery, held.claim.message)]
        deliveries = self._receive(room)
        if stop.is_set():
            self._queue.release(deliveries)
            return []
        return self._decode(deliveries)

    def _receive(self, room: int) -> list[Delivery]:
        self._receives += 1
        queues = self._queues if self._receives % _BULK_EVERY else tuple(reversed(self._queues))
        limit = min(room, self._queue.max_receive)
        with self._steps("receive"):
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
                with self._or_later():
                    self._queue.release([delivery], _NEWER_DELAY)
            except UndecodableMessage as error:
                with self._or_later():
                    self._bury(delivery, "undecodable", str(error))
        return decoded

    @contextmanager
    def _or_later(self) -> Iterator[None]:
        """For messages that are not worked on: when this fails they come again by themselves, and the others go on."""
        try:
            yield
        except Transient as error:
            self._breaker.failed(error)
            self._log.warning("cannot put away", action="put_away_failed", error=str(error))

    def _bury(self, delivery: Delivery, slug: str, cause: str) -> None:
        self._queue.dead_letter(delivery, cause)
        self._metrics.count(DEAD_LETTERS, stage=self._stage, cause=slug)
        self._log.error("a message is dead", action="dead_lettered", message_id=delivery.message_id, cause=cause)
        tell_of_dead_letter(self._options.tell, self._log, delivery.queue, cause)

    def _claim_insisting(self, messages: Sequence[tuple[Delivery, Message]], stop: threading.Event) -> list[Held[J]]:
        while messages:
            began = self._traces.now()
            try:
                with self._steps("claim"):
                    answers = self._progress.claim(
                        self._handler.stage, [m for _, m in messages], self._options.owner, self._options.lease
                    )
            except Transient as error:
                # Keep what was received: dropping it would burn a receive count for somebody else's fault.
                self._breaker.failed(error)
                if self._breaker.pause(stop):
                    self._queue.release([delivery for delivery, _ in messages])
                    return []
                with suppress(Transient):
                    self._queue.extend([delivery for delivery, _ in messages], self._options.lease)
            else:
                # Whatever happens next: these claims are ours, and asking for them again would find them taken.
                held = self._sort(messages, answers)
                self._traces.claimed(held, began, len(messages))
                return held
        return []

    def _sort(self, messages: Sequence[tuple[Delivery, Message]], answers: Sequence[Claim | Denied]) -> list[Held[J]]:
        held: list[Held[J]] = []
        stale: list[Delivery] = []
        for (delivery, _), answer in zip(messages, answers, strict=True):
            match answer:
                case Claim():
                    held.append(Held(delivery, answer))
                    self._lease.hold(held[-1:])
                case Denied.STALE:
                    stale.append(delivery)
                case Denied.BUSY:
                    with self._or_later():
                        self._queue.release([delivery], _BUSY_DELAY)
                case Denied.UNKNOWN:
                    with self._or_later():
                        self._bury(delivery, "unknown-image", "no such image is recorded")
        if stale:
            with self._or_later():
                self._queue.acknowledge(stale)
            self._metrics.count(MESSAGES_STALE, len(stale), stage=self._stage)
        for h in held:
            waited = (h.claim.claimed_at - h.delivery.enqueued_at).total_seconds()
            trace = trace_id_of(h.claim.message.trace) or ""
            self._metrics.observe(QUEUE_WAIT_SECONDS, max(0.0, waited), trace, stage=self._stage)
            self._metrics.observe(MESSAGE_RECEIVES, h.delivery.receive_count, stage=self._stage)
        return held

    def _park_suspects(self, held: Sequence[Held[J]], stop: threading.Event) -> Sequence[Held[J]]:
        """Keeps the messages, not the claims, of what must run alone and is not; returns the others."""
        suspects = [h for h in held if self._must_run_alone(h)]
        if len(self._lease) == len(suspects) == 1:
            self._one_runs_alone = True
            return held
        # Before anything else is started: if it takes the process with it, these had nothing to do with it.
        while suspects:
            try:
                self._progress.give_back([h.claim for h in suspects], Ending.RELEASED, "")
            except Transient as error:
                self._breaker.failed(error)
                if not self._breaker.pause(stop):
                    continue
            self._lease.park(suspects)
            self._parked.extend(suspects)
            break
        return [h for h in held if not self._must_run_alone(h)]

    def _must_run_alone(self, held: Held[J]) -> bool:
        return held.claim.solo and not self._options.isolates and not convicted(held.claim)

    def _admit(self, held: Held[J], stop: threading.Event) -> None:
        if convicted(held.claim):
            self._done(Done(held, poison(held.claim)))
        elif stop.is_set():
            self._done(Done(held, None))
        else:
            self._load(held, stop)

    def _load(self, held: Held[J], stop: threading.Event) -> None:
        while True:
            began = self._traces.now()
            try:
                with self._steps("load"):
                    held.job = self._handler.load(held.claim)
            except BlobMissing as error:
                self._traces.loaded(held, began, error)
                result = after_missing_blob(held.claim)
                self._done(Done(held, result) if result is not None else self._failed(held, error))
            except Transient as error:
                # Not the image's fault: keep the lease and try until the dependency is back.
                self._traces.loaded(held, began, error)
                self._breaker.failed(error)
                self._log.warning("cannot load", action="load_failed", error=str(error), **about(held.claim))
                if not self._breaker.pause(stop):
                    continue
                self._done(Done(held, None, ending=Ending.DEPENDENCY, cause=str(error)))
            except Exception as error:
                self._traces.loaded(held, began, error)
                self._log.exception("cannot load", action="load_failed", **about(held.claim))
                self._done(self._failed(held, error))
            else:
                self._traces.loaded(held, began)
                if not self._ready(held):
                    self._done(Done(held, None))
            return

    def _failed(self, held: Held[J], error: Exception) -> Done[J]:
        return failed_attempt(held, Ending.ERROR, error, self._options)
