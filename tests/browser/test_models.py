"""What people do with models."""

from playwright.sync_api import expect

from .conftest import Visit


def test_a_model_is_set_beside_the_one_that_decides_and_taken_away_again(visit: Visit) -> None:
    ada = visit("ada")
    page = ada.open("/models/carton@2")
    page.get_by_role("button", name="Let it look on").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("carton@2 sees every image from now on")
    dialog.get_by_role("button", name="Cancel").click()
    assert page.url.endswith("/models/carton@2")
    page.get_by_role("button", name="Let it look on").click()
    page.get_by_role("button", name="Yes, do it").click()
    page.wait_for_url("**/models")
    try:
        # It is on its way at first; nobody touches the page until all workers have it.
        expect(page.locator("#serving .lead")).to_contain_text("carton@2 looks on and decides nothing", timeout=60_000)
        expect(page.locator("#serving")).to_contain_text("All workers use it.", timeout=60_000)
        expect(page.get_by_role("heading", name="The comparison: carton@2 looks on")).to_be_visible()
        ada.assert_accessible()
    finally:
        page.get_by_role("button", name="End the comparison").click()
        page.get_by_role("button", name="Yes, do it").click()
        expect(page.locator("#serving .lead")).to_have_text(
            "carton@1 decides the images of all cameras.", timeout=60_000
        )


def test_a_canary_is_promoted_and_the_model_before_it_brought_back(visit: Visit) -> None:
    page = visit("ada").open("/models/carton@2")
    page.get_by_label("Percent of the cameras").fill("20")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("dialog")).to_contain_text("20 % of the cameras")
    page.get_by_role("button", name="Yes, do it").click()
    page.wait_for_url("**/models")
    serves = page.locator("#serving .lead")
    expect(serves).to_contain_text("carton@2 on trial decides for 20 % of the cameras", timeout=60_000)
    for button, said in (
        ("Let carton@2 decide everything", "carton@2 decides the images of all cameras."),
        ("Go back to carton@1", "carton@1 decides the images of all cameras."),
    ):
        page.get_by_role("button", name=button).click()
        page.get_by_role("button", name="Yes, do it").click()
        expect(serves).to_have_text(said, timeout=60_000)


def test_somebody_answers_for_a_model_that_was_checked(visit: Visit) -> None:
    page = visit("ada").open("/models/carton@4")
    page.get_by_label("What it rests on").fill("seen <b>both</b> docks")
    page.get_by_role("button", name="Approve carton@4").click()
    page.get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_role("cell", name="Approved seen <b>both</b> docks")).to_be_visible()
    expect(page.get_by_role("button", name="Deploy carton@4")).to_be_visible()


def test_who_only_looks_is_offered_nothing(visit: Visit) -> None:
    vera = visit("vera")
    for path in ("/models", "/models/carton@2"):
        page = vera.open(path)
        assert page.locator("form").count() == 0
        assert page.get_by_role("button").count() == 0
