"""What the gate leaves to people, decided by one of them, as they and everybody else see it."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from framegate.starter import sample_frames
from tests.support.box import RunningBox, running_box, until

CAMERA = "dock-desk"  # nobody has confirmed it, so nothing of it passes by itself


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningBox]:
    """Without the doubts that other tests have left to people."""
    with running_box(tmp_path / "data", FRAMEGATE_REVIEWS__UNDO_S="3") as box:
        yield box


def incidents(box: RunningBox) -> list[dict[str, Any]]:
    found = json.loads(box.run("incidents", "list", "--all", "--json"))
    return [one for one in found if one["subject"] == f"camera/{CAMERA}"]


def test_a_person_fails_an_image_takes_it_back_fails_it_again_and_people_hear_of_it_once(own: RunningBox) -> None:
    box = own
    frame = next(path.read_bytes() for path in sample_frames())
    image = box.upload(frame, camera=CAMERA).json()["id"]
    assert box.outcome(image)["verdict"] == "review"
    key = box.run("keys", "create", "--name", "Ann", "--scopes", "reviews:write,results:read").strip()
    with httpx.Client(base_url=box.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as ann:
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
