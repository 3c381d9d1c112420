"""Consumes the queue that buckets report to."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

from framegate.ingest.objects import ObjectIntake
from framegate.kernel.bucket_events import NotAnEvent, ObjectCreated, Skipped, parse
from framegate.kernel.errors import Transient
from framegate.observability.catalogue import BUCKET_EVENTS, DEAD_LETTERS
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.clock import Clock
from framegate.ports.queue import Delivery, Queue
from framegate.worker.retry import backoff
from framegate.worker.telling import Tell, tell_of_dead_letter, told_nobody

#: Messages at a time. Each object in work is in memory, up to the limit for images.
_THREADS: Final = 4
_WAIT: Final = timedelta(seconds=10)
#: Longer than all records of a message take. Should they not: the message comes again, and its images are known then.
_VISIBILITY: Final = timedelta(minutes=5)
#: Deliveries after which a message that fails by itself is given up. What is merely not available is waited for.
_MOST_DELIVERIES: Final = 5
_LONGEST_PAUSE_S: Final = 5.0
_log = get_log(stage="ingest", component="bucket-events")


class BucketEvents:
    """Several of them may share one queue: the same event twice gives one image."""

    def __init__(
        self,
        queue: Queue,
        name: str,
        objects: ObjectIntake,
        metrics: Metrics,
        clock: Clock,
        tell: Tell = told_nobody,
    ) -> None:
        """`tell`: of dead letters."""
        self._queue, self._name, self._objects, self._metrics, self._clock = queue, name, objects, metrics, clock
        self._tell = tell

    def run(self, stop: threading.Event) -> None:
        """Until stopped: what is in work is finished, what an outstanding receive brings is released."""
        failures = 0
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="bucket-event") as pool:
            while not stop.is_set():
                try:
                    deliveries = self._queue.receive([self._name], _THREADS, _WAIT, _VISIBILITY)
                    if stop.is_set():
                        self._queue.release(deliveries)
                        return
                    list(pool.map(self._settle, deliveries))
                    failures = 0
                except Exception as error:
                    # Nobody watches this thread: whatever it is, it must go on. What was received comes again by itself.
                    failures += 1
                    _log.warning(
                        "cannot read bucket events",
                        action="bucket_events_failed",
                        error=str(error),
                        exc_info=not isinstance(error, Transient),
                    )
                    self._clock.wait(stop, backoff(failures, _LONGEST_PAUSE_S).total_seconds())

    def _settle(self, delivery: Delivery) -> None:
        try:
            records = parse(delivery.body)
        except NotAnEvent as error:
            self._bury(delivery, "not-an-event", str(error))
            return
        # All of them, whatever becomes of the first: one bad record must not hold up the others.
        troubles = [trouble for record in records if (trouble := self._take(record)) is not None]
        own_fault = next((trouble for trouble in troubles if not isinstance(trouble, Transient)), None)
        if not troubles:
            self._queue.acknowledge([delivery])
        elif own_fault is not None and delivery.receive_count >= _MOST_DELIVERIES:
            self._bury(delivery, "error", f"{type(own_fault).__name__}: {own_fault}")
        else:
            self._queue.release([delivery], backoff(delivery.receive_count))

    def _take(self, record: ObjectCreated | Skipped) -> Exception | None:
        try:
            result = self._objects.take(record)
        except Exception as error:
            self._metrics.count(BUCKET_EVENTS, result="failed")
            _log.warning(
                "an object could not be taken in",
                action="bucket_event_failed",
                error=str(error),
                exc_info=not isinstance(error, Transient),
            )
            return error
        if isinstance(result, Skipped):
            self._metrics.count(BUCKET_EVENTS, result="skipped")
            _log.info("an object was skipped", action="bucket_event_skipped", reason=result.reason, object=result.what)
        else:
            self._metrics.count(BUCKET_EVENTS, result="known" if result.replayed else "accepted")
        return None

    def _bury(self, delivery: Delivery, slug: str, cause: str) -> None:
        self._queue.dead_letter(delivery, cause)
        self._metrics.count(DEAD_LETTERS, stage="ingest", cause=slug)
        _log.error("a message is dead", action="dead_lettered", message_id=delivery.message_id, cause=cause)
        tell_of_dead_letter(self._tell, _log, delivery.queue, cause)
