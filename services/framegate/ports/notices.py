"""What a receiver is told: the message about a change of an incident, and the one that only tries the way. Pure."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from framegate.kernel.ids import FacilityId, new_uuid7
from framegate.kernel.incidents import Change, Incident
from framegate.kernel.links import image_link
from framegate.ports.hooks import HookMessage

TEST: Final = "framegate.test"
_SAYS: Final = {
    Change.OPENED: "",
    Change.RAISED: "now critical: ",
    Change.ESCALATED: "nobody has acknowledged it: ",
    Change.ACKNOWLEDGED: "acknowledged: ",
    Change.RESOLVED: "resolved: ",
}
#: Texts that come from images and policies are cut, so that a payload always has room.
_LONGEST: Final = 2_000
_LONGEST_SUBJECT: Final = 300
_LONGEST_NAME: Final = 200


class Announcer:
    """Makes messages. `base_url` is where receivers reach the API, `pepper` signs the links to images."""

    def __init__(self, base_url: str, pepper: bytes) -> None:
        self._base_url, self._pepper = base_url.rstrip("/"), pepper

    def __call__(self, incident: Incident, change: Change, at: datetime, actor: str) -> HookMessage:
        """See `ports.incidents.Announce`."""
        summary = incident.summary[:_LONGEST]
        image = last_image(incident, self._base_url, self._pepper, at)
        page = f"{self._base_url}/incidents/{incident.incident_id}"
        places = {"url": f"{self._base_url}/v1/incidents/{incident.incident_id}", "page_url": page}
        data = {"incident": describe(incident) | places, "image": image, "actor": actor[:_LONGEST_NAME]}
        count = f" ({incident.images} images)" if incident.images > 1 else ""
        return HookMessage(
            message_id=f"msg_{new_uuid7(at.timestamp()).hex}",
            type=change,
            payload=_payload(change, at, data),
            title=f"{incident.severity.upper()} {incident.facility}: {incident.subject[:_LONGEST_SUBJECT]}",
            text=f"{_SAYS[change]}{summary}{count}",
            # What failed by our own fault may be no picture at all.
            link=page if image is None else image["url" if incident.rule == "operations" else "preview_url"],
            severity=incident.severity,
        )


def last_image(incident: Incident, base_url: str, pepper: bytes, now: datetime) -> dict[str, Any] | None:
    """Links that open without a key: to the original, and to a picture with what was found drawn on it."""
    if incident.last_image is None:
        return None
    url, expires = image_link(base_url, pepper, incident.last_image, now)
    return {
        "id": str(incident.last_image),
        "url": url,
        "preview_url": f"{url}&boxes=1",
        "url_expires_at": moment(expires),
    }


def trial(facility: FacilityId, at: datetime, actor: str) -> HookMessage:
    """The message of `hooks test`: nothing has happened."""
    text = f"A test of this endpoint, sent by {actor[:_LONGEST_NAME]}. Nothing has happened."
    return HookMessage(
        message_id=f"msg_{new_uuid7(at.timestamp()).hex}",
        type=TEST,
        payload=_payload(TEST, at, {"facility": facility, "actor": actor[:_LONGEST_NAME], "text": text}),
        title=f"TEST {facility}",
        text=text,
        link=None,
        severity="warning",
    )


def describe(incident: Incident) -> dict[str, Any]:
    """As the API and the messages show it."""
    return {
        "id": str(incident.incident_id),
        "facility": incident.facility,
        "rule": incident.rule,
        "subject": incident.subject[:_LONGEST_SUBJECT],
        "severity": incident.severity,
        "state": str(incident.state),
        "summary": incident.summary[:_LONGEST],
        "images": incident.images,
        "first_image": incident.first_image and str(incident.first_image),
        "last_image": incident.last_image and str(incident.last_image),
        "opened_at": moment(incident.opened_at),
        "last_at": moment(incident.last_at),
        "escalates_at": moment(incident.escalates_at),
        "escalated_at": moment(incident.escalated_at),
        "acknowledged_at": moment(incident.acknowledged_at),
        "acknowledged_by": incident.acknowledged_by and incident.acknowledged_by[:_LONGEST_NAME],
        "resolved_at": moment(incident.resolved_at),
        "resolved_by": incident.resolved_by and incident.resolved_by[:_LONGEST_NAME],
    }


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _payload(kind: str, at: datetime, data: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "timestamp": moment(at), "data": data}, ensure_ascii=False).encode(
        "utf-8", "replace"
    )
