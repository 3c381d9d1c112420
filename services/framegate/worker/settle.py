"""The last step: what came of each message is made durable first, and only then acknowledged."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Generic, TypeVar

from framegate.kernel.errors import DependencyUnavailable, Transient
from framegate.kernel.inspection import Failed, Outcome
from framegate.observability.catalogue import ATTEMPTS_ENDED, CLAIMS_LOST, DEAD_LETTERS, IMAGES_SETTLED
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.progress import Completion, Ending, Progress, Result
from framegate.ports.queue import Queue
from framegate.worker.breaker import Breaker
from framegate.worker.handler import Handler, Held, WorkerOptions
from framegate.worker.lease import Lease
from framegate.worker.outcomes import OutcomeMetrics
from framegate.worker.retry import Next, after_crash, after_error, backoff, poison
from framegate.worker.telling import about, tell_of_dead_letter
from framegate.worker.traced import StageTraces

J = TypeVar("J")
R = TypeVar("R")
#: How long a message waits whose claim another worker took over; by then that worker has probably ended it.
_LOST_DELAY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Done(Generic[J]):
    """One attempt that completed with `result`, or ended without one."""

    held: Held[J]
    result: Result | None
    work_ms: float = 0.0
    ending: Ending = Ending.RELEASED
    cause: str = ""
    then: Next = Next.RETRY


def failed_attempt(held: Held[J], ending: Ending, error: Exception, options: WorkerOptions) -> Done[J]:
    """What becomes of an attempt that ended in an error or a crash."""
    claim, cause = held.claim, f"{type(error).__name__}: {error}"
    crash = ending is Ending.CRASH
    then = after_crash(claim) if crash else after_error(claim, options.max_attempts, options.last_attempt)
    if then is Next.FAIL:
        return Done(held, poison(claim) if crash else Failed("exhausted", f"every attempt failed; the last: {cause}"))
    return Done(held, None, ending=ending, cause=cause, then=then)


def _completion(held: Held[J], result: Result, work_ms: float) -> Completion:
    """What follows belongs below this attempt."""
    return Completion(held.claim, result, work_ms, str(held.traced.sent) if held.traced is not None else "")


class Settler(Generic[J]):
    """Settles finished attempts; blocks and retries while the database or the queue does not answer."""

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
        give_up: threading.Event,
    ) -> None:
        self._handler, self._queue, self._progress, self._options = handler, queue, progress, options
        self._lease, self._breaker, self._metrics, self._log, self._give_up = lease, breaker, metrics, log, give_up
        self._traces, self._stage, self._outcomes = traces, str(handler.stage), OutcomeMetrics(metrics)

    def settle(self, finished: Sequence[Done[J]]) -> None:
        """On return the results are durable and the messages settled.

        Raises `DependencyUnavailable` when told to give up: what is not settled is left to its leases.
        """
        completed = [d for d in finished if d.result is not None]
        ended = [d for d in finished if d.result is None]
        try:
            if completed:
                self._complete(completed)
            if ended:
                self._end(ended)
        finally:
            self._lease.drop([d.held for d in finished])

    def _complete(self, done: Sequence[Done[J]]) -> None:
        completions = [_completion(d.held, d.result, d.work_ms) for d in done if d.result is not None]
        began = self._traces.now()
        try:
            holds = self._insist(lambda: self._progress.complete(completions))
        except Transient:
            raise
        except Exception as error:
            self._complete_in_halves(done, error)
            return
        kept = [d.held for d, ok in zip(done, holds, strict=True) if ok]
        lost = [d.held for d, ok in zip(done, holds, strict=True) if not ok]
        if kept:
            self._metrics.count(IMAGES_SETTLED, len(kept), stage=self._stage)
            self._insist(lambda: self._queue.acknowledge([h.delivery for h in kept]))
            self._after(kept)
        if lost:
            self._metrics.count(CLAIMS_LOST, len(lost), stage=self._stage)
            self._log.warning(
                "claims were lost", action="claims_lost", images=[str(h.claim.image.image_id) for h in lost]
            )
            self._insist(lambda: self._queue.release([h.delivery for h in lost], _LOST_DELAY))
        for d, completion, ok in zip(done, completions, holds, strict=True):
            if ok:
                self._note(completion)
                self._traces.completed(d.held, completion.result, began, len(done))
            else:
                self._traces.lost(d.held)

    def _complete_in_halves(self, done: Sequence[Done[J]], error: Exception) -> None:
        """A result that cannot be stored fails its own attempt and not its neighbours."""
        if len(done) > 1:
            middle = len(done) // 2
            self._complete(done[:middle])
            self._complete(done[middle:])
            return
        if isinstance(done[0].result, Failed):
            raise error  # not this image's fault: nothing can be stored
        failed = failed_attempt(done[0].held, Ending.ERROR, error, self._options)
        if failed.result is None:
            self._end([failed])
        else:
            self._complete([failed])

    def _note(self, completion: Completion) -> None:
        if isinstance(completion.result, Outcome):
            self._outcomes.ended(completion, completion.result)
        if isinstance(completion.result, Failed):
            failed, ids = completion.result, about(completion.claim)
            self._log.error("an image failed", action="image_failed", reason=failed.reason, detail=failed.detail, **ids)

    def _after(self, kept: Sequence[Held[J]]) -> None:
        try:
            self._handler.settled([h.job for h in kept if h.job is not None])
        except Exception:
            self._log.exception("cannot clean up", action="clean_up_failed")

    def _end(self, done: Sequence[Done[J]]) -> None:
        groups: dict[tuple[Ending, str], list[Done[J]]] = defaultdict(list)
        for d in done:
            groups[d.ending, d.cause].append(d)
        for (ending, cause), members in groups.items():
            claims, began = [d.held.claim for d in members], self._traces.now()
            self._insist(partial(self._progress.give_back, claims, ending, cause))
            for d in members:
                self._traces.given_back(d.held, ending, cause, began, len(members))
            self._metrics.count(ATTEMPTS_ENDED, len(members), stage=self._stage, ending=str(ending))
        for d in done:
            self._put_back(d)

    def _put_back(self, d: Done[J]) -> None:
        delivery, ids = d.held.delivery, about(d.held.claim)
        if d.then is Next.DEAD_LETTER:
            self._insist(lambda: self._queue.dead_letter(delivery, d.cause))
            self._metrics.count(DEAD_LETTERS, stage=self._stage, cause="attempts")
            self._log.error(
                "a message is dead", action="dead_lettered", message_id=delivery.message_id, cause=d.cause, **ids
            )
            tell_of_dead_letter(self._options.tell, self._log, delivery.queue, d.cause, d.held.claim.image.facility)
            return
        charged = d.ending in (Ending.ERROR, Ending.CRASH)
        delay = backoff(d.held.claim.attempt) if charged else timedelta()
        self._insist(lambda: self._queue.release([delivery], delay))
        if charged:
            seconds = round(delay.total_seconds(), 1)
            self._log.warning("an attempt failed", action="attempt_failed", cause=d.cause, retry_in_s=seconds, **ids)

    def _insist(self, call: Callable[[], R]) -> R:
        while True:
            try:
                answer = call()
            except Transient as error:
                self._breaker.failed(error)
                self._log.warning("cannot settle", action="settling_failed", error=str(error))
                if self._breaker.pause(self._give_up):
                    raise DependencyUnavailable("gave up settling: the leases will run out") from error
            else:
                self._breaker.succeeded()
                return answer
