"""Endpoints and messages that the suites about incidents and deliveries share."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from framegate.ports.deliveries import Delivery, Subscription
from framegate.ports.hooks import Attempt, Ending, HookKind, Reason

from .examples import FACILITY
from .harness import Harness, seconds

LEASE = seconds(60)
DELIVERED = Attempt(
    Ending.DELIVERED, 200, Reason.DELIVERED, "the receiver answered 200", None, "POST /", "200 OK", 12.5
)
REFUSED = Attempt(Ending.RETRY, 500, Reason.STATUS, "the receiver answered 500", None, "POST /", "500 No", 7.5)


def subscription(**changes: Any) -> Subscription:
    values: dict[str, Any] = {
        "endpoint_id": uuid4(),
        "facility": FACILITY,
        "kind": HookKind.WEBHOOK,
        "target": "https://hooks.example/in",
        "changes": frozenset(),
        "min_severity": "warning",
        "enabled": True,
        "reason": "",
        "generation": 1,
        "rotated_at": None,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "created_by": "test",
    }
    return Subscription(**(values | changes))


def subscribed(harness: Harness, **changes: Any) -> Subscription:
    new = subscription(**changes)
    harness.endpoints.add_endpoint(new, "test")
    return new


def claimed(
    harness: Harness, slots: int = 100, busy: dict[UUID, int] | None = None, owner: str = "one", most: int = 1000
) -> list[Delivery]:
    return harness.deliveries.claim(owner, LEASE, slots, busy or {}, most)
