"""Nothing is changed for a login unless a page of ours, shown to this very login, sends it."""

from typing import Any

import httpx
import pytest

from framegate.ingest.deps import ApiLimits
from framegate.kernel.people import Role
from tests.unit.ingest.fakes import ApiBox, slug_of
from tests.unit.ingest.test_incidents import opened

from .fakes import PASSWORD, Browser, PeopleBox

pytestmark = pytest.mark.anyio
REFUSED = "The request does not come from a page of Framegate"
FORM = "application/x-www-form-urlencoded"

#: Which token is sent, and whether it will do.
TOKENS = {
    "its own": True,
    "none": False,
    "empty": False,
    "cut": False,
    "of another login": False,
    "of a login form": False,
}
#: What the browser says about where the request comes from, and whether it will do.
ORIGINS: dict[str, tuple[dict[str, str], bool]] = {
    "nothing": ({}, True),
    "same origin": ({"Sec-Fetch-Site": "same-origin", "Origin": "https://inspect.example"}, True),
    "the address bar": ({"Sec-Fetch-Site": "none"}, True),
    "another site": ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, False),
    "a sister site": ({"Sec-Fetch-Site": "same-site", "Origin": "https://x.example"}, False),
    "an old browser here": ({"Origin": "https://inspect.example"}, True),
    "an old browser elsewhere": ({"Origin": "https://evil.example"}, False),
    "an old browser that hides": ({"Origin": "null"}, False),
    "another port": ({"Origin": "https://inspect.example:444"}, False),
    "a look-alike": ({"Origin": "https://inspect.example.evil.example"}, False),
}


async def _token(box: PeopleBox, browser: Browser, which: str) -> str | None:
    own = await browser.csrf("/me")
    if which == "of another login":
        async with box.browser() as another:
            await another.log_in("ben")
            return await another.csrf("/me")
    if which == "of a login form":
        async with box.browser() as another:
            return await another.csrf("/login")
    return {"its own": own, "none": None, "empty": "", "cut": own[:-1]}[which]


@pytest.fixture
def two(box: PeopleBox) -> PeopleBox:
    box.add_person("anna", Role.OPERATOR)
    box.add_person("ben", Role.OPERATOR)
    return box


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("token", TOKENS)
async def test_a_page_acts_for_its_own_token_from_here_only(two: PeopleBox, token: str, origin: str) -> None:
    async with two.browser() as browser:
        await browser.log_in()
        sent = await _token(two, browser, token)
        headers, from_here = ORIGINS[origin]
        answer = await browser.http.post("/logout", data={} if sent is None else {"csrf": sent}, headers=headers)
        allowed = TOKENS[token] and from_here
        if token == "none":
            assert answer.status_code in (403, 415)  # an empty form has no type
        else:
            assert answer.status_code == (303 if allowed else 403)
            assert (REFUSED in answer.text) is not allowed
        assert (len(two.store.people.logins("anna")) == 0) is allowed


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("token", TOKENS)
async def test_the_api_acts_for_a_login_with_its_own_token_from_here_only(
    two: PeopleBox, token: str, origin: str
) -> None:
    incident = opened(two)
    async with two.browser() as browser:
        await browser.log_in()
        sent = await _token(two, browser, token)
        headers, from_here = ORIGINS[origin]
        headers = headers | ({} if sent is None else {"X-CSRF-Token": sent})
        answer = await browser.http.post(f"/v1/incidents/{incident}/acknowledge", headers=headers)
        allowed = TOKENS[token] and from_here
        assert answer.status_code == (200 if allowed else 403)
        if allowed:
            assert answer.json()["acknowledged_by"] == "anna"
        else:
            assert slug_of(answer) == "csrf-token-invalid"
            shown = (await browser.get(f"/v1/incidents/{incident}")).json()
            assert shown["acknowledged_by"] is None


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("token", ["its own", "none", "empty", "cut", "of another form"])
async def test_nobody_is_logged_in_by_a_form_from_elsewhere(two: PeopleBox, token: str, origin: str) -> None:
    async with two.browser() as browser, two.browser() as another:
        own, others = await browser.csrf("/login"), await another.csrf("/login")
        sent = {"its own": own, "none": None, "empty": "", "cut": own[:-1], "of another form": others}[token]
        headers, from_here = ORIGINS[origin]
        form = {"name": "anna", "password": PASSWORD} | ({} if sent is None else {"csrf": sent})
        answer = await browser.http.post("/login", data=form, headers=headers)
        allowed = token == "its own" and from_here
        assert answer.status_code == (303 if allowed else 403)
        assert (browser.token is not None) is allowed


async def test_a_browser_that_keeps_no_cookies_is_told_what_to_do(two: PeopleBox) -> None:
    async with two.browser() as browser:
        token = await browser.csrf("/login")
        browser.http.cookies.clear()
        answer = await browser.http.post("/login", data={"csrf": token, "name": "anna", "password": PASSWORD})
    assert answer.status_code == 403
    assert "allow cookies" in answer.text


async def test_reading_needs_no_token(two: PeopleBox) -> None:
    async with two.browser() as browser:
        await browser.log_in()
        assert (await browser.get("/v1/images")).status_code == 200


async def test_a_token_in_a_form_does_not_do_where_json_is_expected(two: PeopleBox) -> None:
    async with two.browser() as browser:
        await browser.log_in()
        token = await browser.csrf("/me")
        answer = await browser.http.post("/v1/hooks", data={"csrf": token})
    assert slug_of(answer) == "csrf-token-invalid"


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"--x--", "multipart/form-data; boundary=x", 415),
        (b"name=anna", "", 415),
        (b"name=" + b"a" * 17_000, FORM, 413),
        (b"name=%ff", FORM, 400),
        (b"name=\xff", FORM, 400),
        (b"name=a&name=b", FORM, 400),
        (b"&".join(b"f%d=" % i for i in range(100)), FORM, 400),
        (b"", FORM, 403),
    ],
)
async def test_what_no_form_of_ours_sends_is_refused_with_a_page(
    two: PeopleBox, content: bytes, content_type: str, status: int
) -> None:
    async with two.browser() as browser:
        await browser.get("/login")
        answer = await browser.http.post("/login", content=content, headers={"Content-Type": content_type})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


# --- logins and keys at the same addresses ---------------------------------------------------------------------------


async def test_a_key_needs_no_token_and_counts_even_beside_a_cookie(two: PeopleBox) -> None:
    key = two.add_key(scopes=frozenset({"hooks:manage"}))
    async with two.browser() as browser:
        await browser.log_in()
        headers = {"Authorization": f"Bearer {key}"}
        body = {"target": "https://receiver.example/in"}
        assert (await browser.http.post("/v1/hooks", json=body, headers=headers)).status_code == 201
        # The key may not read images, though anna may.
        assert slug_of(await browser.get("/v1/images", headers=headers)) == "insufficient-scope"


async def test_a_key_opens_no_page(two: PeopleBox) -> None:
    async with two.browser(Authorization=f"Bearer {two.key}") as browser:
        answer = await browser.get("/me")
    assert answer.headers["location"] == "/login?next=%2Fme"


async def test_a_login_that_ended_says_so_to_programs_and_is_no_failed_key(two: PeopleBox) -> None:
    async with two.browser() as browser:
        await browser.log_in()
        two.store.people.end_logins("anna")
        for _ in range(20):
            answer = await browser.get("/v1/images")
            assert slug_of(answer) == "unauthenticated"
            assert "/login" in answer.json()["detail"]
            assert "www-authenticate" in answer.headers


async def test_without_people_a_cookie_means_nothing(tmp_path: Any) -> None:
    bare = ApiBox(tmp_path)
    async with bare.client() as client:
        cookies = {"__Host-framegate": "a" * 43}
        client.headers.pop("Authorization")
        client.cookies.update(cookies)
        answer: httpx.Response = await client.get("/v1/images")
    bare.close()
    assert slug_of(answer) == "unauthenticated"


async def test_what_a_person_does_is_known_by_their_name_and_limited_like_a_key(tmp_path: Any) -> None:
    box = PeopleBox(tmp_path, limits=ApiLimits(rate_per_s=3))
    box.add_person("anna", Role.OPERATOR)
    async with box.browser() as browser:
        await browser.log_in()
        headers = {"X-CSRF-Token": await browser.csrf("/me")}
        body = {"target": "https://receiver.example/in"}
        assert (await browser.http.post("/v1/hooks", json=body, headers=headers)).status_code == 201
        assert (await browser.get("/v1/hooks")).status_code == 200
        assert slug_of(await browser.get("/v1/hooks")) == "rate-limited"
    box.close()
    entry = box.store.state.audit[-1]
    assert (entry.action.partition(".")[0], entry.actor) == ("hook", "anna")
