"""Every page with what a real pipeline has left on it."""

import pytest

from .conftest import Visit
from .harness import DESKTOP, TABLET

#: The pages of the navigation, with their headings.
PAGES = {
    "/": "Now",
    "/review": "Review",
    "/review/quality": "How many defects pass",
    "/inspections": "Inspections",
    "/inspections?as=pictures": "Inspections",
    "/inspections?camera=nowhere&since=2026-01-01T00:00Z": "Inspections",
    "/incidents": "Incidents",
    "/cameras": "Cameras",
    "/cameras/main/dock-2": "dock-2",
    "/pipeline": "Pipeline",
    "/models": "Models",
    "/models/carton@1": "carton@1",
    "/models/carton@2": "carton@2",
    "/policy": "Policy",
    "/policy?facility=main&version=1": "Policy",
    "/hooks": "Hooks",
    "/access": "Access",
    "/access?show=keys": "Access",
    "/me": "ada",
}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_renders_and_axe_finds_nothing_serious_in_light_and_dark(visit: Visit, path: str) -> None:
    for scheme, size in (("light", DESKTOP), ("dark", TABLET)):
        ada = visit("ada", scheme=scheme, size=size)
        page = ada.open(path)
        assert page.get_by_role("heading", level=1).inner_text() == PAGES[path]
        ada.assert_accessible()
        ada.assert_fits()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_can_be_read_without_scripts(visit: Visit, path: str) -> None:
    page = visit("ada", java_script_enabled=False).open(path)
    assert page.get_by_role("heading", level=1).inner_text() == PAGES[path]


def test_moments_are_shown_in_the_zone_of_whoever_looks(visit: Visit) -> None:
    page = visit("ada").open("/me")
    shown = page.locator("time").first
    assert "UTC" not in shown.inner_text()
    berlin, utc = (
        visit("ada", java_script_enabled=False).open("/me").locator("time").first.inner_text(), shown.get_attribute("title")
    )  # fmt: skip
    assert berlin.endswith("UTC")
    assert utc
