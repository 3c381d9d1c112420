"""The page that somebody looks at who was woken."""

from contextlib import closing
from typing import Any

from playwright.sync_api import expect

from framegate.cli.stores import stores_of
from framegate.settings import Settings
from tests.support.box import RunningBox

from .conftest import Visit


def test_the_page_keeps_itself_current_and_leaves_the_focus_alone(visit: Visit, box: RunningBox) -> None:
    page = visit("ada").open("/pipeline")
    troubles = page.locator("#troubles")
    expect(troubles).to_contain_text("could not be handled")
    before = troubles.inner_text()
    redrive = page.get_by_role("button", name="Redrive", exact=True).first
    redrive.focus()
    with stores_of(Settings(data=box.data)) as stores, closing(stores.queue("test")) as queue:
        queue.send("frame-inspected-live", ["another that is none of ours"])
    expect(troubles).not_to_have_text(before, timeout=30_000)
    expect(redrive).to_be_focused()


def test_redriving_names_the_letters_and_all_of_them_only_when_asked_twice(visit: Visit) -> None:
    page = visit("ada").open("/pipeline")
    sent: list[Any] = []
    page.on("request", lambda request: sent.append(request.post_data_json) if "redrive" in request.url else None)
    letter = page.locator("#letters form input[name=ids]").first.input_value()
    with page.expect_response("**/v1/dead-letters/redrive") as answer, page.expect_navigation():
        page.get_by_role("button", name="Redrive", exact=True).first.click()
    assert answer.value.status == 200
    # It is tried once more, and dies once more, as another letter.
    expect(page.locator(f"#letters input[value='{letter}']")).to_have_count(0, timeout=30_000)
    expect(page.get_by_role("button", name="Redrive", exact=True).first).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Redrive all").click()
    page.get_by_role("button", name="Cancel").click()
    assert sent == [{"ids": [letter]}]
    letters = [one.input_value() for one in page.locator("#letters input[name=ids]:not([value='null'])").all()]
    page.get_by_role("button", name="Redrive all").click()
    with page.expect_response("**/v1/dead-letters/redrive") as answer, page.expect_navigation():
        page.get_by_role("button", name="Yes, do it").click()
    assert answer.value.status == 200
    for each in letters:
        expect(page.locator(f"#letters input[value='{each}']")).to_have_count(0, timeout=30_000)
    assert sent[1:] == [{"ids": None}]


def test_who_is_no_administrator_sees_no_letters(visit: Visit) -> None:
    page = visit("vera").open("/pipeline")
    expect(page.get_by_role("heading", name="Dead letters")).to_have_count(0)
