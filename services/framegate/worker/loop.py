"""The worker: fetch, work and settle as three steps side by side, each in threads of its own.

receive, decode, claim, load  ->  [ready]  ->  handle  ->  [done]  ->  complete, acknowledge
"""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from framegate.kernel.errors import DecoderCrashed, EngineFault, FramegateError, Transient, Unrecoverable
from framegate.observability.catalogue import BATCH_FILL, BATCH_IMAGES, STAGE_SECONDS
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Tracing
from framegate.ports.clock import Clock
from framegate.ports.progress import Ending, Progress, Result
from framegate.ports.queue import Queue
from framegate.worker.batching import ReadyBuffer
from framegate.worker.breaker import Breaker
from framegate.worker.fetch import Fetcher
from framegate.worker.handler import Handler, Held, WorkerOptions
from framegate.worker.lease import Lease
from framegate.worker.settle import Done, Settler, failed_attempt
from framegate.worker.steps import Steps
from framegate.worker.telling import about
from framegate.worker.traced import StageTraces

J = TypeVar("J")
_SETTLE_TOGETHER = 64
_GATHER = timedelta(milliseconds=200)
_INTERRUPT_AGAIN_S = 0.2


class Worker(Generic[J]):
    """Runs one stage until stopped, or until one of its threads dies."""

    def __init__(
        self,
        handler: Handler[J],
        queue: Queue,
        progress: Progress,
        options: WorkerOptions,
        clock: Clock,
        metrics: Metrics,
        tracing: Tracing | None = None,
    ) -> None:
        """Without `tracing` nothing is recorded."""
        self.stage = handler.stage
        self._handler, self._queue, self._progress, self._options = handler, queue, progress, options
        self._clock, self._metrics = clock, metrics
        self._steps = Steps(metrics, str(handler.stage))
        self._traces = StageTraces(tracing or Tracing(), handler.stage)
        self._log = get_log(stage=str(handler.stage))
        self._breaker = Breaker(clock, metrics, str(handler.stage))
        self._ready: ReadyBuffer[Held[J]] = ReadyBuffer(alone=lambda h: h.claim.solo and not options.isolates)
        self._done: ReadyBuffer[Done[J]] = ReadyBuffer()
        self._lease: Lease[J] = Lease(queue, progress, options.lease, clock, metrics, self._log, str(handler.stage))
        self._give_up = threading.Event()
        self._fatal: BaseException | None = None

    @property
    def trouble(self) -> str:
        """Why this worker is not ready; empty when it is."""
        return self._breaker.cause or (f"{self._fatal}" if self._fatal else "")

    def run(self, stop: threading.Event) -> None:
        """Blocks until `stop` is set and everything held is settled or given back; raises what killed a thread.

        Shutdown, in order: (1) fetch stops; what an outstanding receive still brings is released; (2) jobs not started
        are given back; (3) running batches finish; (4) everything is settled; (5) only then the lease ends.
        """
        self._free_predecessor(stop)
        settler = Settler(
            self._handler,
            self._queue,
            self._progress,
            self._options,
            self._lease,
            self._breaker,
            self._metrics,
            self._log,
            self._traces,
            self._give_up,
        )
        fetcher = Fetcher(
            self._handler, self._queue, self._progress, self._options, self._lease, self._breaker, self._metrics, self._log,
            self._traces, ready=self._ready.put, done=self._done.put,
        )  # fmt: skip
        with self._lease:
            fetch = self._watched("fetch", lambda: fetcher.run(stop), stop)
            work = [self._watched(f"work-{i}", lambda: self._work(stop), stop) for i in range(self._options.lanes)]
            settle = self._watched("settle", lambda: self._settle(settler), stop)
            while not stop.is_set() and self._lease.alive:
                self._clock.wait(stop, 1.0)
            stop.set()
            self._drain(fetch, work, settle)
        if not any(thread.is_alive() for thread in work):
            self._handler.close()
        if fatal := self._fatal or self._lease.failure:
            raise fatal

    def _drain(self, fetch: threading.Thread, work: Sequence[threading.Thread], settle: threading.Thread) -> None:
        deadline = self._clock.monotonic() + self._options.drain.total_seconds()
        self._lease.wake()
        # Closing first makes fetch give back what it still loads, too.
        for held in self._ready.close():
            self._done.put(Done(held, None))
        self._join_fetch(fetch, deadline)
        for thread in work:
            self._join(thread, deadline)
        self._done.close(keep=True)
        self._join(settle, deadline)
        self._give_up.set()
        self._join(settle, self._clock.monotonic() + 2)

    def _join_fetch(self, fetch: threading.Thread, deadline: float) -> None:
        # Again and again: a receive that was about to begin has not heard the first interrupt.
        for _ in range(int((deadline - self._clock.monotonic()) / _INTERRUPT_AGAIN_S)):
            self._queue.interrupt()
            fetch.join(_INTERRUPT_AGAIN_S)
            if not fetch.is_alive():
                return
        self._join(fetch, deadline)

    def _join(self, thread: threading.Thread, deadline: float) -> None:
        thread.join(timeout=max(0.1, deadline - self._clock.monotonic()))
        if thread.is_alive():
            self._log.error("a thread is still busy", action="drain_timed_out", thread=thread.name)

    def _watched(self, name: str, body: Callable[[], None], stop: threading.Event) -> threading.Thread:
        def watch() -> None:
            try:
                body()
            except BaseException as error:
                self._log.exception("a thread died", action="thread_died", thread=name)
                self._fatal = self._fatal or error
                stop.set()

        thread = threading.Thread(target=watch, name=f"{self.stage}-{name}", daemon=True)
        thread.start()
        return thread

    def _free_predecessor(self, stop: threading.Event) -> None:
        """A worker of the same name died: its messages and claims need not wait for their leases to end."""
        while not stop.is_set():
            try:
                claims = self._progress.recover(self._options.owner)
                messages = self._queue.recover(self._options.owner)
            except Transient as error:
                self._breaker.failed(error)
                self._breaker.pause(stop)
            else:
                self._breaker.succeeded()
                if claims or messages:
                    self._log.warning(
                        "freed what a predecessor held", action="predecessor_freed", claims=claims, messages=messages
                    )
                return

    def _work(self, stop: threading.Event) -> None:
        while batch := self._ready.take(self._batch(), self._options.max_wait):
            for done in self._handle(batch, stop):
                self._done.put(done)

    def _batch(self) -> int:
        options = self._options
        return options.max_batch if options.batch is None else min(options.max_batch, options.batch())

    def _settle(self, settler: Settler[J]) -> None:
        while finished := self._done.take(_SETTLE_TOGETHER, self._gather()):
            try:
                with self._steps("settle"):
                    settler.settle(finished)
            except Transient as error:  # only when told to give up
                self._log.error("not settled", action="settling_given_up", count=len(finished), error=str(error))

    def _gather(self) -> timedelta:
        """While a further batch is ready nobody waits for one result: several then share a transaction."""
        return _GATHER if len(self._ready) >= self._batch() else timedelta()

    def _handle(self, batch: Sequence[Held[J]], stop: threading.Event) -> list[Done[J]]:
        while True:
            started, began = self._clock.monotonic(), self._traces.now()
            try:
                results = self._results(batch)
            except Unrecoverable:
                raise
            except Transient as error:
                # Not the images' fault: the lease is kept and the batch tried again, by others when this worker stops.
                self._traces.handled(batch, began, error)
                self._breaker.failed(error)
                if self._breaker.pause(stop):
                    return [Done(held, None, ending=Ending.DEPENDENCY, cause=str(error)) for held in batch]
            except Exception as error:
                self._traces.handled(batch, began, error)
                return self._halve(batch, error, stop)
            else:
                self._traces.handled(batch, began)
                return self._finished(batch, results, self._clock.monotonic() - started)

    def _results(self, batch: Sequence[Held[J]]) -> list[Result]:
        with self._steps("handle"):
            results = self._handler.handle([held.job for held in batch if held.job is not None])
        if len(results) != len(batch):
            raise EngineFault(f"the stage answered with {len(results)} results for {len(batch)} images")
        return results

    def _finished(self, batch: Sequence[Held[J]], results: Sequence[Result], elapsed_s: float) -> list[Done[J]]:
        self._metrics.observe(STAGE_SECONDS, elapsed_s, stage=str(self.stage))
        self._metrics.observe(BATCH_IMAGES, len(batch), stage=str(self.stage))
        # A batch that was put together under another limit than holds now may be above it.
        self._metrics.observe(BATCH_FILL, min(1.0, len(batch) / self._batch()), stage=str(self.stage))
        each_ms = elapsed_s * 1000 / len(batch)
        return [Done(held, result, each_ms) for held, result in zip(batch, results, strict=True)]

    def _halve(self, batch: Sequence[Held[J]], error: Exception, stop: threading.Event) -> list[Done[J]]:
        """One bad image never fails its neighbours: at most 2 log2(n) further calls find it."""
        if len(batch) == 1:
            ending = Ending.CRASH if isinstance(error, DecoderCrashed) else Ending.ERROR
            if not isinstance(error, FramegateError):  # a mistake of ours: its cause alone does not say where
                self._log.exception("a stage failed", action="handle_failed", **about(batch[0].claim))
            return [failed_attempt(batch[0], ending, error, self._options)]
        middle = len(batch) // 2
        return [*self._handle(batch[:middle], stop), *self._handle(batch[middle:], stop)]
