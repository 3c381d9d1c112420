"""Delivers what is due. No receiver delays another: each has slots of its own, and each delivery a thread."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from framegate.alerts.settling import settlement
from framegate.alerts.spans import attempt_span
from framegate.kernel.errors import Transient
from framegate.kernel.tracecontext import context_of, is_sampled, new_span_id, trace_id_of
from framegate.observability.catalogue import FIRST_ATTEMPT_SECONDS, HOOK_ATTEMPTS, HOOK_DEAD, HOOK_SECONDS
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Tracing
from framegate.ports.clock import Clock
from framegate.ports.deliveries import Deliveries, Delivery, DeliveryState, Settlement, Subscription
from framegate.ports.hooks import Attempt, Ending, Endpoint, Hook, HookKind, HookMessage, Reason

#: Pauses before what happened is written down again, seconds; after them the lease decides.
_AGAIN_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class DispatchOptions:
    """`slots`: deliveries to one endpoint at a time. `lease` outlasts an attempt (15 s) and writing it down."""

    slots: int = 4
    most: int = 512  #: deliveries at a time, of all endpoints: a bound for threads that only many dead receivers reach
    lease: timedelta = timedelta(seconds=60)


class Dispatcher:
    """`dispatch` is called by one thread; `freed` is called by others, when there is room again."""

    def __init__(
        self,
        deliveries: Deliveries,
        hooks: Mapping[HookKind, Hook],
        secrets: Callable[[Subscription, datetime], tuple[str, ...]],
        owner: str,
        options: DispatchOptions,
        clock: Clock,
        jitter: Callable[[], float],
        metrics: Metrics,
        log: Log,
        freed: Callable[[], None] = lambda: None,
        tracing: Tracing | None = None,
    ) -> None:
        """`secrets`: those that sign for an endpoint at that moment, newest first; `jitter`: random numbers in [0, 1)."""
        self._deliveries, self._hooks, self._secrets = deliveries, hooks, secrets
        self._owner, self._options, self._clock, self._jitter = owner, options, clock, jitter
        self._metrics, self._log, self._freed, self._tracing = metrics, log, freed, tracing or Tracing()
        self._busy: Counter[UUID] = Counter()
        self._changed = threading.Condition()
        self._give_up = threading.Event()

    def dispatch(self) -> int:
        """Begins every delivery that is due and has a slot; how many."""
        with self._changed:
            busy = {endpoint: n for endpoint, n in self._busy.items() if n}
            room = self._options.most - sum(busy.values())
        if room <= 0:
            return 0
        claimed = self._deliveries.claim(self._owner, self._options.lease, self._options.slots, busy, room)
        for begun, delivery in enumerate(claimed):
            with self._changed:
                self._busy[delivery.subscription.endpoint_id] += 1
            try:
                threading.Thread(target=self._run, args=(delivery,), name="delivery", daemon=True).start()
            except RuntimeError as error:  # this process may have no more threads
                self._ended(delivery)
                left = len(claimed) - begun
                self._log.error(
                    "deliveries left to their leases", action="thread_refused", count=left, error=str(error)
                )
                return begun
        return len(claimed)

    def drain(self, timeout_s: float) -> bool:
        """Waits for what has begun; False when some of it had to be left to its lease."""
        with self._changed:
            done = self._changed.wait_for(lambda: not self._busy.total(), timeout_s)
        self._give_up.set()
        return done

    def _run(self, delivery: Delivery) -> None:
        try:
            self._deliver(delivery)
        except Exception:
            self._log.exception("a delivery failed", action="delivery_failed", delivery=delivery.delivery_id)
        finally:
            self._ended(delivery)
            self._freed()

    def _ended(self, delivery: Delivery) -> None:
        with self._changed:
            self._busy[delivery.subscription.endpoint_id] -= 1
            self._changed.notify_all()

    def _deliver(self, delivery: Delivery) -> None:
        endpoint, trace = delivery.subscription, trace_id_of(delivery.message.trace) or ""
        if delivery.attempts == 0:
            late_s = (self._clock.now() - delivery.said_at).total_seconds()
            self._metrics.observe(FIRST_ATTEMPT_SECONDS, max(0.0, late_s), trace)
        attempt = self._attempt(delivery)
        self._metrics.count(HOOK_ATTEMPTS, kind=str(endpoint.kind), reason=str(attempt.reason))
        self._metrics.observe(HOOK_SECONDS, attempt.elapsed_ms / 1000, trace, kind=str(endpoint.kind))
        ended = settlement(delivery, attempt, self._clock.now(), self._jitter())
        if not self._settle(delivery, attempt, ended):
            return
        if ended.state is DeliveryState.DEAD:
            self._metrics.count(HOOK_DEAD, kind=str(endpoint.kind))
        if attempt.ending is not Ending.DELIVERED:
            self._log.warning(
                "not delivered",
                action="hook_attempt_failed",
                hook=str(endpoint.endpoint_id),
                message_id=delivery.message.message_id,
                attempt=delivery.attempts + 1,
                reason=str(attempt.reason),
                retry_in_s=ended.delay_s and round(ended.delay_s, 1),
                disabled=ended.disable or None,
            )

    def _attempt(self, delivery: Delivery) -> Attempt:
        if not self._tracing.on or not is_sampled(delivery.message.trace):
            return self._try(delivery, delivery.message)
        began = self._tracing.now_ns()
        context = context_of(delivery.message.trace).next(new_span_id())
        attempt = self._try(delivery, replace(delivery.message, trace=str(context)))
        self._tracing.record(attempt_span(delivery, attempt, context, began, self._tracing.now_ns()))
        return attempt

    def _try(self, delivery: Delivery, message: HookMessage) -> Attempt:
        to = delivery.subscription
        started = self._clock.monotonic()
        try:
            hook = self._hooks[to.kind]
            secrets = self._secrets(to, self._clock.now()) if to.kind is HookKind.WEBHOOK else ()
            return hook.deliver(Endpoint(str(to.endpoint_id), to.kind, to.target, secrets), message)
        except Exception as error:
            # A hook raises only by a mistake of ours, or where a kind is not installed; it is tried again as a receiver's.
            self._log.exception("a hook failed", action="hook_failed", hook=str(to.endpoint_id), kind=str(to.kind))
            took_ms = (self._clock.monotonic() - started) * 1000
            return Attempt(Ending.RETRY, None, Reason.INTERNAL, f"our own fault: {error}", elapsed_ms=took_ms)

    def _settle(self, delivery: Delivery, attempt: Attempt, ended: Settlement) -> bool:
        """What was sent must be written down, else it is sent again."""
        for pause_s in (*_AGAIN_S, None):
            try:
                return self._deliveries.settle(delivery, attempt, ended)
            except Transient as error:
                if pause_s is None or self._clock.wait(self._give_up, pause_s):
                    self._log.error(
                        "an attempt was not recorded: the message will be sent again, with the same id",
                        action="hook_attempt_not_recorded",
                        message_id=delivery.message.message_id,
                        error=str(error),
                    )
                    return False
        return False
