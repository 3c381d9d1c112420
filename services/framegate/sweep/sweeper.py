"""Sends again what is overdue; beside it, deletes left-over files and checks conservation."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from framegate.kernel.errors import Transient
from framegate.kernel.states import Stage
from framegate.observability.catalogue import (
    AUDIT_UNSEALED_SECONDS,
    BLOBS_SWEPT,
    DEAD_LETTERS_WAITING,
    IMAGES_BY_END,
    IMAGES_REISSUED,
    MESSAGES_RELAYED,
    QUEUE_DELAYED,
    QUEUE_IN_FLIGHT,
    QUEUE_OLDEST_SECONDS,
    QUEUE_READY,
    WORKERS,
)
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.pipeline import ALL_QUEUES, NEXT_MESSAGE
from framegate.ports.audit import AuditLog
from framegate.ports.blobs import Blobs
from framegate.ports.clock import Clock
from framegate.ports.overview import ALIVE
from framegate.ports.queue import DeadLetters, Queue
from framegate.ports.store import Workers
from framegate.ports.upkeep import Relay, Upkeep
from framegate.sweep.cameras import CameraWatch
from framegate.sweep.canary import CanaryGuard
from framegate.sweep.drift import DriftWatch
from framegate.sweep.housework import housework
from framegate.sweep.retention import RetentionWatch
from framegate.sweep.reviews import ReviewWatch
from framegate.worker.due import Due

_AT_ONCE = 500
#: Entries in one seal, and seals in one round: an old audit is sealed in some rounds, and nothing waits long for it.
_SEALED_AT_ONCE = 2000
_SEALS_A_ROUND = 25
#: A message that its own process has not sent by then will not be sent by it.
_UNSENT = timedelta(seconds=3)
_DEAD_EVERY = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """When things are overdue."""

    every: timedelta = timedelta(seconds=5)
    overdue: timedelta = timedelta(seconds=60)
    conservation_every: timedelta = timedelta(seconds=30)
    blobs_every: timedelta = timedelta(minutes=10)
    leftovers_after: timedelta = timedelta(hours=24)
    canary_every: timedelta = timedelta(seconds=15)
    cameras_every: timedelta = timedelta(seconds=1)
    seal_every: timedelta = timedelta(seconds=5)
    reviews_every: timedelta = timedelta(seconds=1)
    retention_every: timedelta = timedelta(seconds=10)
    drift_every: timedelta = timedelta(seconds=5)


class Sweeper:
    """One per deployment is enough; several do no harm.

    Housekeeping has a thread of its own: counting a long history takes minutes, and what is lost must not wait for it.
    """

    def __init__(
        self,
        upkeep: Upkeep,
        queue: Queue,
        blobs: Blobs,
        guard: CanaryGuard,
        options: SweepOptions,
        clock: Clock,
        metrics: Metrics,
        relay: Relay | None = None,
        cameras: CameraWatch | None = None,
        audit: AuditLog | None = None,
        reviews: ReviewWatch | None = None,
        retention: RetentionWatch | None = None,
        drift: DriftWatch | None = None,
        workers: Workers | None = None,
        dead: DeadLetters | None = None,
    ) -> None:
        """`relay`: for a queue that is not in the database. `cameras` and what follows: looked after beside, in threads."""
        self._relay, self._cameras, self._audit, self._reviews = relay, cameras, audit, reviews
        self._retention, self._drift, self._workers = retention, drift, workers
        self._dead, self._dead_of = dead, set(ALL_QUEUES)
        self._upkeep, self._queue, self._blobs, self._guard = upkeep, queue, blobs, guard
        self._options, self._clock, self._metrics = options, clock, metrics
        self._log = get_log(stage="sweep")
        self._due = Due(clock)
        self._died: list[BaseException] = []
        self.trouble = ""

    def run(self, stop: threading.Event) -> None:
        """Until stopped. A count that is running then is left alone: it changes nothing, and may take minutes."""
        self._beside("housekeeping", self.keep_house, self._options.every, stop)
        self._beside("telling", self.tell, self._options.every, stop)
        if self._cameras is not None:
            self._beside("cameras", self._cameras.look, self._options.cameras_every, stop)
        if self._audit is not None:
            self._beside("audit", self.seal, self._options.seal_every, stop)
        if self._reviews is not None:
            self._beside("reviews", self._reviews.look, self._options.reviews_every, stop)
        if self._retention is not None:
            self._beside("retention", self._retention.look, self._options.retention_every, stop)
        if self._drift is not None:
            self._beside("drift", self._drift.look, self._options.drift_every, stop)
        while not stop.is_set():
            try:
                self.sweep()
                self.trouble = ""
            except Transient as error:
                self.trouble = str(error)
                self._log.warning("cannot sweep", action="sweep_failed", error=str(error))
            self._clock.wait(stop, self._options.every.total_seconds())
        if self._died:
            raise self._died[0]

    def _beside(self, name: str, work: Callable[[], None], every: timedelta, stop: threading.Event) -> None:
        def repeat() -> None:
            try:
                while not stop.is_set():
                    work()
                    self._clock.wait(stop, every.total_seconds())
            except BaseException as error:
                self._died.append(error)
                stop.set()

        threading.Thread(target=repeat, name=name, daemon=True).start()

    def sweep(self) -> None:
        """One round of what images wait for."""
        self._relay_unsent()
        depths = {queue: self._queue.depth(queue) for queue in ALL_QUEUES}
        # Messages wait where only their number is known; how old they are, the images tell that wait for them.
        waiting_s = self._upkeep.waiting_s() if self._relay else {}
        for queue, depth in depths.items():
            age = depth.oldest_age_s if self._relay is None else waiting_s.get(queue)
            self._metrics.set(QUEUE_READY, depth.ready, queue=queue)
            self._metrics.set(QUEUE_IN_FLIGHT, depth.in_flight, queue=queue)
            self._metrics.set(QUEUE_DELAYED, depth.delayed, queue=queue)
            self._metrics.set(QUEUE_OLDEST_SECONDS, age or 0.0, queue=queue)
        self._reissue({queue: depth.ready for queue, depth in depths.items()} if self._relay else None)
        if self._due.is_due("canary", self._options.canary_every):
            self._guard.look()

    def tell(self) -> None:
        """One round of what is only counted, beside what images wait for: it may take long, and may not be permitted."""
        self._housework("workers", self._count_workers)
        if self._due.is_due("dead letters", _DEAD_EVERY):
            self._housework("dead letters", self._count_dead)

    def _count_dead(self) -> None:
        """Of the pipeline's queues and of that of bucket events, which once told of is told of until it is empty."""
        if self._dead is None:
            return
        dead = self._dead.count_dead()
        self._dead_of |= dead.keys()
        for queue in self._dead_of:
            self._metrics.set(DEAD_LETTERS_WAITING, dead.get(queue, 0), queue=queue)

    def _count_workers(self) -> None:
        """Every stage has a number: one that nobody runs any more is 0, not absent."""
        if self._workers is None:
            return
        counts = Counter(
            (stage, "ready" if status.ready else "troubled")
            for status in self._workers.statuses(ALIVE)
            for stage in status.stages
        )
        for stage, state in itertools.product(Stage, ("ready", "troubled")):
            self._metrics.set(WORKERS, counts[stage, state], stage=str(stage), state=state)

    def keep_house(self) -> None:
        """One round of what nobody waits for. Its troubles are counted; they do not make the sweeper unready."""
        for name, work, every in (
            ("conservation", self._conserve, self._options.conservation_every),
            ("blobs", self._sweep_blobs, self._options.blobs_every),
        ):
            if self._due.is_due(name, every):
                self._housework(name, work)

    def seal(self) -> None:
        """One round of sealing the audit, beside the counts, which take long. Its troubles are those of housekeeping."""
        self._housework("audit", self._seal)

    def _housework(self, name: str, work: Callable[[], None]) -> None:
        with housework(name, self._metrics, self._log):
            work()

    def _seal(self) -> None:
        if self._audit is not None:
            for _ in range(_SEALS_A_ROUND):
                if self._audit.seal(_SEALED_AT_ONCE) < _SEALED_AT_ONCE:
                    break
            self._metrics.set(AUDIT_UNSEALED_SECONDS, self._audit.unsealed_s())

    def _relay_unsent(self) -> None:
        while self._relay and (sent := self._relay.relay(_UNSENT, _AT_ONCE)):
            self._metrics.count(MESSAGES_RELAYED, sent)
            self._log.warning("messages sent for others", action="messages_relayed", count=sent)
            if sent < _AT_ONCE:
                return

    def _reissue(self, ready: Mapping[str, int] | None) -> None:
        idle = dict.fromkeys(NEXT_MESSAGE, self._options.overdue)
        reissued = self._upkeep.reissue_overdue(idle, _AT_ONCE, ready)
        for image in reissued:
            self._metrics.count(IMAGES_REISSUED, state=str(image.state))
        if reissued:
            self._log.warning(
                "overdue images sent again",
                action="images_reissued",
                count=len(reissued),
                images=[str(image.image_id) for image in reissued[:10]],
            )

    def _conserve(self) -> None:
        started = self._clock.monotonic()
        sums = self._upkeep.take_stock()
        # It reads every image: a long history must not keep the database busy with being counted.
        took = self._clock.monotonic() - started
        self._due.rest("conservation", 20 * took)
        for end in ("accepted", "decided", "rejected", "failed", "in_flight", "lost"):
            self._metrics.set(IMAGES_BY_END, getattr(sums, end), end=end)
        if sums.lost:
            self._log.error("images are missing: run framegate verify", action="images_lost", count=sums.lost)

    def _sweep_blobs(self) -> None:
        for prefix in ("spool", "prepared"):
            deleted = self._blobs.sweep(prefix, self._options.leftovers_after.total_seconds())
            self._metrics.count(BLOBS_SWEPT, deleted, prefix=prefix)
