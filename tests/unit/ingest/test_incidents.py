"""`/v1/incidents`, and the links that open an image without a key."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from framegate.ingest.deps import ApiLimits
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.incidents import RaisedAlert
from framegate.kernel.inspection import Alert
from framegate.kernel.links import VALID, image_link
from tests.contracts.hooks import subscription
from tests.support.pictures import jpeg

from .fakes import HALL, NOW, OTHER_HALL, PEPPER, PUBLIC_URL, ApiBox, slug_of
from .test_content import the_only_id, uploaded
from .test_reading import decide, get

pytestmark = pytest.mark.anyio
REVIEW = frozenset({"reviews:write"})


def opened(
    box: ApiBox, subject: str = "dock/1", facility: FacilityId = HALL, image: ImageId | None = None, **changes: Any
) -> str:
    """The id of a new incident."""
    alert = Alert("damage", "critical", subject, "A carton is dented.", **changes)
    box.store.state.alerts.append(RaisedAlert(uuid4(), facility, image, alert, box.clock.now()))
    before = set(box.store.incidents._incidents)
    box.store.incidents.group(100, box.deps.announce)
    (incident_id,) = set(box.store.incidents._incidents) - before
    return str(incident_id)


async def act(box: ApiBox, incident_id: Any, action: str, **key: Any) -> httpx.Response:
    async with box.client(box.add_key(scopes=REVIEW, **key)) as client:
        return await client.post(f"/v1/incidents/{incident_id}/{action}")


async def ids(box: ApiBox, **params: Any) -> list[str]:
    answer = await get(box, "/v1/incidents", **params)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


# --- looking -----------------------------------------------------------------------------------------------------------


async def test_an_incident_tells_what_happened_and_has_a_link_to_its_last_image(box: ApiBox) -> None:
    image_id = ImageId(uuid4())
    incident_id = opened(box, image=image_id)
    await act(box, incident_id, "acknowledge", name="office")
    answer = await get(box, f"/v1/incidents/{incident_id}")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["id"], body["facility"], body["rule"], body["subject"]) == (incident_id, HALL, "damage", "dock/1")
    assert (body["state"], body["severity"], body["images"]) == ("acknowledged", "critical", 1)
    assert [(e["type"], e["actor"].split(" ")[0]) for e in body["events"]] == [
        ("incident.opened", "framegate"),
        ("incident.acknowledged", "office"),
    ]
    url, expires = image_link(PUBLIC_URL, PEPPER, image_id, NOW)
    assert body["image"] == {
        "id": str(image_id),
        "url": url,
        "preview_url": f"{url}&boxes=1",
        "url_expires_at": expires.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


async def test_an_incident_about_no_image_has_no_link(box: ApiBox) -> None:
    incident_id = opened(box)
    assert (await get(box, f"/v1/incidents/{incident_id}")).json()["image"] is None


async def test_the_list_is_of_those_that_are_not_over_unless_states_are_asked_for(box: ApiBox) -> None:
    first = opened(box, "dock/1")
    box.clock.advance(1)
    second = opened(box, "dock/2")
    box.clock.advance(1)
    third = opened(box, "dock/3")
    await act(box, second, "acknowledge")
    await act(box, third, "resolve")
    assert await ids(box) == [second, first]
    assert await ids(box, limit=1) == [second]
    assert await ids(box, state="resolved") == [third]
    assert await ids(box, state=["open", "resolved"]) == [third, first]
    assert await ids(box, state=["open", "open"]) == [first]


@pytest.mark.parametrize(
    ("params", "slug", "name"),
    [
        ({"state": "closed"}, "invalid-parameter", "state[0]"),
        ({"limit": "0"}, "invalid-parameter", "limit"),
        ({"limit": "201"}, "invalid-parameter", "limit"),
        ({"limit": ["1", "2"]}, "invalid-parameter", "limit"),
        ({"cursor": "x"}, "unknown-parameter", "cursor"),
    ],
)
async def test_a_condition_that_cannot_be_is_named(box: ApiBox, params: Any, slug: str, name: str) -> None:
    answer = await get(box, "/v1/incidents", **params)
    assert (answer.status_code, slug_of(answer)) == (422, slug)
    assert [error["name"] for error in answer.json()["errors"]] == [name]


async def test_the_list_may_be_of_one_facility(box: ApiBox) -> None:
    here, there = opened(box), opened(box, facility=OTHER_HALL)
    assert await ids(box) == [here]
    both = box.add_key(HALL, OTHER_HALL)
    assert {item["id"] for item in (await get(box, "/v1/incidents", both)).json()["items"]} == {here, there}
    one = await get(box, "/v1/incidents", both, facility=OTHER_HALL)
    assert [item["id"] for item in one.json()["items"]] == [there]
    assert slug_of(await get(box, "/v1/incidents", facility=OTHER_HALL)) == "not-found"


# --- acting -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "state", "change"),
    [("acknowledge", "acknowledged", "incident.acknowledged"), ("resolve", "resolved", "incident.resolved")],
)
async def test_who_acted_is_in_the_incident_the_audit_and_what_receivers_hear(
    box: ApiBox, action: str, state: str, change: str
) -> None:
    box.store.endpoints.add_endpoint(subscription(facility=HALL, changes=frozenset({change})), "test")
    incident_id = opened(box)
    answer = await act(box, incident_id, action, name="office")
    assert (answer.status_code, answer.json()["state"]) == (200, state)
    actor = answer.json()[f"{state}_by"]
    assert actor.startswith("office (")
    assert answer.json()[f"{state}_at"] == "2026-11-23T12:00:00.000Z"
    entry = box.store.state.audit[-1]
    assert (entry.action, entry.actor) == (change, actor)
    (delivery,) = box.store.deliveries.claim("w", timedelta(seconds=60), 4, {}, 100)
    payload = json.loads(delivery.message.payload)
    assert (payload["type"], payload["data"]["actor"]) == (change, actor)


async def test_acting_again_changes_nothing_and_nobody_hears_of_it(box: ApiBox) -> None:
    incident_id = opened(box)
    first = await act(box, incident_id, "resolve", name="one")
    for action in ("resolve", "acknowledge"):
        again = await act(box, incident_id, action, name="other")
        assert (again.status_code, again.json()) == (200, first.json())
    assert len(box.store.incidents.events(UUID(incident_id))) == 2


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
async def test_another_facilitys_incident_is_not_found_and_nothing_happens_to_it(box: ApiBox, action: str) -> None:
    theirs = opened(box, facility=OTHER_HALL)
    for incident_id in (theirs, str(uuid4()), "1", "%00"):
        assert slug_of(await act(box, incident_id, action)) == "not-found"
        assert slug_of(await get(box, f"/v1/incidents/{incident_id}")) == "not-found"
    assert len(box.store.incidents.events(UUID(theirs))) == 1


ONE = "/v1/incidents/0193e2a4-7c1b-7f3a-9d5e-2b1c0a998877"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/incidents", "results:read"),
        ("GET", ONE, "results:read"),
        ("POST", f"{ONE}/acknowledge", "reviews:write"),
        ("POST", f"{ONE}/resolve", "reviews:write"),
    ],
)
async def test_reading_and_acting_need_a_scope_each(box: ApiBox, method: str, path: str, scope: str) -> None:
    every = {"images:write", "results:read", "reviews:write", "hooks:manage", "models:manage", "audit:read", "admin"}
    async with box.client(box.add_key(scopes=frozenset(every - {scope}))) as client:
        answer = await client.request(method, path)
        assert (answer.status_code, slug_of(answer)) == (403, "insufficient-scope")
    async with box.client(box.add_key(scopes=frozenset({scope}))) as client:
        assert (await client.request(method, path)).status_code in (200, 404)
        answer = await client.request(method, path, headers={"Authorization": ""})
        assert (answer.status_code, slug_of(answer)) == (401, "unauthenticated")


# --- links --------------------------------------------------------------------------------------------------------------


async def follow(box: ApiBox, url: str, **params: Any) -> httpx.Response:
    """Without a key, as from a message."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | params
    query = {name: value for name, value in query.items() if value is not None}
    async with box.client() as client:
        del client.headers["Authorization"]
        return await client.get(parts.path, params=query)


async def linked(box: ApiBox) -> str:
    await uploaded(box, jpeg(1, 640, 480))
    return image_link(PUBLIC_URL, PEPPER, the_only_id(box), box.clock.now())[0]


async def test_a_link_opens_the_original_without_a_key_and_leaves_no_trace(box: ApiBox) -> None:
    url = await linked(box)
    answer = await follow(box, url)
    assert (answer.status_code, answer.content) == (200, jpeg(1, 640, 480))
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_a_link_opens_the_picture_with_boxes_too(box: ApiBox) -> None:
    url = await linked(box)
    assert slug_of(await follow(box, url, boxes="1")) == "preview-unavailable"
    decide(box, the_only_id(box), dent=0.9)
    answer = await follow(box, url, boxes="1")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert (await follow(box, url, preview="small")).headers["cache-control"] == "no-store"


async def test_the_link_of_an_incident_opens_its_image(box: ApiBox) -> None:
    await uploaded(box, jpeg(1))
    incident_id = opened(box, image=the_only_id(box))
    url = (await get(box, f"/v1/incidents/{incident_id}")).json()["image"]["url"]
    assert (await follow(box, url)).content == jpeg(1)


async def test_a_link_holds_until_it_expires_and_then_says_how_to_get_another(box: ApiBox) -> None:
    url = await linked(box)
    box.clock.advance(VALID.total_seconds() - 1)
    assert (await follow(box, url)).status_code == 200
    box.clock.advance(1)
    answer = await follow(box, url)
    assert (answer.status_code, slug_of(answer)) == (403, "link-expired")
    assert "/v1/incidents/" in answer.json()["detail"]
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "changes",
    [
        {"expires": "1999999999"},
        {"expires": "999999999999"},
        {"expires": "9" * 13},
        {"expires": "9" * 5_000},
        {"expires": "-1"},
        {"expires": "1e12"},
        {"expires": "1796212800.0"},
        {"expires": ""},
        {"expires": "١٧٩٦٢١٢٨٠٠"},
        {"expires": None},
        {"signature": "0" * 64},
        {"signature": "é" * 64},
        {"signature": ""},
        {"signature": None},
    ],
)
async def test_a_link_that_was_changed_opens_nothing(box: ApiBox, changes: dict[str, Any]) -> None:
    url = await linked(box)
    answer = await follow(box, url, **changes)
    assert (answer.status_code, slug_of(answer)) == (403, "link-invalid")


async def test_a_link_with_one_digit_changed_or_in_capitals_opens_nothing(box: ApiBox) -> None:
    url = await linked(box)
    (signature,) = parse_qs(urlsplit(url).query)["signature"]
    last = "0" if signature[-1] != "0" else "1"
    for changed in (signature[:-1] + last, signature.upper(), signature[:-1], signature + "0"):
        assert slug_of(await follow(box, url, signature=changed)) == "link-invalid"


async def test_a_link_opens_no_other_image(box: ApiBox) -> None:
    url = await linked(box)
    async with box.client() as client:
        other = await client.post("/v1/images?camera=c", content=jpeg(2), headers={"Content-Type": "image/jpeg"})
    swapped = url.replace(urlsplit(url).path.split("/")[3], other.json()["id"])
    assert slug_of(await follow(box, swapped)) == "link-invalid"
    assert slug_of(await follow(box, url.replace(urlsplit(url).path.split("/")[3], "1"))) == "not-found"


async def test_a_link_that_another_installation_made_opens_nothing(box: ApiBox) -> None:
    await linked(box)
    url, _ = image_link(PUBLIC_URL, b"another pepper", the_only_id(box), NOW)
    assert slug_of(await follow(box, url)) == "link-invalid"


async def test_a_link_may_be_written_with_the_id_in_another_form_of_itself_only(box: ApiBox) -> None:
    url = await linked(box)
    image_id = urlsplit(url).path.split("/")[3]
    assert (await follow(box, url.replace(image_id, image_id.upper()))).content == jpeg(1, 640, 480)


async def test_a_link_to_an_image_that_is_not_there_is_not_found(box: ApiBox) -> None:
    url, _ = image_link(PUBLIC_URL, PEPPER, ImageId(uuid4()), NOW)
    assert slug_of(await follow(box, url)) == "not-found"


async def test_the_link_decides_also_where_a_key_is_sent(box: ApiBox) -> None:
    url = await linked(box)
    parts = urlsplit(url)
    foreign = box.add_key(OTHER_HALL)
    async with box.client(foreign) as client:
        assert (await client.get(f"{parts.path}?{parts.query}")).status_code == 200
        assert slug_of(await client.get(parts.path)) == "not-found"
    async with box.client() as client:
        assert slug_of(await client.get(f"{parts.path}?{parts.query}0")) == "link-invalid"
        assert (await client.get(parts.path)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/images/{id}"),
        ("GET", "/v1/images"),
        ("GET", "/v1/outcomes"),
        ("GET", "/v1/incidents/{id}"),
        ("GET", "/v1/hooks/{id}"),
        ("POST", "/v1/incidents/{id}/resolve"),
        ("DELETE", "/v1/hooks/{id}"),
    ],
)
async def test_a_link_opens_no_other_address(box: ApiBox, method: str, path: str) -> None:
    parts = urlsplit(await linked(box))
    image_id = parts.path.split("/")[3]
    async with box.client() as client:
        del client.headers["Authorization"]
        answer = await client.request(method, f"{path.format(id=image_id)}?{parts.query}")
    assert slug_of(answer) in ("unauthenticated", "unknown-parameter")


async def test_a_link_is_limited_like_a_key(tmp_path: Any) -> None:
    box = ApiBox(tmp_path, limits=ApiLimits(rate_per_s=2))
    try:
        url = await linked(box)
        answers = [await follow(box, url) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert slug_of(answers[2]) == "rate-limited"
    finally:
        box.close()
