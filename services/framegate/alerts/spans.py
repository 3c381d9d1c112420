"""What a trace tells of an attempt to reach a receiver."""

from framegate.kernel.tracecontext import SpanContext, context_of
from framegate.observability.tracing import Kind, Span
from framegate.ports.deliveries import Delivery
from framegate.ports.hooks import Attempt, Ending, HookKind


def attempt_span(delivery: Delivery, attempt: Attempt, context: SpanContext, start_ns: int, end_ns: int) -> Span:
    """Without the target: where messages go is nobody else's business, and with some receivers its path is the secret."""
    to, message = delivery.subscription, delivery.message
    attributes: dict[str, str | int] = {
        "framegate.hook.kind": str(to.kind),
        "framegate.hook.endpoint": str(to.endpoint_id),
        "framegate.hook.message": message.message_id,
        "framegate.hook.change": message.type,
    }
    if to.kind is not HookKind.SNS:
        attributes["http.request.method"] = "POST"
    if delivery.attempts:
        attributes["http.request.resend_count"] = delivery.attempts
    if attempt.status is not None:
        attributes["http.response.status_code"] = attempt.status
    above = context_of(message.trace).span_id
    name, error = f"deliver {to.kind}", "" if attempt.ending is Ending.DELIVERED else str(attempt.reason)
    return Span(name, Kind.CLIENT, context, above, start_ns, end_ns, attributes, error=error)
