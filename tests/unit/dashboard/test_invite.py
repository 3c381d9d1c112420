"""`/invite/{token}`: how a person gets a password that nobody else ever knew."""

import pytest

from framegate.kernel.people import INVITED_FOR

from .fakes import PASSWORD, PeopleBox, csrf_of

pytestmark = pytest.mark.anyio
NEW = "seven quiet forklifts"


async def test_an_invitation_sets_the_password_which_is_then_asked_for(box: PeopleBox) -> None:
    box.add_person()
    link = box.invite()
    async with box.browser() as browser:
        answer = await browser.submit(link, password=NEW, again=NEW)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert browser.token is None
        assert (await browser.log_in(password=PASSWORD)).status_code == 403
        assert (await browser.log_in(password=NEW)).status_code == 303


async def test_looking_at_an_invitation_does_not_use_it_up_but_accepting_it_does(box: PeopleBox) -> None:
    box.add_person()
    link = box.invite()
    async with box.browser() as browser:
        for _ in range(3):
            assert "<strong>anna</strong>" in (await browser.get(link)).text
        token = await browser.csrf(link)
        form = {"csrf": token, "password": NEW, "again": NEW}
        assert (await browser.http.post(link, data=form)).status_code == 303
        again = await browser.http.post(link, data=form)
        assert again.status_code == 404
        assert "ask for a new one" in again.text
        assert (await browser.get(link)).status_code == 404


@pytest.mark.parametrize(
    ("password", "again", "fault"),
    [
        ("short", "short", "at least 15"),
        ("", "", "at least 15"),
        ("annapassword1234", "annapassword1234", "common words"),
        (NEW, NEW + "s", "not the same"),
        (NEW, "", "not the same"),
    ],
)
async def test_a_password_that_cannot_be_is_refused_with_the_reason_and_the_invitation_holds(
    box: PeopleBox, password: str, again: str, fault: str
) -> None:
    box.add_person()
    link = box.invite()
    async with box.browser() as browser:
        answer = await browser.submit(link, password=password, again=again)
        assert answer.status_code == 422
        assert fault in answer.text
        assert password not in answer.text or password == ""
        assert (await browser.submit(link, password=NEW, again=NEW)).status_code == 303


@pytest.mark.parametrize("change", ["expired", "disabled", "replaced", "foreign", "nonsense"])
async def test_an_invitation_that_does_not_hold_is_absent(box: PeopleBox, change: str) -> None:
    box.add_person()
    link = box.invite()
    async with box.browser() as browser:
        token = csrf_of(await browser.get(link))
        if change == "expired":
            box.clock.advance(INVITED_FOR.total_seconds())
        elif change == "disabled":
            box.store.people.disable("anna", box.clock.now(), "lead")
        elif change == "replaced":
            box.invite()
        elif change == "foreign":
            link = "/invite/" + "a" * 43
        else:
            link = "/invite/x"
        assert (await browser.get(link)).status_code == 404
        answer = await browser.http.post(link, data={"csrf": token, "password": NEW, "again": NEW})
        assert answer.status_code == 404
    found = box.store.people.find_person("anna")
    assert found is not None
    assert box.passwords.verify(PASSWORD, found.password_hash or "")[0]
