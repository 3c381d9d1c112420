"""What the API tells about images."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from framegate.kernel.errors import TooBroad
from framegate.kernel.ids import CameraId, ImageId
from framegate.kernel.inspection import Label, Outcome
from framegate.kernel.messages import FrameInspected, FramePrepared, FrameSubmitted
from framegate.kernel.states import ImageState, Stage, Verdict
from framegate.ports.progress import Claim, Completion
from tests.contracts.examples import new_image
from tests.support.values import inspected, prepared

from .fakes import HALL, OTHER_HALL, ApiBox, slug_of

pytestmark = pytest.mark.anyio


def add(box: ApiBox, **changes: Any) -> ImageId:
    box.clock.advance(0.001)
    (accepted,) = box.store.intake.accept([new_image(**({"facility": HALL} | changes))])
    return accepted.image_id


def decide(
    box: ApiBox,
    image_id: ImageId,
    facility: Any = HALL,
    labels: tuple[Label, ...] = (),
    verdict: Verdict = Verdict.PASS,
    **confidences: float,
) -> None:
    steps: list[tuple[Stage, type[Any], Any]] = [
        (Stage.PREPROCESS, FrameSubmitted, prepared()),
        (Stage.INFERENCE, FramePrepared, replace(inspected(**confidences), labels=labels)),
        (Stage.GATE, FrameInspected, Outcome(ImageState.DECIDED, verdict, "clear", "nothing found", 1)),
    ]
    for stage, message, result in steps:
        (claim,) = box.store.progress.claim(stage, [message(facility, image_id)], "w", timedelta(seconds=60))
        assert isinstance(claim, Claim)
        assert box.store.progress.complete([Completion(claim, result)]) == [True]


async def get(box: ApiBox, path: str, key: str | None = None, **params: Any) -> Any:
    async with box.client(key) as client:
        return await client.get(path, params=params or None)


async def test_an_image_tells_everything_and_nothing_of_where_it_lies(box: ApiBox) -> None:
    image_id = add(box, metadata={"shipment": "S-1"})
    decide(box, image_id, dent=0.9)
    answer = await get(box, f"/v1/images/{image_id}")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["id"], body["state"], body["verdict"], body["reason"]) == (str(image_id), "decided", "pass", "clear")
    (found,) = body["detections"]
    assert (found["class"], found["confidence"], len(found["box"])) == ("dent", 0.9, 4)
    assert (body["model"], body["model_sha256"]) == ("carton@1", "0" * 64)
    assert (body["policy"], body["engine"], body["metadata"]) == (1, "test engine", {"shipment": "S-1"})
    assert body["timings"]["received_at"]
    assert "blob_key" not in answer.text
    assert "prepared/" not in answer.text
    assert "originals/" not in answer.text


async def test_the_labels_of_an_image_say_which_detection_they_name(box: ApiBox) -> None:
    image_id = add(box)
    labels = Label(0, "wear@1", "crushed", 0.93456), Label(None, "scene@2", "dock", 0.5)
    decide(box, image_id, labels=labels, dent=0.9)
    assert (await get(box, f"/v1/images/{image_id}")).json()["labels"] == [
        {"detection": 0, "model": "wear@1", "class": "crushed", "confidence": 0.9346},
        {"detection": None, "model": "scene@2", "class": "dock", "confidence": 0.5},
    ]


@pytest.mark.parametrize(
    "image_id", ["1", "../../etc/passwd", "x" * 300, "0193e2a4-7c1b-7f3a-9d5e-2b1c0a998877", "%00", "null"]
)
async def test_row_63_what_is_no_image_is_not_found(box: ApiBox, image_id: str) -> None:
    for path in (f"/v1/images/{image_id}", f"/v1/images/{image_id}/content"):
        assert slug_of(await get(box, path)) == "not-found"


async def test_row_63_another_facilitys_image_is_not_found_anywhere(box: ApiBox) -> None:
    image_id = add(box, facility=OTHER_HALL)
    decide(box, image_id, OTHER_HALL)
    assert slug_of(await get(box, f"/v1/images/{image_id}")) == "not-found"
    assert slug_of(await get(box, f"/v1/images/{image_id}/content")) == "not-found"
    assert (await get(box, "/v1/images")).json()["items"] == []
    assert (await get(box, "/v1/outcomes")).json() == {"items": [], "next": 0}
    assert (await get(box, "/v1/cameras")).json()["items"] == []
    assert (await get(box, "/v1/stats")).json()["accepted"] == 0
    theirs = box.add_key(OTHER_HALL)
    assert (await get(box, f"/v1/images/{image_id}", theirs)).status_code == 200
    assert (await get(box, "/v1/stats", theirs)).json()["accepted"] == 1


@pytest.mark.parametrize("path", ["/v1/images", "/v1/outcomes", "/v1/cameras", "/v1/stats"])
async def test_row_5_a_foreign_facility_is_not_found(box: ApiBox, path: str) -> None:
    assert slug_of(await get(box, path, facility="hall-2")) == "not-found"


async def test_pages_hold_every_image_once_newest_first_also_while_new_ones_arrive(box: ApiBox) -> None:
    ids = [add(box) for _ in range(7)]
    answer = await get(box, "/v1/images", limit=3)
    seen = [item["id"] for item in answer.json()["items"]]
    while answer.json()["next"] is not None:
        add(box)
        follow = answer.headers["link"].removeprefix("<").partition(">")[0]
        assert '; rel="next"' in answer.headers["link"]
        answer = await get(box, follow)
        assert answer.status_code == 200, answer.text
        seen += [item["id"] for item in answer.json()["items"]]
    assert seen == [str(image_id) for image_id in reversed(ids)]
    assert 'rel="next"' not in answer.headers["link"]


async def test_a_page_leads_back_to_the_one_before(box: ApiBox) -> None:
    ids = [str(add(box)) for _ in range(5)][::-1]
    pages = [(await get(box, "/v1/images", limit=2)).json()]
    while (cursor := pages[-1]["next"]) is not None:
        pages.append((await get(box, "/v1/images", limit=2, cursor=cursor)).json())
    assert [[item["id"] for item in page["items"]] for page in pages] == [ids[:2], ids[2:4], ids[4:]]
    assert pages[0]["previous"] is None
    answer = await get(box, "/v1/images", limit=2, cursor=pages[2]["previous"])
    assert [item["id"] for item in answer.json()["items"]] == ids[2:4]
    assert answer.headers["link"].count("/v1/images?limit=2&cursor=") == 2
    assert answer.headers["link"].endswith('; rel="prev"')
    first = (await get(box, "/v1/images", limit=2, cursor=answer.json()["previous"])).json()
    assert [item["id"] for item in first["items"]] == ids[:2]
    assert first["previous"] is None
    again = (await get(box, "/v1/images", limit=2, cursor=first["next"])).json()
    assert [item["id"] for item in again["items"]] == ids[2:4]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"detected": "dent", "min_confidence": 0.8}, True),
        ({"detected": "dent", "min_confidence": 0.95}, False),
        ({"max_confidence": 0.5}, False),
        ({"model": "carton@1", "reason": "clear"}, True),
        ({"model": "carton@2"}, False),
        ({"reason": "damage"}, False),
        ({"effective": "pass", "reviewed": "false"}, True),
        ({"effective": "fail"}, False),
        ({"reviewed": "true"}, False),
    ],
)
async def test_images_are_found_by_what_was_decided(box: ApiBox, params: dict[str, Any], found: bool) -> None:
    image_id = add(box)
    decide(box, image_id, dent=0.9)
    items = (await get(box, "/v1/images", **params)).json()["items"]
    assert [item["id"] for item in items] == ([str(image_id)] if found else [])


@pytest.mark.parametrize(
    "params",
    [{"min_confidence": 1.5}, {"max_confidence": -1}, {"model": "carton"}, {"reason": "a b"}, {"effective": "x"}],
)
async def test_a_condition_that_nothing_can_fulfil_is_refused(box: ApiBox, params: dict[str, Any]) -> None:
    answer = await get(box, "/v1/images", **params)
    assert slug_of(answer) == "invalid-parameter"
    assert answer.json()["errors"][0]["name"] in params


async def test_a_search_that_reads_too_much_says_what_narrows_it(box: ApiBox, monkeypatch: pytest.MonkeyPatch) -> None:
    def images(*_: Any) -> Any:
        raise TooBroad

    monkeypatch.setattr(box.store.results, "images", images)
    answer = await get(box, "/v1/images", reason="damage")
    assert (answer.status_code, slug_of(answer)) == (422, "search-too-broad")
    assert "received_since" in answer.text


async def test_row_64_a_forged_or_stale_cursor_or_one_of_another_listing_is_refused(box: ApiBox) -> None:
    for _ in range(3):
        add(box)
    cursor = (await get(box, "/v1/images", limit=1)).json()["next"]
    forged = ("AAAA", cursor[:-4] + "AAAA", "~" + cursor, "~", "~~" + cursor)
    for params in (*({"cursor": text} for text in forged), {"cursor": cursor, "state": "decided"}):
        assert slug_of(await get(box, "/v1/images", **params)) == "invalid-cursor"
    assert slug_of(await get(box, "/v1/images", box.add_key(), cursor=cursor)) == "invalid-cursor"
    assert (await get(box, "/v1/images", cursor=cursor, limit=2)).status_code == 200
    box.clock.advance(86_401)
    assert slug_of(await get(box, "/v1/images", cursor=cursor)) == "invalid-cursor"


async def test_filters_hold_together(box: ApiBox) -> None:
    wanted = add(box, camera=CameraId("a"), metadata={"dock": "D1", "meta.side": "left"})
    add(box, camera=CameraId("a"), metadata={"dock": "D2", "meta.side": "left"})
    add(box, camera=CameraId("b"), metadata={"dock": "D1"})
    decide(box, wanted, dent=0.9)
    for params in (
        {"camera": "a", "dock": "D1"},
        {"meta.side": "left", "dock": "D1"},
        {"state": "decided", "verdict": "pass", "lane": "live"},
        {"detected": "dent"},
        {"sha256": box.store.state.images[wanted].new.sha256.upper()},
    ):
        answer = await get(box, "/v1/images", **params)
        assert [item["id"] for item in answer.json()["items"]] == [str(wanted)], (params, answer.text)
    future = (box.clock.now() + timedelta(hours=1)).isoformat()
    assert (await get(box, "/v1/images", received_since=future)).json()["items"] == []
    assert len((await get(box, "/v1/images", received_until=future)).json()["items"]) == 3


@pytest.mark.parametrize(
    ("params", "slug"),
    [
        ({"limit": "201"}, "invalid-parameter"),
        ({"limit": "0"}, "invalid-parameter"),
        ({"limit": "many"}, "invalid-parameter"),
        ({"state": "lost"}, "invalid-parameter"),
        ({"camera": "../x"}, "invalid-parameter"),
        ({"received_since": "yesterday"}, "invalid-parameter"),
        ({"detected": "a\0b"}, "invalid-parameter"),
        ({"meta.x": "\0"}, "invalid-parameter"),
        ({"color": "red"}, "unknown-parameter"),
        ({"Limit": "5"}, "unknown-parameter"),
    ],
)
async def test_row_56_listing_parameters_are_strict(box: ApiBox, params: dict[str, str], slug: str) -> None:
    answer = await get(box, "/v1/images", **params)
    assert (answer.status_code, slug_of(answer)) == (422, slug)


@pytest.mark.parametrize("path", ["/v1/images/x", "/v1/images/x/content", "/v1/cameras", "/v1/stats", "/healthz"])
async def test_row_56_an_unknown_parameter_is_refused_everywhere(box: ApiBox, path: str) -> None:
    assert slug_of(await get(box, path, surprise="1")) == "unknown-parameter"


async def test_outcomes_come_in_the_order_of_their_endings(box: ApiBox) -> None:
    first, second, third = add(box), add(box), add(box)
    decide(box, second)
    decide(box, first)
    page = (await get(box, "/v1/outcomes", after=0)).json()
    assert [item["image"]["id"] for item in page["items"]] == [str(second), str(first)]
    decide(box, third)
    rest = (await get(box, "/v1/outcomes", after=page["next"])).json()
    assert [item["image"]["id"] for item in rest["items"]] == [str(third)]
    newest = (await get(box, "/v1/outcomes", after=-1)).json()
    assert newest == rest
    assert (await get(box, "/v1/outcomes", after=rest["next"])).json() == {"items": [], "next": rest["next"]}


async def test_a_watcher_hears_of_an_ending_while_it_waits_and_blocks_nobody(box: ApiBox) -> None:
    image_id = add(box)
    waiting = asyncio.create_task(get(box, "/v1/outcomes", after=0, wait=30))
    while box.app.state.api.watchers == 0:  # noqa: ASYNC110 (a counter, not an event)
        await asyncio.sleep(0)
    assert (await get(box, "/healthz")).status_code == 200
    assert not waiting.done()
    decide(box, image_id)
    assert len((await waiting).json()["items"]) == 1
    assert box.app.state.api.watchers == 0


async def test_beyond_the_most_watchers_nobody_waits(box: ApiBox) -> None:
    box.app.state.api.watchers = 64
    assert (await get(box, "/v1/outcomes", after=0, wait=30)).json() == {"items": [], "next": 0}


async def test_cameras_and_counts_are_told(box: ApiBox) -> None:
    decide(box, add(box, camera=CameraId("a")))
    add(box, camera=CameraId("b"))
    cameras = (await get(box, "/v1/cameras")).json()["items"]
    assert [(camera["id"], camera["status"]) for camera in cameras] == [("a", "unconfirmed"), ("b", "unconfirmed")]
    stats = (await get(box, "/v1/stats")).json()
    assert (stats["accepted"], stats["decided"], stats["in_flight"], stats["lost"]) == (2, 1, 1, 0)
    assert stats["verdicts"]["pass"] == 1


async def test_a_key_of_two_facilities_sees_both_and_can_ask_for_one(box: ApiBox) -> None:
    add(box), add(box, facility=OTHER_HALL)
    both = box.add_key(HALL, OTHER_HALL)
    assert (await get(box, "/v1/stats", both)).json()["accepted"] == 2
    assert (await get(box, "/v1/stats", both, facility="hall-2")).json()["accepted"] == 1
    assert len((await get(box, "/v1/images", both)).json()["items"]) == 2
