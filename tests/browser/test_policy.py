"""What an admin does with a policy. Everything that is applied here is applied in `north`."""

from playwright.sync_api import Page, expect

from .conftest import Visit

NORTH = "/policy?facility=north"


def write(page: Page, old: str, new: str) -> None:
    text = page.get_by_label("The policy").input_value()
    assert old in text
    page.get_by_label("The policy").fill(text.replace(old, new))


def apply(page: Page) -> None:
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("button", name="Yes, apply it").click()


def confidence(page: Page) -> str:
    text = page.get_by_label("The policy").input_value()
    return next(line for line in text.splitlines() if line.startswith("require_confidence"))


def test_a_fault_is_shown_where_it_is_and_cannot_be_applied(visit: Visit) -> None:
    ada = visit("ada")
    page = ada.open(NORTH)
    expect(page.get_by_role("button", name="Apply")).to_be_disabled()
    write(page, confidence(page), "require_confidense: 0.3")
    page.get_by_role("button", name="Check", exact=True).click()
    said = page.get_by_role("region", name="What the check says")
    expect(said).to_contain_text("It cannot be applied: 1 fault")
    expect(said).to_contain_text("did you mean require_confidence?")
    expect(page.get_by_role("button", name="Apply")).to_be_disabled()
    said.get_by_role("button", name="Go to line").click()
    chosen = page.get_by_label("The policy").evaluate("one => one.value.slice(one.selectionStart, one.selectionEnd)")
    assert chosen == "require_confidense: 0.3"
    ada.assert_accessible()


def test_a_trial_says_which_images_would_end_otherwise(visit: Visit) -> None:
    ada = visit("ada")
    page = ada.open("/policy?facility=main")
    write(page, confidence(page), "require_confidence: 1.0")
    page.get_by_role("button", name="Try").click()
    said = page.get_by_role("region", name="What the trial says")
    expect(said).to_contain_text("would end otherwise")
    expect(said).to_contain_text("would be left to people")
    expect(said.get_by_role("region", name="Images that would end otherwise")).to_contain_text("review")
    said.get_by_text("in a new tab").click()
    assert (said.get_by_role("link").first.get_attribute("href") or "").startswith("/inspections/")
    ada.assert_accessible()


def test_what_is_applied_is_the_next_version_and_the_old_one_can_be_used_again(visit: Visit) -> None:
    page = visit("ada").open(NORTH)
    before = int(page.locator("#editor").get_attribute("data-expected") or "")
    was = confidence(page)
    write(page, was, "require_confidence: 0.33")
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_role("region", name="What the check says")).to_contain_text("require_confidence: ")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("dialog")).to_contain_text("becomes 0.33")
    page.get_by_role("button", name="Yes, apply it").click()
    expect(page.get_by_role("heading", name=f"What holds now: version {before + 1}")).to_be_visible()
    page.locator("#history").get_by_role("link", name=str(before), exact=True).click()
    expect(page.get_by_text(f"Version {before} holds no more.")).to_be_visible()
    assert confidence(page) == was
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_role("region", name="What the check says")).to_contain_text("It can be applied")
    apply(page)
    expect(page.get_by_role("heading", name=f"What holds now: version {before + 2}")).to_be_visible()


def test_of_two_people_the_second_is_told_and_loses_no_text(visit: Visit) -> None:
    first, late = visit("ada").open(NORTH), visit("ada")
    second = late.open(NORTH)
    for page, value in ((first, "0.31"), (second, "0.32")):
        write(page, confidence(page), f"require_confidence: {value}")
        page.get_by_role("button", name="Check", exact=True).click()
        expect(page.get_by_role("button", name="Apply")).to_be_enabled()
    apply(first)
    expect(first.get_by_role("heading", name="What holds now")).to_be_visible()
    apply(second)
    said = second.get_by_role("region", name="What the check says")
    expect(said).to_contain_text("Your text is still here")
    expect(said).to_contain_text("ada")
    assert ["409" in error for error in late.errors] == [True]  # as browsers log it
    late.errors.clear()
    assert confidence(second) == "require_confidence: 0.32"
    second.get_by_role("button", name="Check", exact=True).click()
    expect(said).to_contain_text("Meanwhile ada")
    expect(said).to_contain_text("0.31 → 0.32")
    apply(second)
    expect(second.get_by_role("heading", name="What holds now")).to_be_visible()
    assert confidence(second) == "require_confidence: 0.32"


def test_who_only_looks_sees_no_buttons(visit: Visit) -> None:
    page = visit("vera").open("/policy")
    expect(page.get_by_role("heading", name="What holds now")).to_be_visible()
    assert page.get_by_role("button").count() == 0
    assert page.locator("textarea").count() == 0
