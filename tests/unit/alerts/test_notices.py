"""What receivers are told."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from framegate.kernel.ids import FacilityId, new_image_id
from framegate.kernel.incidents import Change, Incident, IncidentState, RaisedAlert
from framegate.kernel.inspection import Alert
from framegate.kernel.links import link_holds
from framegate.ports.hooks import MAX_PAYLOAD_BYTES
from framegate.ports.notices import Announcer, trial

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
IMAGE = new_image_id(NOW.timestamp())
SAY = Announcer("https://inspect.example/", b"pepper")


def incident(**changes: object) -> Incident:
    alert = Alert("damage", "critical", "pallet/7", "dock-1 saw a torn carton")
    opened = Incident.open(RaisedAlert(UUID(int=1), FacilityId("main"), IMAGE, alert, NOW), UUID(int=2))
    return replace(opened, **changes)  # type: ignore[arg-type]


def test_a_message_says_what_where_and_how_often_and_leads_to_the_picture() -> None:
    message = SAY(incident(images=7), Change.ESCALATED, NOW, "framegate")
    assert message.title == "CRITICAL main: pallet/7"
    assert message.text == "nobody has acknowledged it: dock-1 saw a torn carton (7 images)"
    said = json.loads(message.payload)
    assert (said["type"], said["timestamp"]) == ("incident.escalated", "2026-05-01T12:00:00.000Z")
    assert said["data"]["incident"]["url"] == f"https://inspect.example/v1/incidents/{UUID(int=2)}"
    assert said["data"]["incident"]["page_url"] == f"https://inspect.example/incidents/{UUID(int=2)}"
    assert message.link == said["data"]["image"]["preview_url"]
    url = urlsplit(said["data"]["image"]["url"])
    assert url.path == f"/v1/images/{IMAGE}/content"
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    stamp, signature = int(query["expires"]), query["signature"]
    assert link_holds(b"pepper", IMAGE, stamp, signature, NOW + timedelta(days=6))
    assert not link_holds(b"pepper", IMAGE, stamp, signature, NOW + timedelta(days=8))
    assert not link_holds(b"pepper", IMAGE, stamp + 1, signature, NOW)
    assert not link_holds(b"other", IMAGE, stamp, signature, NOW)
    assert not link_holds(b"pepper", new_image_id(), stamp, signature, NOW)


def test_what_is_about_no_image_leads_to_the_incident() -> None:
    message = SAY(incident(first_image=None, last_image=None), Change.OPENED, NOW, "framegate")
    assert json.loads(message.payload)["data"]["image"] is None
    assert message.link == f"https://inspect.example/incidents/{UUID(int=2)}"


def test_a_failure_of_ours_leads_to_the_original_which_may_be_no_picture() -> None:
    message = SAY(incident(rule="operations"), Change.OPENED, NOW, "framegate")
    assert message.link == json.loads(message.payload)["data"]["image"]["url"]


@pytest.mark.parametrize("state", list(IncidentState))
def test_no_text_is_too_long_for_a_payload(state: IncidentState) -> None:
    name = "𝄞" * 50_000
    endless = incident(summary=name, subject="ü" * 50_000, state=state, acknowledged_by=name, resolved_by=name)
    message = SAY(endless, Change.OPENED, NOW, name)
    assert len(message.payload) <= MAX_PAYLOAD_BYTES
    assert len(trial(FacilityId("main"), NOW, name).payload) <= MAX_PAYLOAD_BYTES


def test_every_message_has_an_id_of_its_own_that_sorts_by_time() -> None:
    first, second = (SAY(incident(), Change.OPENED, NOW + timedelta(seconds=s), "framegate") for s in (0, 1))
    assert first.message_id < second.message_id
    assert trial(FacilityId("main"), NOW, "lead").message_id != first.message_id
