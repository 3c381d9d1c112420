"""`/`: every camera with its newest images, and what needs somebody."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from framegate.dashboard import live, nowview
from framegate.dashboard.nowview import facilities_of, figures
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.inspection import Refused
from framegate.kernel.messages import FrameSubmitted
from framegate.kernel.people import Role
from framegate.kernel.states import Stage, Verdict
from framegate.ports.overview import CameraRate
from framegate.ports.progress import Claim, Completion
from tests.unit.ingest.fakes import HALL, OTHER_HALL
from tests.unit.ingest.test_incidents import opened
from tests.unit.ingest.test_reading import add, decide
from tests.unit.web.listening import Client

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio
BOTH = (HALL, OTHER_HALL)


def rate(camera: str, ended: dict[str, int], median_ms: float | None = None, dock: str | None = None) -> CameraRate:
    return CameraRate(HALL, CameraId(camera), dock, None, ended, median_ms)


def sent(box: PeopleBox, camera: str = "dock-1", facility: FacilityId = HALL, **changes: Any) -> ImageId:
    image_id = add(box, camera=CameraId(camera), facility=facility, **changes)
    decide(box, image_id, facility)
    return image_id


async def shown(box: PeopleBox, path: str = "/", *facilities: FacilityId) -> str:
    box.add_person("anna", Role.VIEWER, *facilities)
    return await box.see(path)


# --- the figures -------------------------------------------------------------------------------------------------------


def test_figures_are_sums_and_the_median_is_that_of_the_camera_in_the_middle() -> None:
    hour = [rate("a", {"pass": 1}, 90.0), rate("b", {"pass": 8, "fail": 1}, 50.0), rate("c", {"rejected": 2})]
    found = figures([rate("a", {"pass": 1})], hour)
    assert (found.five_minutes, found.hour) == (1, 12)
    assert found.kinds == {"pass": 9, "fail": 1, "rejected": 2}
    assert found.median_ms == 50.0
    assert figures([], []).median_ms is None


def test_cameras_in_trouble_come_first_then_by_dock_and_the_quiet_ones_are_apart() -> None:
    rates = [
        rate("calm", {"pass": 1}, dock="B"),
        rate("early", {"pass": 1}, dock="A"),
        rate("dented", {"fail": 1}, dock="C"),
        rate("frozen", {}),
        rate("silent", {}),
    ]
    (found,) = facilities_of(rates, {}, {(HALL, CameraId("frozen")): ["frozen"]}, only=None)
    assert [camera.camera for camera in found.busy] == ["frozen", "dented", "early", "calm"]
    assert [camera.camera for camera in found.quiet] == ["silent"]


# --- the page ----------------------------------------------------------------------------------------------------------


async def test_each_camera_shows_its_newest_images_newest_first(box: PeopleBox) -> None:
    images = [sent(box, metadata={"dock": "door-4"}) for _ in range(nowview.EACH + 1)]
    html = await shown(box)
    places = [html.find(f'data-image="{image}"') for image in images]
    assert places[0] == -1, "only the newest few"
    assert places[1:] == sorted(places[1:], reverse=True)
    assert "door-4" in html
    assert f"{nowview.EACH + 1} in 1 h: {nowview.EACH + 1} pass" in html
    assert f'href="/inspections/{images[-1]}"' in html


async def test_an_image_without_a_picture_that_was_decoded_shows_none(box: PeopleBox) -> None:
    image = add(box)
    (claim,) = box.store.progress.claim(Stage.PREPROCESS, [FrameSubmitted(HALL, image)], "w", timedelta(seconds=60))
    assert isinstance(claim, Claim)
    box.store.progress.complete([Completion(claim, Refused("corrupt", "half of it is missing"))])
    html = await shown(box)
    assert f'data-image="{image}"' in html
    assert f"{image}/content" not in html


async def test_only_images_of_the_chosen_kind_are_shown(box: PeopleBox) -> None:
    image = sent(box)
    assert str(image) in await shown(box, "/?verdict=pass")
    failed = await box.see("/?verdict=fail")
    assert str(image) not in failed
    assert "1 quiet camera (no such image among the newest)" in failed
    await box.see("/?verdict=nice", status=422)


async def test_other_facilities_are_not_seen(box: PeopleBox) -> None:
    theirs = sent(box, "gate-7", OTHER_HALL)
    mine = sent(box)
    html = await shown(box)
    assert str(mine) in html
    assert str(theirs) not in html
    assert "gate-7" not in html


async def test_the_chosen_facility_is_the_one_that_is_listened_to(box: PeopleBox) -> None:
    theirs = sent(box, "gate-7", OTHER_HALL)
    html = await shown(box, f"/?facility={OTHER_HALL}", *BOTH)
    assert str(theirs) in html
    assert f'data-stream="/live?after=1&amp;facility={OTHER_HALL}"' in html


async def test_critical_incidents_come_first_and_what_somebody_takes_care_of_is_not_there(box: PeopleBox) -> None:
    taken = opened(box, subject="dock/taken")
    box.store.incidents.acknowledge(frozenset({HALL}), UUID(taken), "anna", box.deps.announce)
    open_one = opened(box, subject="dock/<b>")
    html = await shown(box)
    assert f'href="/incidents/{open_one}"' in html
    assert "dock/&lt;b&gt;" in html
    assert taken not in html


async def test_without_cameras_the_page_says_what_would_appear(box: PeopleBox) -> None:
    assert "No camera has sent an image yet" in await shown(box)


# --- what is new -------------------------------------------------------------------------------------------------------


def test_an_outcome_is_told_as_the_tile_that_the_page_would_show(box: PeopleBox) -> None:
    image = sent(box)
    (news,) = live.outcomes(box.store.results)(frozenset({HALL}), 0, 10)
    assert (news.facility, news.sequence, news.name) == (HALL, 1, "outcome")
    said = json.loads(news.data)
    assert (said["place"], said["kind"], said["image"]) == (f"{HALL}/dock-1", str(Verdict.PASS), str(image))
    assert f'<li class="tile" data-image="{image}">' in said["html"]
    assert f"/v1/images/{image}/content?preview=small" in said["html"]


async def test_who_listens_hears_of_their_own_facilities_and_is_counted(box: PeopleBox) -> None:
    sent(box, "gate-7", OTHER_HALL)
    mine = sent(box)
    key = [(b"authorization", b"Bearer " + box.key.encode())]
    url = {"method": "GET", "scheme": "http", "path": "/live", "raw_path": b"/live", "query_string": b"after=0"}
    scope = {
        **url,
        "headers": key,
        "http_version": "1.1",
        "root_path": "",
        "client": ("192.0.2.1", 1),
        "server": ("x", 80),
    }
    client = Client(box.app, scope)
    await client.hear("event: outcome")
    assert box.viewers[-1] == 1
    assert [str(mine) in event for event in client.events] == [True]
    await client.leave()
    assert box.viewers[-1] == 0
