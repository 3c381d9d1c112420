"""What the API answers about incidents, endpoints and deliveries. As in `schemas`: models describe, functions build."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from framegate.ingest.schemas import EXAMPLE_ID, View
from framegate.kernel.hooksecrets import BOTH_FOR
from framegate.kernel.incidents import Change, IncidentState
from framegate.ports.deliveries import DeliveryRecord, DeliveryState, LoggedAttempt, Subscription
from framegate.ports.hooks import Attempt, Ending, HookKind, Reason
from framegate.ports.incidents import IncidentEvent
from framegate.ports.notices import moment

_LINK = f"https://inspect.example/v1/images/{EXAMPLE_ID}/content?expires=1796212800&signature={'ab' * 32}"


class IncidentView(View):
    """Alerts about the same thing, taken together."""

    id: UUID = Field(examples=[EXAMPLE_ID])
    facility: str
    rule: str = Field(description="The rule of the policy that raised it.", examples=["damage"])
    subject: str = Field(description="What it is about.", examples=["shipment/SHP-20391"])
    severity: str = Field(description="`warning` or `critical`.", examples=["critical"])
    state: IncidentState
    summary: str
    images: int = Field(description="How many alerts it took.")
    first_image: UUID | None
    last_image: UUID | None
    opened_at: datetime
    last_at: datetime = Field(description="When the last alert came.")
    escalates_at: datetime | None = Field(description="When it escalates unless somebody acknowledges it.")
    escalated_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None


class IncidentList(View):
    """Those with the newest alerts first."""

    items: list[IncidentView]


class IncidentEventView(View):
    """A change, as receivers were told of it."""

    id: str = Field(description="The `webhook-id` of its message.", examples=["msg_019ab3a05c1e7c419d102f6f0c6a7e11"])
    type: Change
    at: datetime
    actor: str = Field(description="Who did it; `framegate` where nobody did.")


class LinkView(View):
    """An image, and a link that opens it without a key."""

    id: UUID
    url: str = Field(description="The original.", examples=[_LINK])
    preview_url: str = Field(description="With the detections drawn on it; only of decided images.")
    url_expires_at: datetime


class IncidentDetailView(IncidentView):
    """With what happened, and the last image."""

    events: list[IncidentEventView] = Field(description="Oldest first.")
    image: LinkView | None = Field(description="The last image.")


class EndpointState(StrEnum):
    """How an endpoint is."""

    ACTIVE = "active"
    FAILING = "failing"  #: the last attempts failed; it is tried on
    DISABLED = "disabled"  #: nothing is sent any more


class EndpointView(View):
    """Where messages go. Nothing of it is secret: see `target`."""

    id: UUID = Field(examples=[EXAMPLE_ID])
    facility: str
    kind: HookKind
    target: str = Field(
        description="Of a webhook without its query, of Slack only the host: the rest may be a secret.",
        examples=["https://hooks.slack.com/..."],
    )
    changes: list[Change] = Field(description="What it is told of; empty: of every change.")
    min_severity: Literal["critical", "warning"]
    state: EndpointState
    reason: str | None = Field(description="Why it is disabled.")
    failing_since: datetime | None = Field(description="The first failure since the last success.")
    failures: int = Field(description="Since then.")
    last_success_at: datetime | None
    both_sign_until: datetime | None = Field(description="After a rotation: until when the secret before signs along.")
    created_at: datetime
    created_by: str


class EndpointSecretView(EndpointView):
    """The only time that the secret is shown."""

    secret: str | None = Field(
        description="Verifies the signatures (Standard Webhooks); only webhooks have one.", examples=["whsec_MfKQ9r8G…"]
    )


class EndpointList(View):
    """Oldest first."""

    items: list[EndpointView]


class TrialView(View):
    """What became of the test message."""

    delivered: bool
    ending: Ending = Field(description="`gone`: the receiver answered 410, which would disable the endpoint.")
    reason: Reason
    status: int | None = Field(description="Of the receiver's answer.")
    detail: str
    elapsed_ms: float


class DeliveryView(View):
    """One message on its way to one endpoint."""

    id: int
    endpoint: UUID
    message: str = Field(description="The `webhook-id`.", examples=["msg_019ab3a05c1e7c419d102f6f0c6a7e11"])
    type: str = Field(examples=["incident.opened"])
    state: DeliveryState
    attempts: int
    created_at: datetime
    due_at: datetime | None = Field(description="When it is tried next.")
    ended_at: datetime | None
    reason: str | None = Field(description="Why it was given up.")


class DeliveryList(View):
    """Newest first."""

    items: list[DeliveryView]


class AttemptView(View):
    """One try. The bodies are not kept."""

    delivery: int
    attempt: int = Field(description="From 1.")
    at: datetime
    ending: Ending
    reason: Reason
    status: int | None = Field(description="Of the receiver's answer.")
    detail: str
    request_head: str = Field(description="Empty when nothing was sent.")
    response_head: str
    elapsed_ms: float


class AttemptList(View):
    """Newest first."""

    items: list[AttemptView]


class ReplayView(View):
    """What a replay did."""

    replayed: int = Field(description="How many deliveries are due again.")


def event_document(event: IncidentEvent) -> dict[str, Any]:
    """As `IncidentEventView`."""
    return {"id": event.message_id, "type": event.change, "at": moment(event.at), "actor": event.actor}


def endpoint_document(endpoint: Subscription, now: datetime) -> dict[str, Any]:
    """As `EndpointView`."""
    both_until = endpoint.rotated_at and endpoint.rotated_at + BOTH_FOR
    return {
        "id": str(endpoint.endpoint_id),
        "facility": endpoint.facility,
        "kind": endpoint.kind,
        "target": endpoint.shown_target,
        "changes": sorted(endpoint.changes),
        "min_severity": endpoint.min_severity,
        "state": _state(endpoint),
        "reason": endpoint.reason or None,
        "failing_since": moment(endpoint.failing_since),
        "failures": endpoint.failures,
        "last_success_at": moment(endpoint.last_success_at),
        "both_sign_until": moment(both_until) if both_until is not None and now < both_until else None,
        "created_at": moment(endpoint.created_at),
        "created_by": endpoint.created_by,
    }


def _state(endpoint: Subscription) -> EndpointState:
    if not endpoint.enabled:
        return EndpointState.DISABLED
    return EndpointState.ACTIVE if endpoint.failing_since is None else EndpointState.FAILING


def trial_document(attempt: Attempt) -> dict[str, Any]:
    """As `TrialView`."""
    return {"delivered": attempt.ending is Ending.DELIVERED, **_outcome(attempt)}


def deliveries_document(found: Sequence[DeliveryRecord]) -> dict[str, Any]:
    """As `DeliveryList`."""
    return {
        "items": [
            {
                "id": record.delivery_id,
                "endpoint": str(record.endpoint_id),
                "message": record.message_id,
                "type": record.type,
                "state": record.state,
                "attempts": record.attempts,
                "created_at": moment(record.created_at),
                "due_at": moment(record.due_at),
                "ended_at": moment(record.ended_at),
                "reason": record.reason or None,
            }
            for record in found
        ]
    }


def attempts_document(found: Sequence[LoggedAttempt]) -> dict[str, Any]:
    """As `AttemptList`. Which worker it was is nobody's business."""
    return {
        "items": [
            {
                "delivery": line.delivery_id,
                "attempt": line.attempt,
                "at": moment(line.at),
                **_outcome(line.result),
                "request_head": line.result.request_head,
                "response_head": line.result.response_head,
            }
            for line in found
        ]
    }


def _outcome(attempt: Attempt) -> dict[str, Any]:
    return {
        "ending": attempt.ending,
        "reason": attempt.reason,
        "status": attempt.status,
        "detail": attempt.detail,
        "elapsed_ms": round(attempt.elapsed_ms, 1),
    }
