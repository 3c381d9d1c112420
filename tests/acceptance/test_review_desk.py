"""What the gate leaves to people, decided by one of them, as they and everybody else see it."""

import json
from hashlib import sha256
from typing import Any

import httpx

from framegate.starter import sample_frames
from tests.support.box import RunningBox, until

CAMERA = "dock-desk"  # nobody has confirmed it, so nothing of it passes by itself
FACILITY = "desk"  # without the doubts that other tests have left to people


def incidents(box: RunningBox) -> list[dict[str, Any]]:
    found = json.loads(box.run("incidents", "list", "--all", "--json"))
    return [one for one in found if one["subject"] == f"camera/{CAMERA}"]


def key_of(box: RunningBox, name: str, scopes: str) -> dict[str, str]:
    key = box.run("keys", "create", "--name", name, "--scopes", scopes, "--facility", FACILITY).strip()
    return {"Authorization": f"Bearer {key}"}


def test_a_person_fails_an_image_takes_it_back_fails_it_again_and_people_hear_of_it_once(box: RunningBox) -> None:
    frame = next(path.read_bytes() for path in sample_frames())
    image = box.upload(frame, headers=key_of(box, CAMERA, "images:write"), camera=CAMERA).json()["id"]
    with httpx.Client(
        base_url=box.url, headers=key_of(box, "Ann", "reviews:write,results:read"), trust_env=False
    ) as ann:
        until(lambda: ann.get(f"/v1/images/{image}").json()["state"] == "decided", what="an outcome")
        assert ann.get(f"/v1/images/{image}").json()["verdict"] == "review"
        item = next(one for one in ann.post("/v1/reviews/next?n=50").json()["items"] if one["id"] == image)
        shown = sha256(ann.get(item["content"]).content).hexdigest()
        said = {"shown_sha256": shown, "decision": "fail", "class": "dent"}
        address = f"/v1/reviews/{image}"
        review = ann.post(f"{address}/decide", json=said | {"version": item["version"]}).raise_for_status().json()
        ann.post(f"/v1/reviews/{review['id']}/undo").raise_for_status()
        stale = ann.post(f"{address}/decide", json=said | {"version": item["version"]})
        assert stale.status_code == 409
        (again,) = [one for one in ann.post("/v1/reviews/next?n=50").json()["items"] if one["id"] == image]
        assert incidents(box) == []
        ann.post(f"{address}/decide", json=said | {"version": again["version"]}).raise_for_status()
        record = ann.get(f"/v1/images/{image}").json()
        assert (record["verdict"], record["effective_verdict"]) == ("review", "fail")
        assert [one["decision"] for one in record["reviews"]] == ["fail", "undo", "fail"]
    until(lambda: incidents(box), 30, "the incident")
    (incident,) = incidents(box)
    assert (incident["rule"], incident["severity"], incident["images"]) == ("damage", "critical", 1)
    assert incident["summary"].startswith(f"{CAMERA} saw dent, as Ann (")
    stats = json.loads(box.run("reviews", "stats", "--json"))
    assert [counts for name, counts in stats["reviewers"].items() if name.startswith("Ann (")] == [{"fail": 1}]
