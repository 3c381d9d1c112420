"""`/v1/reviews`: deciding over the API."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.states import Verdict
from tests.contracts.examples import decide, new_image, outcome
from tests.support.pictures import jpeg

from .fakes import HALL, OTHER_HALL, ApiBox, slug_of
from .test_content import the_only_id, uploaded
from .test_reading import get

pytestmark = pytest.mark.anyio
REVIEW = frozenset({"reviews:write"})


def waits(box: ApiBox, weight: float = 1.0, facility: FacilityId = HALL, sampled: bool = False) -> ImageId:
    """An image that people are asked about."""
    box.clock.advance(0.001)
    image = new_image(facility=facility)
    box.store.intake.accept([image])
    box.store.state.sample = float(sampled)
    verdict = Verdict.PASS if sampled else Verdict.REVIEW
    decide(box.store.progress, image, replace(outcome(verdict), weight=weight))
    return image.image_id


async def post(box: ApiBox, key: str, path: str, body: Any = None) -> httpx.Response:
    async with box.client(key) as client:
        return await client.post(f"/v1/reviews/{path}", json=body)


def reviewer(box: ApiBox, name: str = "Ann", *facilities: FacilityId) -> str:
    return box.add_key(*facilities, scopes=REVIEW, name=name)


async def ask(box: ApiBox, key: str, **params: Any) -> httpx.Response:
    async with box.client(key) as client:
        return await client.post("/v1/reviews/next", params=params)


async def next_items(box: ApiBox, key: str, **params: Any) -> list[Any]:
    answer = await ask(box, key, **params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    items: list[Any] = answer.json()["items"]
    return items


async def decide_over(box: ApiBox, key: str, item: Any, decision: str = "pass", **more: Any) -> httpx.Response:
    body = {"version": item["version"], "shown_sha256": item["sha256"], "decision": decision} | more
    return await post(box, key, f"{item['id']}/decide", {k: v for k, v in body.items() if v is not None})


async def test_a_decision_is_shown_with_its_image_whose_outcome_stays(box: ApiBox) -> None:
    image, ann = waits(box), reviewer(box)
    (item,) = await next_items(box, ann)
    assert item["id"] == str(image)
    drawn = [{"class": "dent", "box": [1, 2, 30.5, 40]}]
    answer = await decide_over(box, ann, item, "fail", **{"class": "dent"}, boxes=drawn, note="left corner")
    assert answer.status_code == 200, answer.text
    review = answer.json()
    assert review["reviewer"].startswith("Ann (")
    assert (review["decision"], review["class"], review["note"]) == ("fail", "dent", "left corner")
    assert (review["at"], review["undo_until"]) == ("2026-11-23T12:00:00.001000Z", "2026-11-23T12:00:30.001000Z")
    shown = (await get(box, f"/v1/images/{image}")).json()
    assert (shown["verdict"], shown["effective_verdict"], shown["reviews"]) == ("review", "fail", [review])
    assert shown["reviews"][0]["boxes"] == [{"class": "dent", "box": [1.0, 2.0, 30.5, 40.0]}]
    assert box.metrics.decisions == ["fail"]


async def test_the_digest_to_send_is_the_one_that_the_original_is_served_with(box: ApiBox) -> None:
    await uploaded(box, jpeg(1, 640, 480))
    image_id, ann = the_only_id(box), reviewer(box)
    facts = box.store.state.images[image_id].new
    decide(box.store.progress, facts, outcome(Verdict.REVIEW))
    (item,) = await next_items(box, ann)
    assert (await get(box, item["content"])).headers["etag"] == f'"{item["sha256"]}"'
    assert (item["width"], item["height"]) == (640, 480)


async def test_nothing_in_an_item_tells_a_sampled_pass_from_a_doubt(box: ApiBox) -> None:
    waits(box)
    waits(box, sampled=True)
    items = await next_items(box, reviewer(box), n=10)
    assert len(items) == 2
    assert set(items[0]) == set(items[1])
    assert not set(items[0]) & {"verdict", "automatic", "origin", "reason", "detail", "risk", "weight"}


async def test_items_come_by_risk_and_no_two_people_get_the_same(box: ApiBox) -> None:
    slight, grave, middling = waits(box, 0.2), waits(box, 2.0), waits(box, 1.0)
    ann, ben = reviewer(box), reviewer(box, "Ben")
    assert [item["id"] for item in await next_items(box, ann)] == [str(grave)]
    assert [item["id"] for item in await next_items(box, ben, n=5)] == [str(middling), str(slight)]
    assert [item["id"] for item in await next_items(box, ann, n=5)] == [str(grave)]


async def test_the_second_of_two_decisions_is_answered_409_and_both_are_audited(box: ApiBox) -> None:
    image, ann, ben = waits(box), reviewer(box), reviewer(box, "Ben")
    (item,) = await next_items(box, ann)
    box.clock.advance(301)
    assert (await decide_over(box, ben, item)).status_code == 200
    answer = await decide_over(box, ann, item, "fail", **{"class": "dent"})
    assert (answer.status_code, slug_of(answer)) == (409, "review-conflict")
    entries = [(e.actor[:3], e.action) for e in box.store.state.audit if e.object == str(image)]
    assert entries[-2:] == [("Ben", "review.decided"), ("Ann", "review.refused")]
    assert box.metrics.decisions == ["pass", "refused"]


async def test_a_decision_on_what_was_not_on_the_screen_is_refused(box: ApiBox) -> None:
    for _ in range(2):
        waits(box)
    ann = reviewer(box)
    one, other = await next_items(box, ann, n=2)
    answer = await decide_over(box, ann, other, shown_sha256=one["sha256"])
    assert (answer.status_code, slug_of(answer)) == (409, "review-not-shown")
    assert len(await next_items(box, ann, n=5)) == 2


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"decision": "fail"}, "class"),
        ({"class": "dent"}, "class"),
        ({"boxes": [{"class": "dent", "box": [0, 0, 1, 1]}]}, "boxes"),
        ({"decision": "fail", "class": "dent", "boxes": [{"class": "dent", "box": [0, 0, 1]}]}, "box"),
        ({"decision": "skip"}, "decision"),
        ({"decision": "undo"}, "decision"),
        ({"shown_sha256": "AB" * 32}, "shown_sha256"),
        ({"shown_sha256": None}, "shown_sha256"),
        ({"version": None}, "version"),
        ({"note": "x" * 2001}, "note"),
    ],
)
async def test_what_cannot_be_a_decision_is_named_and_decides_nothing(box: ApiBox, change: Any, name: str) -> None:
    image, ann = waits(box), reviewer(box)
    (item,) = await next_items(box, ann)
    answer = await decide_over(box, ann, item, **change)
    assert (answer.status_code, slug_of(answer)) == (422, "invalid-parameter")
    assert answer.json()["errors"][0]["name"] == name
    assert box.store.state.reviews[image].reviews == []


async def test_a_box_outside_the_picture_is_refused(box: ApiBox) -> None:
    waits(box)
    ann = reviewer(box)
    (item,) = await next_items(box, ann)
    drawn = [{"class": "dent", "box": [0, 0, 65, 40]}]
    answer = await decide_over(box, ann, item, "fail", **{"class": "dent"}, boxes=drawn)
    assert (answer.status_code, slug_of(answer)) == (422, "review-box-outside")


async def test_skipping_and_giving_back_leave_the_item_to_others(box: ApiBox) -> None:
    image, ann, ben = waits(box), reviewer(box), reviewer(box, "Ben")
    (item,) = await next_items(box, ann)
    skipped = await post(box, ann, f"{image}/skip", {"version": item["version"], "note": "not my docks"})
    assert (skipped.status_code, skipped.json()["decision"], skipped.json()["shown_sha256"]) == (200, "skip", None)
    (taken,) = await next_items(box, ben)
    stale = await post(box, ann, f"{image}/skip", {"version": item["version"]})
    assert slug_of(stale) == "review-conflict"
    assert (await post(box, ann, f"{image}/release")).json() == {"released": False}
    assert (await post(box, ben, f"{image}/release")).json() == {"released": True}
    assert [again["id"] for again in await next_items(box, ann)] == [taken["id"]]


async def test_a_decision_is_taken_back_in_time_and_not_later(box: ApiBox) -> None:
    waits(box)
    ann, ben = reviewer(box), reviewer(box, "Ben")
    (item,) = await next_items(box, ann)
    review = (await decide_over(box, ann, item)).json()
    assert slug_of(await post(box, ben, f"{review['id']}/undo")) == "review-final"
    undone = await post(box, ann, f"{review['id']}/undo")
    assert (undone.status_code, undone.json()["undoes"]) == (200, review["id"])
    (again,) = await next_items(box, ann)
    later = (await decide_over(box, ann, again)).json()
    box.clock.advance(30)
    answer = await post(box, ann, f"{later['id']}/undo")
    assert (answer.status_code, slug_of(answer)) == (409, "review-final")


async def test_another_facilitys_items_and_reviews_are_not_there(box: ApiBox) -> None:
    theirs = waits(box, facility=OTHER_HALL)
    ann, there = reviewer(box), reviewer(box, "Ben", OTHER_HALL)
    assert await next_items(box, ann, n=50) == []
    assert slug_of(await ask(box, ann, facility=OTHER_HALL)) == "not-found"
    (item,) = await next_items(box, there)
    review = (await decide_over(box, there, item)).json()
    for wanted in (str(theirs), str(uuid4()), "1", "%00"):
        for action, body in (
            ("decide", {"version": 2, "shown_sha256": item["sha256"], "decision": "pass"}),
            ("skip", {"version": 2}),
            ("release", None),
        ):
            assert slug_of(await post(box, ann, f"{wanted}/{action}", body)) == "not-found"
    for wanted in (review["id"], str(uuid4()), "1", "%00"):
        assert slug_of(await post(box, ann, f"{wanted}/undo")) == "not-found"
    assert len(box.store.state.reviews[theirs].reviews) == 1
    stats = (await get(box, "/v1/reviews/stats")).json()
    assert (stats["open"], stats["reviewers"]) == (0, {})


async def test_the_escape_rate_comes_with_its_interval_and_says_when_too_few_were_judged(box: ApiBox) -> None:
    ann = reviewer(box)
    for n in range(60):
        waits(box, sampled=True)
        (item,) = await next_items(box, ann)
        if n == 59:
            few = (await get(box, "/v1/reviews/stats")).json()["escapes"][0]
            assert (few["judged"], few["rate"], few["note"][:7]) == (59, None, "too few")
        more: Any = {"decision": "fail", "class": "dent"} if n < 3 else {}
        assert (await decide_over(box, ann, item, **more)).status_code == 200
    stats = (await get(box, "/v1/reviews/stats")).json()
    every = stats["escapes"][0]
    assert (every["kind"], every["judged"], every["escaped"], every["rate"]) == ("all", 60, 3, 0.05)
    assert (every["low"], every["high"], every["note"]) == (0.010432, 0.139243, None)
    assert {(tally["kind"], tally["name"]) for tally in stats["escapes"]} == {
        ("all", ""),
        ("camera", "dock-7"),
        ("class", "dent"),
        ("model", "starter@1"),
    }
    assert [sorted(counts.items()) for counts in stats["reviewers"].values()] == [[("fail", 3), ("pass", 57)]]
    assert (stats["open"], stats["leased"], stats["oldest_at"]) == (0, 0, None)


ONE = "/v1/reviews/0193e2a4-7c1b-7f3a-9d5e-2b1c0a998877"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/reviews/next", "reviews:write"),
        ("POST", f"{ONE}/decide", "reviews:write"),
        ("POST", f"{ONE}/skip", "reviews:write"),
        ("POST", f"{ONE}/release", "reviews:write"),
        ("POST", f"{ONE}/undo", "reviews:write"),
        ("GET", "/v1/reviews/stats", "results:read"),
    ],
)
async def test_deciding_and_reading_need_a_scope_each(box: ApiBox, method: str, path: str, scope: str) -> None:
    every = {"images:write", "results:read", "reviews:write", "hooks:manage", "models:manage", "audit:read", "admin"}
    async with box.client(box.add_key(scopes=frozenset(every - {scope}))) as client:
        answer = await client.request(method, path)
        assert (answer.status_code, slug_of(answer)) == (403, "insufficient-scope")
        answer = await client.request(method, path, headers={"Authorization": ""})
        assert slug_of(answer) == "unauthenticated"


async def test_an_item_comes_back_to_others_when_its_reviewer_does_nothing(box: ApiBox) -> None:
    waits(box)
    ann, ben = reviewer(box), reviewer(box, "Ben")
    (item,) = await next_items(box, ann)
    assert item["leased_until"] == "2026-11-23T12:05:00.001Z"
    assert await next_items(box, ben) == []
    box.clock.advance(timedelta(minutes=5).total_seconds())
    assert [taken["id"] for taken in await next_items(box, ben)] == [item["id"]]
