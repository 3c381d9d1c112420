"""What every page tells the browser, and what of images it may keep and interpret."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from framegate.dashboard import assets
from framegate.kernel.people import Role
from tests.support.pictures import jpeg
from tests.unit.ingest.test_content import the_only_id, uploaded
from tests.unit.ingest.test_reading import decide

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio
POLICY = {
    "default-src": "'none'", "style-src": "'self'", "img-src": "'self'", "form-action": "'self'", "base-uri": "'none'",
    "frame-ancestors": "'none'",
}  # fmt: skip
#: Of those who are logged in, where modules of this origin run.
WITH_SCRIPTS = POLICY | {"img-src": "'self' blob:", "script-src": "'self'", "connect-src": "'self'"}


@pytest.mark.parametrize("page", ["/login", "/me", "/invite/nonsense", "a problem", "a redirect"])
async def test_every_answer_to_people_has_the_headers(box: PeopleBox, page: str) -> None:
    box.add_person()
    async with box.browser() as browser:
        if page == "/me":
            await browser.log_in()
        if page == "a problem":
            answer = await browser.http.post("/login", content=b"")
        else:
            answer = await browser.get("/me" if page == "a redirect" else page)
    headers = answer.headers
    assert dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")) == (
        WITH_SCRIPTS if page == "/me" else POLICY
    )
    for name, value in {
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
        "strict-transport-security": "max-age=31536000",
    }.items():
        assert headers.get_list(name) == [value]
    assert "camera=()" in headers["permissions-policy"]


async def test_the_manual_has_them_too_and_only_the_style_that_it_brings(box: PeopleBox) -> None:
    async with box.browser() as browser:
        answer = await browser.get("/docs")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in answer.headers["content-security-policy"]
    assert answer.headers.get_list("referrer-policy") == ["same-origin"]
    assert "<script" not in answer.text


async def test_over_http_nothing_is_promised_about_https(tmp_path: Path) -> None:
    for public_url in ("http://127.0.0.1:8080", "http://192.0.2.7"):
        box = PeopleBox(tmp_path, public_url=public_url)
        async with box.browser() as browser:
            assert "strict-transport-security" not in (await browser.get("/login")).headers
        box.close()


async def test_pages_have_no_script_and_no_style_of_their_own_which_the_policy_would_stop(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser() as browser:
        pages = [await browser.get("/login"), await browser.get(box.invite()), await browser.get("/invite/x")]
        assert all("<script" not in page.text for page in pages)
        await browser.log_in()
        pages.append(await browser.get("/me"))
    for page in pages:
        assert re.findall(r"<script[^>]*>", page.text) == re.findall(
            r'<script type="module" src="/assets/\w+/\w+\.js">(?=</script>)', page.text
        )
        assert re.search(r"\bstyle=|<style|\bon[a-z]+=|javascript:", page.text) is None
        places = re.findall(r'(?:href|src|action)="([^"]*)"', page.text)
        assert places
        assert all(place.startswith(("/", "#")) for place in places)


async def test_the_assets_are_kept_for_ever_under_an_address_that_changes_with_them(box: PeopleBox) -> None:
    async with box.browser() as browser:
        style = assets.address("framegate.css")
        assert style in (await browser.get("/login")).text
        for name, media_type in {
            "framegate.css": "text/css; charset=utf-8",
            "page.js": "text/javascript; charset=utf-8",
            "framegate.svg": "image/svg+xml",
        }.items():
            answer = await browser.get(assets.address(name))
            assert answer.status_code == 200
            assert answer.headers["content-type"] == media_type
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        for place in (
            "0" * 16 + "/page.js",
            f"{assets.BUILD}/app.py",
            f"{assets.BUILD}/..%2Fapp.py",
            f"{assets.BUILD}/",
        ):
            assert (await browser.get(f"/assets/{place}")).status_code == 404


def test_a_template_that_names_a_file_that_nobody_ships_is_a_fault() -> None:
    with pytest.raises(KeyError):
        assets.address("jquery.js")


async def test_what_people_typed_or_their_browser_says_is_text_on_a_page(box: PeopleBox) -> None:
    box.add_person()
    async with box.browser(**{"User-Agent": "<img src=x onerror=alert(1)>"}) as browser:
        refused = await browser.log_in('"><script>alert(1)</script>', "x")
        assert "<script" not in refused.text
        await browser.log_in()
        page = await browser.get("/me")
    assert "<img" not in page.text
    assert "&lt;img src=x" in page.text


async def test_a_person_sees_pictures_that_were_drawn_here_and_originals_only_as_a_download(box: PeopleBox) -> None:
    box.add_person("anna", Role.VIEWER)
    image_id = await uploaded(box, jpeg(1))
    decide(box, the_only_id(box), dent=0.9)
    async with box.browser() as browser:
        await browser.log_in()
        drawn = await browser.get(f"/v1/images/{image_id}/content?boxes=1")
        original = await browser.get(f"/v1/images/{image_id}/content")
    assert drawn.headers["content-type"] == "image/jpeg"
    assert drawn.content[:2] == b"\xff\xd8"
    assert drawn.content != original.content
    assert original.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in original.headers["content-security-policy"]
    for answer in (drawn, original):
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert drawn.headers["cache-control"] == "private, no-cache"
    assert original.headers["cache-control"] == "no-store"


async def test_a_kept_preview_is_shown_again_only_to_who_may_still_see_it(box: PeopleBox) -> None:
    box.add_person("anna", Role.VIEWER)
    image_id = await uploaded(box, jpeg(1))
    decide(box, the_only_id(box))
    path = f"/v1/images/{image_id}/content?preview=small"
    async with box.browser() as browser:
        await browser.log_in()
        kept = {"If-None-Match": (await browser.get(path)).headers["etag"]}
        assert (await browser.get(path, headers=kept)).status_code == 304
        box.store.people.end_logins("anna")
        assert (await browser.get(path, headers=kept)).status_code == 401
