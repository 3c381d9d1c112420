"""From a damaged carton to a receiver that verifies the message, as an operator sets it up."""

import itertools
import json
from typing import Any

import httpx
import pytest
import standardwebhooks

from framegate.starter import sample_frames
from tests.support.box import RunningBox, until
from tests.support.jpegs import commented
from tests.support.receivers import ReceiverServer, Request, answering


def told(receiver: ReceiverServer, kind: str, about: str) -> Request:
    """The message of that kind about `about`, once it has come."""

    def find() -> Request | None:
        for request in list(receiver.requests):
            said = json.loads(request.body)
            if said["type"] == kind and about in json.dumps(said["data"]):
                return request
        return None

    found: Request = until(find, 30, f"{kind} about {about}")
    return found


_numbers = itertools.count()


def damaged(box: RunningBox, camera: str) -> dict[str, Any]:
    """An image that fails; the same bytes twice would reuse the first result, and tell nobody again."""
    for frame in sample_frames():
        data = commented(frame.read_bytes(), f"frame {next(_numbers)}")
        record = box.outcome(box.upload(data, camera=camera).json()["id"])
        if record["verdict"] == "fail":
            return record
    pytest.fail("no sample frame fails")


def test_a_damaged_carton_is_told_once_signed_and_until_somebody_ends_it(
    box: RunningBox, receiver: ReceiverServer
) -> None:
    secret = box.run("hooks", "add", "--url", f"http://127.0.0.1:{receiver.port}/alerts").strip()
    assert secret.startswith("whsec_")
    verifier = standardwebhooks.Webhook(secret)
    (hook,) = json.loads(box.run("hooks", "list", "--json"))
    assert secret not in json.dumps(hook)
    box.run("hooks", "test", hook["endpoint_id"][-8:])
    verifier.verify(receiver.requests[-1].body, receiver.requests[-1].headers)

    box.run("cameras", "add", "dock-hooks")
    record = damaged(box, "dock-hooks")
    opened = told(receiver, "incident.opened", record["id"])
    verifier.verify(opened.body, opened.headers)
    assert len(opened.body) <= 20_000
    said = json.loads(opened.body)["data"]
    assert said["incident"]["subject"] == "camera/dock-hooks"
    assert said["image"]["id"] == record["id"]
    assert said["image"]["url"].startswith(f"{box.url}/v1/images/{record['id']}/content?")

    incident = said["incident"]["id"]
    damaged(box, "dock-hooks")
    box.run("incidents", "ack", incident[-8:], "--by", "lead")
    box.run("incidents", "resolve", incident, "--by", "lead")
    ended = told(receiver, "incident.resolved", incident)
    verifier.verify(ended.body, ended.headers)
    shown = json.loads(box.run("incidents", "show", incident, "--json"))
    assert shown["images"] >= 2
    kinds = ["incident.opened", "incident.acknowledged", "incident.resolved"]
    assert [event["change"] for event in shown["events"]] == kinds
    about = [json.loads(r.body)["type"] for r in receiver.requests if incident in r.body.decode()]
    assert about == kinds, "told once each, and nothing of the images between"
    log = json.loads(box.run("hooks", "log", hook["endpoint_id"], "--json"))
    assert {line["result"]["status"] for line in log} == {200}

    rotated = box.run("hooks", "rotate", hook["endpoint_id"]).strip()
    assert rotated.startswith("whsec_")
    assert rotated != secret
    box.run("hooks", "test", hook["endpoint_id"])
    for known in (secret, rotated):
        standardwebhooks.Webhook(known).verify(receiver.requests[-1].body, receiver.requests[-1].headers)

    receiver.behaviour = answering(500)
    try:
        assert box.run("hooks", "test", hook["endpoint_id"], ok=False) == ""
    finally:
        receiver.behaviour = answering(200)
    box.run("hooks", "remove", hook["endpoint_id"])
    assert json.loads(box.run("hooks", "list", "--json")) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1/x", "invalid-webhook-url"),
        ("https://169.254.169.254/latest/meta-data", "blocked-address"),
        ("https://user:secret@example.com/", "invalid-webhook-url"),
        ("carrier pigeon", "invalid-webhook-url"),
    ],
)
def test_a_receiver_that_must_not_be_reached_is_refused_with_the_reason(
    box: RunningBox, url: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssertionError, match=says):
        box.run("hooks", "add", "--url", url)
    assert json.loads(box.run("hooks", "list", "--json")) == []


def test_nothing_is_lost_for_want_of_a_receiver(box: RunningBox) -> None:
    record = damaged(box, "dock-hooks")

    def among_the_incidents() -> bool:
        listed = json.loads(box.run("incidents", "list", "--json"))
        return any(incident["last_image"] == record["id"] for incident in listed)

    assert until(among_the_incidents, 20, "an incident")
    with httpx.Client(base_url=box.url, trust_env=False) as client:
        assert client.get("/readyz").status_code == 200
