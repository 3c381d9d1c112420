"""Finding an image and seeing why it ended so, as somebody does it in a browser."""

import csv
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from framegate.starter import sample_frames
from tests.support.box import RunningBox

from .conftest import Visit
from .harness import DESKTOP, TABLET

HOSTILE = '<img src=x onerror="document.title=1">'


def images(box: RunningBox, **where: str) -> list[dict[str, Any]]:
    with box.client() as client:
        items: list[dict[str, Any]] = client.get("/v1/images", params={"limit": 200, **where}).json()["items"]
    return items


@pytest.fixture
def busy(box: RunningBox) -> dict[str, Any]:
    """The decided image with most on it."""
    return max(images(box, state="decided"), key=lambda image: len(image["detections"]))


def shown(page: Page) -> int:
    return page.locator("[data-view] .box:visible").count()


def width(page: Page) -> float:
    """Of what is shown of the picture, in its pixels."""
    return float((page.locator("[data-view]").get_attribute("viewBox") or "").split()[2])


def test_an_image_renders_and_axe_finds_nothing_serious_in_light_and_dark(visit: Visit, busy: dict[str, Any]) -> None:
    for scheme, size in (("light", DESKTOP), ("dark", TABLET)):
        ada = visit("ada", scheme=scheme, size=size)
        page = ada.open(f"/inspections/{busy['id']}")
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Image from {busy['camera']}")
        ada.assert_accessible()
        ada.assert_fits()


def test_classes_can_be_hidden_and_a_confidence_asked_for(visit: Visit, busy: dict[str, Any]) -> None:
    page = visit("ada").open(f"/inspections/{busy['id']}")
    found = busy["detections"]
    assert shown(page) == len(found) > 0
    name = found[0]["class"]
    page.locator(f'input[data-layer="{name}"]').uncheck()
    assert shown(page) == sum(each["class"] != name for each in found)
    page.locator(f'input[data-layer="{name}"]').check()
    page.get_by_label("From confidence").fill("1")
    assert shown(page) == 0
    page.get_by_label("From confidence").fill("0")
    page.locator("[data-view]").press("b")
    assert shown(page) == 0
    page.locator("[data-view]").press("b")
    assert shown(page) == len(found)


def test_the_picture_zooms_and_moves_by_keys_buttons_and_wheel(visit: Visit, busy: dict[str, Any]) -> None:
    page = visit("ada").open(f"/inspections/{busy['id']}")
    view = page.locator("[data-view]")
    whole = width(page)
    view.press("+")
    assert width(page) == pytest.approx(whole / 1.5)
    before = view.get_attribute("viewBox")
    view.press("ArrowRight")
    assert view.get_attribute("viewBox") != before
    page.get_by_role("button", name="Zoom out").click()
    assert width(page) == whole
    view.hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.wait_for_function("w => document.querySelector('[data-view]').viewBox.baseVal.width < w", arg=whole)
    page.keyboard.up("Control")
    view.press("0")
    assert width(page) == whole


def test_a_label_stays_as_large_on_the_screen_however_far_one_zooms_in(visit: Visit, busy: dict[str, Any]) -> None:
    page = visit("ada").open(f"/inspections/{busy['id']}")
    height = "document.querySelector('[data-view] .label rect').getBoundingClientRect().height"
    before = page.evaluate(height)
    page.locator("[data-go]").first.click()
    assert width(page) < busy["width"]
    assert page.evaluate(height) == pytest.approx(before, rel=0.02)


def test_boxes_and_rows_point_at_each_other(visit: Visit, busy: dict[str, Any]) -> None:
    page = visit("ada").open(f"/inspections/{busy['id']}")
    page.locator("#found-0").hover()
    expect(page.locator("#box-0")).to_contain_class("lit")
    page.mouse.move(0, 0)
    expect(page.locator("#box-0")).not_to_contain_class("lit")
    page.locator("#box-0").focus()
    expect(page.locator("#found-0")).to_contain_class("lit")


def test_without_scripts_everything_is_shown(visit: Visit, busy: dict[str, Any]) -> None:
    page = visit("ada", java_script_enabled=False).open(f"/inspections/{busy['id']}")
    assert shown(page) == len(busy["detections"])
    expect(page.locator("[data-tools]")).to_be_hidden()


def test_brackets_lead_to_the_images_before_and_after(visit: Visit, box: RunningBox) -> None:
    newer, older = (image["id"] for image in images(box, camera="dock-1")[:2])
    page = visit("ada").open(f"/inspections/{older}")
    page.keyboard.press("]")
    page.wait_for_url(f"**/inspections/{newer}")
    page.keyboard.press("[")
    page.wait_for_url(f"**/inspections/{older}")


def test_a_search_is_in_the_address_and_back_restores_it(visit: Visit, box: RunningBox) -> None:
    page = visit("ada").open("/inspections")
    page.get_by_role("combobox", name="Camera").fill("dock-2")
    page.get_by_label("Received from").fill("2026-01-02T03:04:05")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**camera=dock-2**")
    asked = parse_qs(urlsplit(page.url).query)
    assert asked == {"since": ["2026-01-02T02:04:05Z"], "camera": ["dock-2"]}  # who looks is in Berlin
    assert page.locator("tbody tr").count() == len(images(box, camera="dock-2"))
    page.locator("tbody a").first.click()
    page.wait_for_url("**/inspections/*")
    page.go_back()
    expect(page.get_by_role("combobox", name="Camera")).to_have_value("dock-2")
    expect(page.get_by_label("Received from")).to_have_value("2026-01-02T03:04:05")
    page.get_by_role("link", name="Remove: camera dock-2").click()
    page.wait_for_url(lambda url: "camera" not in url and "since" in url)


def test_what_is_found_comes_as_a_file(visit: Visit, box: RunningBox, tmp_path: Path) -> None:
    page = visit("ada").open("/inspections?camera=dock-1")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "found.csv")
    with (tmp_path / "found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [image["id"] for image in images(box, camera="dock-1")]


def test_an_open_page_follows_an_image_to_its_end_and_what_came_with_it_is_text(visit: Visit, box: RunningBox) -> None:
    more: dict[str, Any] = {"camera": "dock-9", "meta.note": HOSTILE}
    image_id = box.upload(sample_frames()[-1].read_bytes(), **more).raise_for_status().json()["id"]
    page = visit("ada").open(f"/inspections/{image_id}")
    expect(page.locator(".verdict .badge").first).to_have_text("review", timeout=60_000)  # nobody has confirmed dock-9
    expect(page.get_by_role("link", name=HOSTILE)).to_be_visible()
    page.get_by_role("link", name=HOSTILE).click()
    page.wait_for_url("**/inspections?key=**")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_what_is_of_a_foreign_facility_is_not_there(visit: Visit, box: RunningBox) -> None:
    ada = visit("ada")
    found = ada.page.request.get(f"{box.url}/v1/images?facility=north").json()["items"]
    carla = visit("carla")
    answer = carla.page.request.get(f"{box.url}/inspections/{found[0]['id']}")
    assert answer.status == 404
    assert "north" not in carla.open("/inspections").content()
