"""`framegate drift`, as an operator types it, on a real database."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.contracts.drifting import LIMITS, drifts

from .test_people_commands import BASE, Desk, desk

__all__ = ["desk"]


class _Page(HTMLParser):
    """Tags and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]


@pytest.fixture
def drifting(desk: Desk) -> Desk:
    drifts(desk.stores, facility="main", name="<b>carton</b>")
    return desk


def test_before_the_first_image_there_is_nothing_to_compare(desk: Desk, tmp_path: Path) -> None:
    assert "nothing to compare" in desk.run("drift", "status")
    assert json.loads(desk.result("drift", "status", "--json")) == []
    assert "drift status" in desk.run("drift", "status", "dock-7", code=1)
    page = tmp_path / "drift.html"
    desk.run("drift", "report", "--to", str(page))
    assert "Nothing drifted in this time." in page.read_text("utf-8")


def test_the_status_says_what_drifts_and_names_the_images(drifting: Desk) -> None:
    shown = drifting.run("drift", "status")
    assert "brightness" in shown
    assert "starter@1" in shown
    (of_camera,) = json.loads(drifting.result("drift", "status", "dock-7", "--json"))
    (finding,) = of_camera["findings"]
    assert (finding["feature"], of_camera["kind"]) == ("brightness", "camera")
    assert finding["psi"] >= LIMITS.effect
    told = drifting.run("drift", "status", "dock-7")
    assert f"{BASE}/inspections/{finding['moved'][0]}" in told


def test_the_report_is_one_page_without_scripts_that_leads_to_the_images(drifting: Desk, tmp_path: Path) -> None:
    file = tmp_path / "drift.html"
    assert "1 findings" in drifting.run("drift", "report", "--since", "7d", "--to", str(file))
    text = file.read_text("utf-8")
    page = _Page(text)
    assert "script" not in page.tags
    assert page.tags.count("svg") >= 2
    assert page.links
    assert all(link.startswith(f"{BASE}/inspections/") for link in page.links)
    assert "b" not in page.tags, "names of classes are no markup"
    assert "brightness" in text
    drifting.run("drift", "report", "--model", "starter@1", "--to", str(file))
    assert "Nothing drifted in this time." in file.read_text("utf-8")
    assert "drift status" in drifting.run("drift", "report", "--camera", "dock-9", code=1)
    assert "7d" in drifting.run("drift", "report", "--since", "soon", code=1)
    assert "--to" in drifting.run("drift", "report", "--to", str(tmp_path / "none" / "x.html"), code=1)


def test_who_says_that_it_is_well_as_it_is_ends_it(drifting: Desk) -> None:
    assert "learnt anew" in drifting.run("drift", "freeze", "dock-7", "--by", "lead")
    (of_camera,) = json.loads(drifting.result("drift", "status", "dock-7", "--json"))
    assert of_camera["findings"] == []
    assert "drift status" in drifting.run("drift", "freeze", "dock-9", "--by", "lead", code=1)
    audit = drifting.run("audit", "list", "--json")
    assert "drift.frozen" in audit
    assert "lead" in audit
