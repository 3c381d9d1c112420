"""`/login`, `/logout` and `/me`: who gets in, for how long, and what the browser keeps."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from framegate.adapters.passwords import Argon2Passwords
from framegate.dashboard import hashing
from framegate.dashboard.places import local_place
from framegate.dashboard.signin import FAILURES_OF_ADDRESS, FAILURES_OF_NAME
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.people import IDLE, LASTS, Role
from framegate.ports.people import Person
from tests.contracts.examples import new_image
from tests.support.pictures import jpeg
from tests.unit.ingest.fakes import HALL, OTHER_HALL

from .fakes import PASSWORD, PeopleBox, cheap

pytestmark = pytest.mark.anyio
WRONG = "The name or the password is wrong."


class CountingPasswords:
    """Cheap, and tells how often a password was compared."""

    def __init__(self) -> None:
        self.compared: list[str] = []

    def hash(self, password: str) -> str:
        return cheap().hash(password)

    def verify(self, password: str, password_hash: str) -> tuple[bool, str | None]:
        self.compared.append(password)
        return cheap().verify(password, password_hash)


async def test_whoever_knows_the_password_is_let_in_and_sees_who_they_are(box: PeopleBox) -> None:
    box.add_person("anna", Role.REVIEWER, HALL, OTHER_HALL)
    async with box.browser(**{"User-Agent": "Browser/1"}) as browser:
        answer = await browser.log_in()
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        page = await browser.get("/me")
    assert page.status_code == 200
    for text in (
        "<h1>anna</h1>",
        f"<td>{HALL}</td><td>reviewer</td>",
        f"<td>{OTHER_HALL}</td>",
        "Browser/1",
        "192.0.2.1",
    ):
        assert text in page.text


async def test_a_name_may_be_typed_in_capitals_and_with_spaces_around(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser() as browser:
        assert (await browser.log_in(" Anna ")).status_code == 303


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("anna", "ten crates of lemons"),
        ("anna", ""),
        ("anna", PASSWORD.upper()),
        ("anna", PASSWORD + "x" * 10_000),
        ("nobody", PASSWORD),
        ("invited", PASSWORD),
        ("disabled", PASSWORD),
        ("", ""),
        ("<script>", PASSWORD),
        ("x" * 5000, PASSWORD),
        ("anna\0", PASSWORD),
    ],
)
async def test_everybody_else_gets_one_and_the_same_answer_after_one_comparison(
    tmp_path: Path, name: str, password: str
) -> None:
    passwords = CountingPasswords()
    box = PeopleBox(tmp_path, passwords=passwords)
    box.add_person()
    box.add_person("disabled")
    box.store.people.disable("disabled", box.clock.now(), "lead")
    box.store.people.add_person(Person("invited", {HALL: Role.ADMIN}, box.clock.now()), "lead")
    async with box.browser() as browser:
        answer = await browser.log_in(name, password)
        assert browser.token is None
    box.close()
    assert answer.status_code == 403
    assert WRONG in answer.text
    assert "<script>" not in answer.text
    assert len(passwords.compared) == 1


async def test_a_password_whose_hash_is_weaker_than_todays_is_hashed_anew_when_it_is_next_used(tmp_path: Path) -> None:
    box = PeopleBox(tmp_path, passwords=Argon2Passwords(memory_kib=16, passes=1, lanes=1))
    box.add_person()
    async with box.browser() as browser:
        assert (await browser.log_in()).status_code == 303
        after = box.store.people.find_person("anna")
        assert after is not None
        assert "m=16," in (after.password_hash or "")
        assert (await browser.get("/me")).status_code == 200  # the login did not end with it
    async with box.browser() as another:
        assert (await another.log_in()).status_code == 303
    box.close()
    assert box.store.people.find_person("anna") == after


# --- the cookie ------------------------------------------------------------------------------------------------------


async def test_the_cookie_is_for_https_for_this_host_and_for_no_script(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser() as browser:
        answer = await browser.log_in()
    login, form = answer.headers.get_list("set-cookie")
    name, *flags = login.split("; ")
    assert name.startswith("__Host-framegate=")
    assert {flag.lower() for flag in flags} == {"httponly", "path=/", "samesite=lax", "secure"}
    assert form.startswith("__Host-framegate-form=")
    assert "Max-Age=0" in form


@pytest.mark.parametrize(
    ("public_url", "secure"),
    [
        ("http://127.0.0.1:8080", False),
        ("http://localhost:8080", False),
        ("http://[::1]:8080", False),
        ("http://192.0.2.7:8080", True),
        ("http://localhost.example", True),
        ("https://127.0.0.1", True),
        ("https://inspect.example", True),
    ],
)
def test_only_on_this_very_machine_a_cookie_may_go_over_http(tmp_path: Path, public_url: str, secure: bool) -> None:
    box = PeopleBox(tmp_path, public_url=public_url)
    box.close()
    cookies = box.pages.state.cookies
    assert (cookies.secure, cookies.cookie.startswith("__Host-")) == (secure, secure)


async def test_on_loopback_the_cookie_works_over_http_and_nothing_asks_for_https(tmp_path: Path) -> None:
    box = PeopleBox(tmp_path, public_url="http://127.0.0.1:8080")
    box.add_person()
    async with box.browser() as browser:
        answer = await browser.log_in()
        assert "secure" not in answer.headers["set-cookie"].lower()
        page = await browser.get("/me")
    box.close()
    assert page.status_code == 200
    assert "strict-transport-security" not in page.headers


async def test_what_is_stored_of_a_login_is_not_what_the_browser_has(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser() as browser:
        await browser.log_in()
        token = browser.token
    assert token is not None
    assert len(token) == 43
    assert token not in repr(vars(box.store.people))


# --- fixation --------------------------------------------------------------------------------------------------------


async def test_a_login_gets_a_new_token_whatever_the_browser_was_given_before(box: PeopleBox) -> None:
    box.add_person()
    planted = "a" * 43
    async with box.browser() as browser:
        browser.http.cookies.set("__Host-framegate", planted, domain="inspect.example")
        await browser.log_in()
        assert browser.token not in (None, planted)
    async with box.browser() as stranger:
        stranger.http.cookies.set("__Host-framegate", planted, domain="inspect.example")
        assert (await stranger.get("/me")).status_code == 303


async def test_logging_in_again_ends_the_login_that_the_browser_had(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser() as browser:
        token = await browser.csrf("/login")
        form = {"csrf": token, "name": "anna", "password": PASSWORD}
        kept = browser.form_cookie or ""
        await browser.http.post("/login", data=form)
        first = browser.token
        browser.http.cookies.set("__Host-framegate-form", kept, domain="inspect.example")
        assert (await browser.http.post("/login", data=form)).status_code == 303
        assert browser.token not in (None, first)
    assert len(box.store.people.logins("anna")) == 1


async def test_the_secret_of_the_login_form_is_no_login(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser() as browser:
        await browser.get("/login")
        before = browser.form_cookie
        await browser.log_in()
        assert before != browser.token
        assert browser.form_cookie is None


# --- how long --------------------------------------------------------------------------------------------------------


async def test_a_login_ends_when_nobody_uses_it(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser() as browser:
        await browser.log_in()
        for _ in range(3):
            box.clock.advance(IDLE.total_seconds() - 1)
            assert (await browser.get("/me")).status_code == 200
        box.clock.advance(IDLE.total_seconds())
        assert (await browser.get("/me")).status_code == 303


async def test_a_login_ends_after_half_a_day_however_busy_it_is(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser() as browser:
        await browser.log_in()
        steps = int(LASTS / timedelta(minutes=20))
        for _ in range(steps - 1):
            box.clock.advance(1200)
            assert (await browser.get("/me")).status_code == 200
        box.clock.advance(1200)
        assert (await browser.get("/me")).status_code == 303


@pytest.mark.parametrize("event", ["disabled", "role", "password"])
async def test_a_login_ends_at_once_when_the_person_changes(box: PeopleBox, event: str) -> None:
    box.add_person()
    async with box.browser() as browser:
        await browser.log_in()
        if event == "disabled":
            box.store.people.disable("anna", box.clock.now(), "lead")
        elif event == "role":
            box.store.people.set_role("anna", HALL, Role.VIEWER, "lead")
        else:
            box.store.people.set_password("anna", "hash", "lead")
        assert (await browser.get("/me")).headers["location"] == "/login?next=%2Fme"


async def test_logging_out_ends_the_login_and_not_only_the_cookie(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser() as browser:
        await browser.log_in()
        token = browser.token or ""
        answer = await browser.submit("/me", "/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert answer.headers["clear-site-data"] == '"cache", "storage"'
        assert browser.token is None
        browser.http.cookies.set("__Host-framegate", token, domain="inspect.example")
        assert (await browser.get("/me")).status_code == 303


async def test_a_person_ends_their_own_logins_and_nobody_elses(box: PeopleBox) -> None:
    box.add_person("anna")
    box.add_person("ben")
    async with box.browser() as here, box.browser() as there, box.browser() as third, box.browser() as bens:
        for browser in (here, there, third):
            await browser.log_in("anna")
            box.clock.advance(1)
        await bens.log_in("ben")
        (of_ben,) = box.store.people.logins("ben")
        assert (await here.submit("/me", f"/me/logins/{of_ben.login_id}/end")).status_code == 404
        assert (await here.submit("/me", "/me/logins/nonsense/end")).status_code == 404
        oldest = box.store.people.logins("anna")[-1]
        assert (await third.submit("/me", f"/me/logins/{oldest.login_id}/end")).status_code == 303
        assert len(box.store.people.logins("anna")) == 2
        assert (await here.get("/me")).status_code == 303
        assert (await there.submit("/me", "/me/logins/end-others")).status_code == 303
        assert (await third.get("/me")).status_code == 303
        assert (await there.get("/me")).status_code == 200
        assert (await bens.get("/me")).status_code == 200


# --- where to --------------------------------------------------------------------------------------------------------


async def test_whoever_is_not_logged_in_is_led_back_afterwards_to_what_they_wanted_to_read(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser() as browser:
        answer = await browser.get("/me")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fme")
        page = await browser.get("/login?next=%2Fv1%2Fimages%3Flimit%3D5")
        assert 'value="/v1/images?limit=5"' in page.text
        after = await browser.log_in(next="/v1/images?limit=5")
        assert after.headers["location"] == "/v1/images?limit=5"
        assert (await browser.get("/login?next=/docs")).headers["location"] == "/docs"


ELSEWHERE = [
    "https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\/evil.example", "/\t/evil.example",
    "/\n/evil.example", "javascript:alert(1)", "evil.example", "", "/me\r\nSet-Cookie: a=b", "/ /evil", "/é",
    "http:/evil.example", "/a\\b", "\x00/me", "/" + "a" * 2000,
]  # fmt: skip


@pytest.mark.parametrize("place", ELSEWHERE)
async def test_nobody_is_led_elsewhere(box: PeopleBox, place: str) -> None:
    assert local_place(place) == "/"
    box.add_person()
    async with box.browser() as browser:
        page = await browser.get(f"/login?next={quote(place, safe='')}")
        assert 'name="next" value="/"' in page.text
        assert (await browser.log_in(next=place)).headers["location"] == "/"


@pytest.mark.parametrize("place", ["/", "/me", "/v1/images?limit=5&state=decided", "/a/b#c", "/%2F%2Fevil"])
def test_a_path_of_this_host_is_kept(place: str) -> None:
    assert local_place(place) == place


# --- too many --------------------------------------------------------------------------------------------------------


async def test_guessing_at_a_name_ends_after_ten_times_even_with_the_right_password(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser() as guesser, box.browser("198.51.100.9") as owner:
        for _ in range(FAILURES_OF_NAME):
            assert (await guesser.log_in(password="wrong")).status_code == 403
        answer = await guesser.log_in()
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "300")
        assert answer.headers["content-type"].startswith("text/html")
        # The person is not locked out by it.
        assert (await owner.log_in()).status_code == 303
        box.clock.advance(300)
        assert (await guesser.log_in()).status_code == 303


async def test_guessing_at_many_names_ends_too(box: PeopleBox) -> None:
    async with box.browser() as guesser:
        for number in range(FAILURES_OF_ADDRESS):
            assert (await guesser.log_in(f"person-{number}", "wrong")).status_code == 403
        assert (await guesser.log_in("another", "wrong")).status_code == 429


async def test_the_addresses_of_one_ipv6_network_count_as_one(box: PeopleBox) -> None:
    async with (
        box.browser("2001:db8::1") as one,
        box.browser("2001:db8::2") as two,
        box.browser("2001:db8:0:1::1") as far,
    ):
        for browser in [one, two] * (FAILURES_OF_NAME // 2):
            assert (await browser.log_in(password="wrong")).status_code == 403
        assert (await two.log_in(password="wrong")).status_code == 429
        assert (await far.log_in(password="wrong")).status_code == 403


async def test_logging_in_counts_as_no_failure(box: PeopleBox) -> None:
    box.add_person()
    for _ in range(FAILURES_OF_ADDRESS + 1):
        async with box.browser() as browser:
            assert (await browser.log_in()).status_code == 303


async def test_more_passwords_at_once_than_memory_allows_are_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "MOST", 0)
    box = PeopleBox(tmp_path)
    async with box.browser() as browser:
        answer = await browser.log_in()
    box.close()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_logins_failures_and_originals_that_a_person_fetches_are_in_the_audit(box: PeopleBox) -> None:
    box.add_person()
    image = new_image(jpeg(1), facility=HALL)
    box.memory_blobs.put(image.blob_key, jpeg(1))
    box.store.intake.accept([image])
    before = len(box.store.state.audit)
    async with box.browser() as browser:
        await browser.log_in(password="ten crates of lemons")
        await browser.log_in(password="eleven crates of lemons")
        await browser.log_in()
        for _ in range(3):
            assert (await browser.get(f"/v1/images/{image.image_id}/content")).status_code == 200
        box.clock.advance(timedelta(minutes=25).total_seconds())
        assert (await browser.get(f"/v1/images/{image.image_id}")).status_code == 200
        box.clock.advance(timedelta(minutes=25).total_seconds())
        assert (await browser.get(f"/v1/images/{image.image_id}")).status_code == 200
        box.clock.advance(timedelta(minutes=20).total_seconds())
        assert (await browser.get(f"/v1/images/{image.image_id}/content")).status_code == 200
        await browser.submit("/me", "/logout")
    async with box.client() as client:
        assert (await client.get(f"/v1/images/{image.image_id}/content")).status_code == 200
    told = [(entry.actor, entry.action, entry.object) for entry in box.store.state.audit[before:]]
    seen = ("anna", "image.viewed", str(image.image_id))
    assert told == [
        ("framegate", "login.failed", "anna"),
        ("anna", "login.opened", "anna"),
        seen,
        seen,
        ("anna", "login.ended", "anna"),
    ]


async def test_nobody_sees_an_original_that_cannot_be_audited(box: PeopleBox, monkeypatch: pytest.MonkeyPatch) -> None:
    box.add_person()
    image = new_image(jpeg(1), facility=HALL)
    box.memory_blobs.put(image.blob_key, jpeg(1))
    box.store.intake.accept([image])

    def fail(*_: object) -> None:
        raise DependencyUnavailable("away")

    async with box.browser() as browser:
        await browser.log_in()
        monkeypatch.setattr(box.store.audit, "add_once", fail)
        assert (await browser.get(f"/v1/images/{image.image_id}/content")).status_code == 503
