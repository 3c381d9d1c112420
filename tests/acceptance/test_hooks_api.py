"""The same over HTTP, as another program sets it up: no shell on the host, no key for who follows a link."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import standardwebhooks

from tests.support.box import RunningBox, until
from tests.support.receivers import ReceiverServer, answering

from .test_hooks import damaged, told


@pytest.fixture(scope="module")
def client(box: RunningBox) -> Iterator[httpx.Client]:
    scopes = "hooks:manage,results:read,reviews:write"
    key = box.run("keys", "create", "--name", "office", "--scopes", scopes).strip()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=box.url, headers=headers, trust_env=False, timeout=30) as made:
        yield made


def ok(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def test_a_hook_is_added_tried_and_followed_to_the_picture_without_a_key(
    box: RunningBox, receiver: ReceiverServer, client: httpx.Client
) -> None:
    target = f"http://127.0.0.1:{receiver.port}/api?token=own"
    hook = ok(client.post("/v1/hooks", json={"target": target}))
    path = f"/v1/hooks/{hook['id']}"
    try:
        assert hook["target"] == f"http://127.0.0.1:{receiver.port}/api?..."
        tried = ok(client.post(f"{path}/test"))
        assert (tried["delivered"], tried["status"]) == (True, 200)
        verifier = standardwebhooks.Webhook(hook["secret"])
        verifier.verify(receiver.requests[-1].body, receiver.requests[-1].headers)

        box.run("cameras", "add", "dock-api")
        record = damaged(box, "dock-api")
        said = json.loads(told(receiver, "incident.opened", record["id"]).body)["data"]
        incident = f"/v1/incidents/{said['incident']['id']}"
        link = said["image"]["url"]
        with httpx.Client(trust_env=False) as nobody:
            original = nobody.get(link)
            assert (original.status_code, original.headers["content-type"]) == (200, record["media_type"])
            assert original.headers["referrer-policy"] == "no-referrer"
            assert nobody.get(f"{link}&boxes=1").headers["content-type"] == "image/jpeg"
            assert nobody.get(f"{link}0").json()["type"] == "/problems/link-invalid"
            assert nobody.get(link.partition("?")[0]).status_code == 401
        assert len(original.content) == record["size_bytes"]

        assert ok(client.post(f"{incident}/acknowledge"))["acknowledged_by"].startswith("office (")
        told(receiver, "incident.acknowledged", said["incident"]["id"])
        ok(client.post(f"{incident}/resolve"))
        told(receiver, "incident.resolved", said["incident"]["id"])
        shown = ok(client.get(incident))
        kinds = ["incident.opened", "incident.acknowledged", "incident.resolved"]
        assert [event["type"] for event in shown["events"]] == kinds
        assert said["incident"]["id"] in {
            item["id"] for item in ok(client.get("/v1/incidents?state=resolved"))["items"]
        }

        def delivered() -> bool:
            states = [item["state"] for item in ok(client.get(f"{path}/deliveries"))["items"]]
            return len(states) == 3 and set(states) == {"delivered"}

        until(delivered, 20, "three deliveries that are written down")
        attempts = ok(client.get(f"{path}/attempts"))["items"]
        assert [attempt["status"] for attempt in attempts] == [200] * 3
        assert all("token=own" not in attempt["request_head"] for attempt in attempts)
    finally:
        assert client.delete(path).status_code == 204


def test_what_a_receiver_refused_for_good_can_be_replayed(
    box: RunningBox, receiver: ReceiverServer, client: httpx.Client
) -> None:
    hook = ok(client.post("/v1/hooks", json={"target": f"http://127.0.0.1:{receiver.port}/gone"}))
    path = f"/v1/hooks/{hook['id']}"
    try:
        receiver.behaviour = answering(410)
        assert ok(client.post(f"{path}/test"))["ending"] == "gone"
        assert ok(client.get(path))["state"] == "active", "a trial changes nothing"
        damaged(box, "dock-api-replay")
        until(lambda: ok(client.get(path))["state"] == "disabled", 30, "the endpoint to be disabled")
        assert client.post("/v1/hooks/replay", json={"endpoint": hook["id"]}).status_code == 409
        receiver.behaviour = answering(200)
        assert ok(client.post(f"{path}/enable"))["state"] == "active"
        dead = [item["id"] for item in ok(client.get("/v1/hooks/dead"))["items"] if item["endpoint"] == hook["id"]]
        assert dead
        assert ok(client.post("/v1/hooks/replay", json={"endpoint": hook["id"]})) == {"replayed": len(dead)}
        until(lambda: ok(client.get(path))["last_success_at"], 20, "the replayed message")
        assert ok(client.post("/v1/hooks/replay", json={"endpoint": hook["id"]})) == {"replayed": 0}
    finally:
        receiver.behaviour = answering(200)
        assert client.delete(path).status_code == 204


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"target": "http://127.0.0.1:1/x"}, "invalid-webhook-url"),
        ({"target": "https://169.254.169.254/latest/meta-data"}, "blocked-address"),
        ({"target": "https://user:secret@example.com/"}, "invalid-webhook-url"),
        ({"target": "https://example.com/" + "x" * 3_000}, "invalid-webhook-url"),
        ({"target": "https://bücher.example/"}, "invalid-webhook-url"),
        ({"target": "arn:aws:sns:nowhere", "kind": "sns"}, "invalid-webhook-url"),
    ],
)
def test_a_target_that_must_not_be_reached_is_refused_with_the_reason(
    client: httpx.Client, body: dict[str, str], slug: str
) -> None:
    before = ok(client.get("/v1/hooks"))
    answer = client.post("/v1/hooks", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{slug}"), answer.text
    assert ok(client.get("/v1/hooks")) == before
