"""Endpoints and deliveries in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from framegate.adapters.memory.state import MemoryState
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.incidents import SYSTEM, RaisedAlert
from framegate.ports.deliveries import (
    Delivery,
    DeliveryRecord,
    DeliveryState,
    LoggedAttempt,
    Settlement,
    Subscription,
    Told,
)
from framegate.ports.hooks import Attempt, Ending, HookMessage


@dataclass(slots=True, eq=False)
class _Row:
    delivery_id: int
    endpoint_id: UUID
    message: HookMessage
    said_at: datetime
    created_at: datetime
    due_at: datetime
    image_id: ImageId | None = None  #: whose alert the message tells of
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    owner: str = ""
    token: UUID | None = None
    until: float = float("-inf")  #: of the monotonic clock
    ended_at: datetime | None = None
    reason: str = ""


@dataclass(slots=True)
class _Rows:
    endpoints: dict[UUID, Subscription] = field(default_factory=dict)
    deliveries: list[_Row] = field(default_factory=list)
    log: list[LoggedAttempt] = field(default_factory=list)
    numbers: int = 0


class MemoryEndpoints:
    """`Endpoints`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self.rows = _Rows()  #: shared with `MemoryDeliveries`

    def add_endpoint(self, new: Subscription, actor: str) -> None:
        """See the port."""
        with self._state.lock:
            self.rows.endpoints[new.endpoint_id] = new
            self._note(new, actor, "hook.added")

    def endpoint(self, facilities: frozenset[FacilityId], endpoint_id: UUID) -> Subscription | None:
        """See the port."""
        found = self.rows.endpoints.get(endpoint_id)
        return found if found is not None and found.facility in facilities else None

    def endpoints(self, facilities: frozenset[FacilityId] | None = None) -> list[Subscription]:
        """See the port."""
        with self._state.lock:
            found = [e for e in self.rows.endpoints.values() if facilities is None or e.facility in facilities]
            return sorted(found, key=lambda e: (e.created_at, e.endpoint_id))

    def rotate(self, endpoint_id: UUID, actor: str) -> Subscription | None:
        """See the port."""
        with self._state.lock:
            found = self.rows.endpoints.get(endpoint_id)
            if found is None:
                return None
            changed = replace(found, generation=found.generation + 1, rotated_at=self._state.now())
            return self._change(changed, actor, "hook.rotated")

    def enable(self, endpoint_id: UUID, actor: str) -> Subscription | None:
        """See the port."""
        with self._state.lock:
            found = self.rows.endpoints.get(endpoint_id)
            if found is None:
                return None
            changed = replace(found, enabled=True, reason="", failing_since=None, failures=0)
            return self._change(changed, actor, "hook.enabled")

    def remove(self, endpoint_id: UUID, actor: str) -> bool:
        """See the port."""
        with self._state.lock:
            found = self.rows.endpoints.pop(endpoint_id, None)
            if found is None:
                return False
            self.rows.deliveries = [row for row in self.rows.deliveries if row.endpoint_id != endpoint_id]
            self._note(found, actor, "hook.removed")
            return True

    def _change(self, changed: Subscription, actor: str, action: str) -> Subscription:
        self.rows.endpoints[changed.endpoint_id] = changed
        self._note(changed, actor, action)
        return changed

    def _note(self, endpoint: Subscription, actor: str, action: str) -> None:
        body = {"kind": str(endpoint.kind), "generation": endpoint.generation}
        self._state.record(endpoint.facility, actor, action, str(endpoint.endpoint_id), body)


class MemoryDeliveries:
    """`Deliveries`."""

    def __init__(self, state: MemoryState, endpoints: MemoryEndpoints) -> None:
        self._state, self._rows = state, endpoints.rows

    def address(self, facility: FacilityId, message: HookMessage, at: datetime, image: ImageId | None = None) -> None:
        """A delivery for every endpoint that wants it; whoever calls holds the lock."""
        now = self._state.now()
        for endpoint in self._rows.endpoints.values():
            if endpoint.facility == facility and endpoint.wants(message):
                self._rows.numbers += 1
                row = _Row(self._rows.numbers, endpoint.endpoint_id, message, at, now, now, image)
                self._rows.deliveries.append(row)

    def claim(self, owner: str, lease: timedelta, slots: int, busy: Mapping[UUID, int], most: int) -> list[Delivery]:
        """See the port."""
        with self._state.lock:
            now, claimed = self._state.now(), list[Delivery]()
            room = {
                e.endpoint_id: slots - busy.get(e.endpoint_id, 0) for e in self._rows.endpoints.values() if e.enabled
            }
            for row in sorted(self._rows.deliveries, key=lambda r: (r.due_at, r.delivery_id)):
                held = row.until > self._state.clock.monotonic()
                if (
                    row.state is not DeliveryState.PENDING
                    or row.due_at > now
                    or held
                    or room.get(row.endpoint_id, 0) <= 0
                    or len(claimed) >= most
                ):
                    continue
                room[row.endpoint_id] -= 1
                row.owner, row.token, row.until = owner, uuid4(), self._state.until(lease)
                endpoint = self._rows.endpoints[row.endpoint_id]
                claimed.append(
                    Delivery(
                        row.delivery_id, endpoint, row.message, row.attempts, owner, row.token, row.due_at, row.said_at
                    )
                )
            return claimed

    def settle(self, delivery: Delivery, attempt: Attempt, settlement: Settlement) -> bool:
        """See the port."""
        with self._state.lock:
            row = next((r for r in self._rows.deliveries if r.delivery_id == delivery.delivery_id), None)
            now = self._state.now()
            if row is None:
                return False
            logged = replace(attempt, retry_after_s=None)
            self._rows.log.append(LoggedAttempt(row.delivery_id, delivery.attempts + 1, now, delivery.owner, logged))
            if row.token != delivery.token:
                return False
            row.attempts += 1
            row.state, row.reason, row.token, row.until = settlement.state, settlement.reason, None, float("-inf")
            if settlement.state is DeliveryState.PENDING:
                row.due_at = now + timedelta(seconds=settlement.delay_s or 0)
            else:
                row.ended_at = now
            self._endpoint(delivery, attempt, settlement, now)
            return True

    def _endpoint(self, delivery: Delivery, attempt: Attempt, settlement: Settlement, now: datetime) -> None:
        endpoint_id = delivery.subscription.endpoint_id
        found = self._rows.endpoints[endpoint_id]
        if attempt.ending is Ending.DELIVERED:
            self._rows.endpoints[endpoint_id] = replace(found, failing_since=None, failures=0, last_success_at=now)
            return
        failing = replace(found, failing_since=found.failing_since or now, failures=found.failures + 1)
        self._rows.endpoints[endpoint_id] = failing
        still_so = attempt.ending is Ending.GONE or found.failing_since == delivery.subscription.failing_since
        if settlement.disable and found.enabled and still_so:
            self._rows.endpoints[endpoint_id] = replace(failing, enabled=False, reason=settlement.disable)
            for row in self._rows.deliveries:
                if row.endpoint_id == endpoint_id and row.state is DeliveryState.PENDING:
                    row.state, row.token, row.until, row.ended_at = DeliveryState.DEAD, None, float("-inf"), now
                    row.reason = "the endpoint was disabled"
            body = {"reason": settlement.disable}
            self._state.record(found.facility, SYSTEM, "hook.disabled", str(endpoint_id), body)
            if settlement.alert is not None:
                self._state.alerts.append(RaisedAlert(uuid4(), found.facility, None, settlement.alert, now))

    def recover(self, owner: str) -> int:
        """See the port."""
        with self._state.lock:
            now = self._state.clock.monotonic()
            held = [r for r in self._rows.deliveries if r.owner == owner and r.token is not None and r.until > now]
            for row in held:
                row.token, row.until = None, float("-inf")
            return len(held)

    def dead(self, facilities: frozenset[FacilityId] | None, limit: int) -> list[DeliveryRecord]:
        """See the port."""
        with self._state.lock:
            dead = (row for row in self._rows.deliveries if row.state is DeliveryState.DEAD)
            return self._records([row for row in dead if self._seen(row, facilities)], limit)

    def deliveries(self, endpoint_id: UUID, limit: int) -> list[DeliveryRecord]:
        """See the port."""
        with self._state.lock:
            return self._records([row for row in self._rows.deliveries if row.endpoint_id == endpoint_id], limit)

    def replay(
        self,
        facilities: frozenset[FacilityId] | None,
        *,
        delivery_id: int | None = None,
        endpoint_id: UUID | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """See the port."""
        with self._state.lock:
            again = [
                row
                for row in self._rows.deliveries
                if row.state is DeliveryState.DEAD
                and self._seen(row, facilities)
                and self._rows.endpoints[row.endpoint_id].enabled
                and delivery_id in (None, row.delivery_id)
                and endpoint_id in (None, row.endpoint_id)
                and (since is None or row.created_at >= since)
                and (until is None or row.created_at < until)
            ]
            for row in again:
                row.state, row.attempts, row.due_at = DeliveryState.PENDING, 0, self._state.now()
                row.ended_at, row.reason = None, ""
            return len(again)

    def about(self, facility: FacilityId, image_id: ImageId) -> list[Told]:
        """See the port."""
        with self._state.lock:
            told = []
            for row in self._rows.deliveries:
                endpoint = self._rows.endpoints[row.endpoint_id]
                if (endpoint.facility, row.image_id) == (facility, image_id):
                    (record,) = self._records([row], 1)
                    tries = tuple(line for line in self._rows.log if line.delivery_id == row.delivery_id)
                    told.append(Told(record, endpoint.kind, endpoint.shown_target, tries))
            return told

    def log(self, endpoint_id: UUID, limit: int) -> Sequence[LoggedAttempt]:
        """See the port."""
        with self._state.lock:
            mine = {row.delivery_id for row in self._rows.deliveries if row.endpoint_id == endpoint_id}
            return [line for line in reversed(self._rows.log) if line.delivery_id in mine][:limit]

    def waiting(self) -> tuple[int, float]:
        """See the port."""
        with self._state.lock:
            now = self._state.now()
            due = [
                row.due_at
                for row in self._rows.deliveries
                if row.state is DeliveryState.PENDING
                and row.due_at <= now
                and self._rows.endpoints[row.endpoint_id].enabled
            ]
            return len(due), (now - min(due)).total_seconds() if due else 0.0

    def forget(self, ended_before: timedelta, limit: int) -> int:
        """See the port."""
        with self._state.lock:
            ended = [r for r in self._rows.deliveries if r.ended_at and r.ended_at < self._state.now() - ended_before]
            gone = {row.delivery_id for row in sorted(ended, key=lambda r: r.ended_at or r.created_at)[:limit]}
            self._rows.deliveries = [row for row in self._rows.deliveries if row.delivery_id not in gone]
            return len(gone)

    def _seen(self, row: _Row, facilities: frozenset[FacilityId] | None) -> bool:
        return facilities is None or self._rows.endpoints[row.endpoint_id].facility in facilities

    def _records(self, rows: Sequence[_Row], limit: int) -> list[DeliveryRecord]:
        newest = sorted(rows, key=lambda row: (row.created_at, row.delivery_id), reverse=True)[:limit]
        return [
            DeliveryRecord(
                row.delivery_id,
                row.endpoint_id,
                row.message.message_id,
                row.message.type,
                row.state,
                row.attempts,
                row.created_at,
                row.due_at if row.state is DeliveryState.PENDING else None,
                row.ended_at,
                row.reason,
            )
            for row in newest
        ]
