"""A camera that drifts, as the quality lead meets it."""

from .conftest import Visit
from .harness import DESKTOP, TABLET


def test_what_drifts_is_marked_in_the_lists_and_leads_to_the_images_that_moved_it(visit: Visit) -> None:
    ada = visit("ada")
    page = ada.open("/models")
    page.get_by_role("row", name="carton@1").get_by_role("link", name="drifts").click()
    page.get_by_role("heading", name="Drift at main").wait_for()
    page = ada.open("/cameras")
    page.get_by_role("row", name="dock-2").get_by_role("link", name="drifts").click()
    assert page.get_by_role("heading", level=1).inner_text() == "dock-2"
    section = page.locator("#drift-main")
    assert "brightness" in section.inner_text()
    section.locator("a.shot").first.click()
    page.wait_for_url("**/inspections/*")
    assert page.get_by_role("heading", level=1).is_visible()


def test_who_is_no_admin_reads_it_and_changes_nothing(visit: Visit) -> None:
    page = visit("vera").open("/cameras/main/dock-2")
    assert page.locator("#drift-main").is_visible()
    assert page.get_by_role("button", name="This is usual now").count() == 0


def test_an_admin_says_that_it_is_usual_now_and_it_learns_anew(visit: Visit) -> None:
    for scheme, size in (("light", DESKTOP), ("dark", TABLET)):
        ada = visit("ada", scheme=scheme, size=size)
        page = ada.open("/cameras/main/dock-2")
        page.get_by_text("It drifts").wait_for()
        ada.assert_accessible()
        ada.assert_fits()
    page.get_by_role("button", name="This is usual now").click()
    page.get_by_role("dialog").get_by_role("button", name="Yes, do it").click()
    page.get_by_text("What is usual is still learnt").wait_for()
    assert page.get_by_text("It drifts").count() == 0
    assert page.get_by_text("What drifted in the last 30 days and is over").is_visible()
