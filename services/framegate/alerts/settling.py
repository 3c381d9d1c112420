"""What an attempt means: for its delivery, and for its endpoint. Pure."""

from datetime import datetime
from typing import Final

from framegate.kernel.inspection import Alert
from framegate.kernel.redelivery import next_delay_s, should_disable
from framegate.ports.deliveries import Delivery, DeliveryState, Settlement, Subscription
from framegate.ports.hooks import Attempt, Ending

_GONE: Final = "the receiver answered 410 Gone: it wants no more messages"


def settlement(delivery: Delivery, attempt: Attempt, now: datetime, jitter: float) -> Settlement:
    """`now`: when the attempt ended; `jitter`: a random number in [0, 1)."""
    endpoint = delivery.subscription
    if attempt.ending is Ending.DELIVERED:
        return Settlement(DeliveryState.DELIVERED)
    if attempt.ending is Ending.GONE:
        return Settlement(DeliveryState.DEAD, reason=_GONE, disable=_GONE, alert=_disabled(endpoint, _GONE))
    since = endpoint.failing_since or now
    if should_disable(since, now, endpoint.failures + 1, now):
        why = f"no message has arrived since {since:%Y-%m-%d %H:%M} UTC; the last attempt: {attempt.detail}"
        return Settlement(DeliveryState.DEAD, reason=attempt.detail, disable=why, alert=_disabled(endpoint, why))
    delay_s = next_delay_s(delivery.attempts + 1, jitter, attempt.retry_after_s)
    if delay_s is None:
        return Settlement(
            DeliveryState.DEAD, reason=f"{delivery.attempts + 1} attempts failed; the last: {attempt.detail}"
        )
    return Settlement(DeliveryState.PENDING, delay_s, reason=attempt.detail)


def _disabled(endpoint: Subscription, why: str) -> Alert:
    """Told to the other endpoints, and shown among the incidents."""
    summary = f"The {endpoint.kind} endpoint {endpoint.endpoint_id} was disabled: {why}"
    return Alert("operations", "critical", f"hook/{endpoint.endpoint_id}", summary)
