"""Telling people of what is not an image's outcome."""

from collections.abc import Callable

from framegate.kernel.errors import FramegateError
from framegate.kernel.ids import DEFAULT_FACILITY, FacilityId
from framegate.kernel.inspection import Alert
from framegate.kernel.tracecontext import trace_id_of
from framegate.observability.logs import Log
from framegate.ports.progress import Claim

#: Raises an alert. It may fail like every call of a store.
Tell = Callable[[FacilityId, Alert], None]


def told_nobody(_facility: FacilityId, _alert: Alert) -> None:
    """For tools and tests."""


def about(claim: Claim) -> dict[str, str | int]:
    """Whose work a log line is about; with its trace, where that is recorded."""
    image, trace_id = claim.image, trace_id_of(claim.message.trace)
    ids: dict[str, str | int] = {"image": str(image.image_id), "facility": image.facility, "camera": image.camera}
    ids |= {"attempt": claim.attempt} | ({"look": claim.message.look} if claim.message.look > 1 else {})
    return ids | ({"trace_id": trace_id} if trace_id else {})


def tell_of_dead_letter(tell: Tell, log: Log, queue: str, cause: str, facility: FacilityId | None = None) -> None:
    """One incident for a queue, whatever is in it. Never raises: the message is away already, and is counted and logged."""
    summary = f"A message of {queue} could not be handled: {cause[:500]} (framegate dead-letters list)"
    alert = Alert("operations", "warning", f"dead-letters/{queue}", summary)
    try:
        tell(facility or DEFAULT_FACILITY, alert)
    except FramegateError as error:
        log.warning("an alert was not raised", action="alert_failed", subject=alert.subject, error=str(error))
