"""What a page does that is left open on a wall."""

import re

import pytest
from playwright.sync_api import Page, expect

from framegate.box.keys import create_key
from framegate.cli.stores import stores_of
from framegate.kernel.states import DEFAULT_SCOPES
from framegate.settings import Settings
from framegate.starter import sample_frames
from tests.support.box import RunningBox, until

from .conftest import Visit
from .harness import Viewer

#: A login that has ended is noticed within half of it.
LOGIN_CHECKED_MS = 60_000


def listening(viewer: Viewer, path: str = "/") -> Page:
    page = viewer.open(path)
    expect(page.locator("[data-live]")).to_have_attribute("data-state", "on")
    return page


def send(box: RunningBox, n: int, camera: str, key: str | None = None) -> str:
    head = {"Authorization": f"Bearer {key}"} if key else None
    answer = box.upload(sample_frames()[n].read_bytes(), camera=camera, headers=head).raise_for_status()
    return str(answer.json()["id"])


def tile(page: Page, image: str) -> str:
    return f'[data-strip] [data-image="{image}"]'


def viewers(box: RunningBox) -> float:
    found = re.search(r"^framegate_live_viewers ([\d.]+)$", box.metrics(), re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.fixture
def north(box: RunningBox) -> str:
    settings = Settings(data=box.data)
    with stores_of(settings) as stores:
        return create_key(stores, settings, "north", frozenset(map(str, DEFAULT_SCOPES)), ["north"], 1)


def test_an_outcome_appears_with_its_camera_without_the_page_moving(visit: Visit, box: RunningBox) -> None:
    page = listening(visit("ada"))
    strip = page.locator('[data-camera="main/dock-1"] [data-strip]')
    before = strip.bounding_box()
    counted = int(page.locator('[data-count="hour"]').inner_text())
    image = send(box, 1, "dock-1")
    expect(strip.locator("li").first).to_have_attribute("data-image", image)
    expect(strip.locator("li")).to_have_count(5)
    assert strip.bounding_box() == before
    assert int(page.locator('[data-count="hour"]').inner_text()) > counted
    expect(page.locator("[data-said]")).to_contain_text("new", timeout=15_000)  # said every ten seconds at most
    expect(strip.locator("li a").first).to_have_attribute("href", f"/inspections/{image}")


def test_each_sees_what_happens_in_their_own_facilities_only(visit: Visit, box: RunningBox, north: str) -> None:
    ada, carla = listening(visit("ada")), listening(visit("carla"))
    theirs, ours = send(box, 10, "gate-7", north), send(box, 2, "dock-2")
    for page in (ada, carla):
        expect(page.locator(tile(page, ours))).to_be_visible()
    expect(ada.locator(tile(ada, theirs))).to_be_visible()
    assert theirs not in carla.content()
    assert "gate-7" not in carla.content()
    assert carla.locator("[data-note]").is_hidden()


def test_a_page_that_pauses_shows_nothing_new_until_it_goes_on(visit: Visit, box: RunningBox) -> None:
    page = listening(visit("ada"))
    page.get_by_role("button", name="Pause").click()
    image = send(box, 4, "dock-1")
    page.get_by_role("button", name=re.compile(r"Go on \(\d+ new\)")).click(timeout=30_000)
    expect(page.locator(tile(page, image))).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_who_leaves_does_not_listen_any_more(visit: Visit, box: RunningBox) -> None:
    page = listening(visit("ada"))
    until(lambda: viewers(box) == 1, what="one viewer")
    page.goto(f"{box.url}/cameras")
    until(lambda: viewers(box) == 0, what="no viewer")


def test_the_end_of_the_login_ends_the_stream(visit: Visit, box: RunningBox) -> None:
    wall, desk = visit("rolf", anew=True), visit("rolf", anew=True)
    page = listening(wall)
    desk.open("/me").get_by_role("button", name="End", exact=True).first.click()
    expect(page.locator("[data-live]")).to_have_text("Not live any more", timeout=LOGIN_CHECKED_MS)
    page.locator("[data-note]").get_by_role("link", name="Reload").click()
    page.wait_for_url(f"{box.url}/login?**")


def test_without_scripts_the_page_says_that_it_is_of_the_moment_it_was_loaded(visit: Visit) -> None:
    page = visit("ada", java_script_enabled=False).open("/")
    expect(page.locator("[data-live]")).to_contain_text("Reload for newer")
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
