"""What admins do with keys."""

from playwright.sync_api import expect

from .conftest import Visit


def test_a_key_of_any_name_can_be_revoked(visit: Visit) -> None:
    page = visit("ada").open("/access?show=keys")
    page.get_by_label("Name").fill("dock {3}")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("button", name="I have it").click()
    row = page.get_by_role("row", name="dock {3}")
    row.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("dialog")).to_contain_text("Revoke the key of dock {3}?")
    page.get_by_role("button", name="Yes, do it").click()
    expect(row).to_contain_text("revoked")
