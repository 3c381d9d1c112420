"""The stage: takes alerts into incidents, lets time act on them, and has messages delivered."""

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from framegate.alerts.dispatcher import Dispatcher
from framegate.kernel.errors import Transient
from framegate.observability.catalogue import ALERTS_GROUPED, HOOK_OLDEST_SECONDS, HOOK_WAITING, INCIDENT_CHANGES
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.clock import Clock
from framegate.ports.deliveries import Deliveries
from framegate.ports.incidents import Announce, Incidents
from framegate.ports.wakeup import Wakeup
from framegate.worker.due import Due

_AT_ONCE: Final = 500
#: Waiting after trouble, seconds.
_PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class AlertOptions:
    """`channel`: what rings when an alert is raised or a message is due."""

    channel: str
    poll: timedelta = timedelta(seconds=1)
    tend_every: timedelta = timedelta(seconds=1)
    forget_every: timedelta = timedelta(minutes=10)
    keep: timedelta = timedelta(days=30)  #: deliveries that ended, with their log
    drain: timedelta = timedelta(seconds=20)


class AlertService:
    """Several do no harm: they take turns with incidents, and share deliveries."""

    def __init__(
        self,
        incidents: Incidents,
        deliveries: Deliveries,
        dispatcher: Dispatcher,
        wakeup: Wakeup,
        announce: Announce,
        owner: str,
        options: AlertOptions,
        clock: Clock,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._incidents, self._deliveries, self._dispatcher = incidents, deliveries, dispatcher
        self._wakeup, self._announce, self._owner, self._options = wakeup, announce, owner, options
        self._clock, self._metrics, self._log = clock, metrics, log
        self._due = Due(clock)
        self._recovered = False
        self.trouble = ""

    def run(self, stop: threading.Event) -> None:
        """Until stopped; then what has begun is finished, and what has not stays due."""
        while not stop.is_set():
            try:
                # First listening, then looking: what comes in between ends the wait.
                self._wakeup.listen([self._options.channel])
                more = self.look()
                self.trouble = ""
            except Transient as error:
                self.trouble = str(error)
                self._log.warning("cannot deliver alerts", action="alerts_failed", error=str(error))
                self._clock.wait(stop, _PAUSE_S)
                continue
            if not more and not stop.is_set():
                self._wakeup.wait(self._options.poll.total_seconds())
        if not self._dispatcher.drain(self._options.drain.total_seconds()):
            self._log.warning("deliveries were left to their leases", action="drain_timed_out")

    def look(self) -> bool:
        """One round; whether more alerts wait already."""
        if not self._recovered:
            freed = self._deliveries.recover(self._owner)
            if freed:
                self._log.warning("deliveries of a predecessor freed", action="predecessor_freed", count=freed)
            self._recovered = True
        more = self._group()
        if self._due.is_due("tend", self._options.tend_every):
            if not more:  # an alert that still waits may keep going what looks quiet
                for change in self._incidents.tend(_AT_ONCE, self._announce):
                    self._metrics.count(INCIDENT_CHANGES, change=str(change))
            count, oldest_s = self._deliveries.waiting()
            self._metrics.set(HOOK_WAITING, count)
            self._metrics.set(HOOK_OLDEST_SECONDS, oldest_s)
        self._dispatcher.dispatch()
        if self._due.is_due("forget", self._options.forget_every):
            gone = self._deliveries.forget(self._options.keep, _AT_ONCE)
            if gone == _AT_ONCE:
                self._due.again("forget")  # there are more
        return more

    def _group(self) -> bool:
        # Not all of a long backlog: deliveries that are due and the end of the process do not wait for it.
        done = self._incidents.group(_AT_ONCE, self._announce)
        self._metrics.count(ALERTS_GROUPED, done.alerts)
        for change in done.changes:
            self._metrics.count(INCIDENT_CHANGES, change=str(change))
        return done.alerts == _AT_ONCE
