"""Searching images, and taking what is found as a file."""

import contextlib
import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

import anyio
import pytest
from httpx import Response
from starlette.requests import ClientDisconnect

from framegate.dashboard import exporting
from framegate.dashboard.exporting import cell
from framegate.kernel.errors import TooBroad
from framegate.kernel.ids import CameraId, ImageId
from framegate.kernel.people import Role
from framegate.kernel.reviews import Choice, Decision
from framegate.kernel.states import Verdict
from framegate.ports.store import ImageFilter, ImageRecord
from tests.support.values import inspected
from tests.unit.ingest.fakes import HALL, OTHER_HALL
from tests.unit.ingest.test_reading import add

from .fakes import PeopleBox
from .test_inspection import HOSTILE, decide, end, outcome, words

pytestmark = pytest.mark.anyio

_LINK = re.compile(r'href="/inspections/([0-9a-f-]{36})"')


@pytest.fixture
def people(box: PeopleBox) -> PeopleBox:
    box.add_person("anna", Role.VIEWER)
    return box


async def ask(box: PeopleBox, path: str = "", **query: str) -> Response:
    async with box.browser() as browser:
        await browser.log_in()
        return await browser.get(path or f"/inspections?{urlencode(query)}")


async def found(box: PeopleBox, **query: str) -> list[str]:
    answer = await ask(box, **query)
    assert answer.status_code == 200, answer.text
    return _LINK.findall(answer.text)


def some(box: PeopleBox) -> dict[str, ImageId]:
    """Images that differ in what can be searched for."""
    ids = {
        "failed": add(box, camera=CameraId("dock-1"), metadata={"shipment": "S-1", "dock": "d"}),
        "passed": add(box, camera=CameraId("dock-1"), metadata={"sscc": "34", "meta.line": "a b"}),
        "overruled": add(box, camera=CameraId("dock-2")),
        "waiting": add(box, camera=CameraId("dock-2")),
    }
    end(box, ids["failed"], outcome(), inspected(hole=0.91))
    end(box, ids["passed"], outcome(Verdict.PASS, "clear"), inspected(hole=0.2))
    end(box, ids["overruled"], outcome(Verdict.REVIEW, "uncertain"), inspected(dent=0.5))
    decide(box, ids["overruled"], Decision(Choice.FAIL, "dent"))
    return ids


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["waiting", "overruled", "passed", "failed"]),
        ({"camera": "dock-1"}, ["passed", "failed"]),
        ({"effective": "fail"}, ["overruled", "failed"]),
        ({"verdict": "fail"}, ["failed"]),
        ({"state": "received"}, ["waiting"]),
        ({"reason": "uncertain"}, ["overruled"]),
        ({"reviewed": "yes"}, ["overruled"]),
        ({"detected": "hole", "min_confidence": "0.5"}, ["failed"]),
        ({"detected": "hole", "max_confidence": "0.5"}, ["passed"]),
        ({"model": "carton@1", "camera": "dock-2"}, ["overruled"]),
        ({"shipment": "S-1"}, ["failed"]),
        ({"sscc": "34"}, ["passed"]),
        ({"key": "meta.line", "value": "a b"}, ["passed"]),
        ({"key": "dock", "value": "d"}, ["failed"]),
        ({"camera": "", "effective": "", "since": ""}, ["waiting", "overruled", "passed", "failed"]),
    ],
)
async def test_all_given_conditions_hold_and_the_newest_comes_first(
    people: PeopleBox, query: dict[str, str], names: Sequence[str]
) -> None:
    ids = some(people)
    assert await found(people, **query) == [str(ids[name]) for name in names]


async def test_moments_without_an_offset_are_utc(people: PeopleBox) -> None:
    before = people.clock.now()
    image_id = str(add(people))
    text = f"{before:%Y-%m-%dT%H:%M:%S}"
    assert await found(people, since=text) == [image_id]
    assert await found(people, until=text) == []
    assert await found(people, since=f"{before + timedelta(hours=2):%Y-%m-%dT%H:%M:%S}+02:00") == [image_id]


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"since": "0001-01-01T00:00+01:00"},
        {"min_confidence": "2"},
        {"camera": "a b"},
        {"colour": "red"},
        {"key": "dock", "value": "a\0"},
        {"cursor": "x"},
    ],
)
async def test_what_cannot_be_searched_for_is_refused_with_a_page(people: PeopleBox, query: dict[str, str]) -> None:
    answer = await ask(people, **query)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"].startswith("text/html")


async def test_pages_hold_every_image_once_in_both_directions_and_keep_the_search(
    people: PeopleBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framegate.dashboard.inspections._ITEMS", 3)
    ids = [str(add(people, camera=CameraId("dock-1"))) for _ in range(7)][::-1]
    pages, path = [], "/inspections?camera=dock-1&as=table"
    while path:
        answer = await ask(people, path)
        pages.append(_LINK.findall(answer.text))
        link = re.search(r'rel="next" href="([^"]+)"', answer.text)
        path, back = unescape(link[1]) if link else "", re.search(r'rel="prev" href="([^"]+)"', answer.text)
    assert [one for each in pages for one in each] == ids
    assert back is not None
    assert "camera=dock-1" in back[1]
    assert _LINK.findall((await ask(people, unescape(back[1]))).text) == ids[3:6]


async def test_a_cursor_of_another_search_is_refused(people: PeopleBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framegate.dashboard.inspections._ITEMS", 1)
    for _ in range(2):
        add(people)
    link = re.search(r"cursor=([^\"&]+)", (await ask(people, "/inspections")).text)
    assert link is not None
    assert (await ask(people, f"/inspections?camera=dock-7&cursor={link[1]}")).status_code == 400


async def test_conditions_are_chips_that_can_be_removed(people: PeopleBox) -> None:
    html = (await ask(people, camera="dock-9", effective="fail", key="dock", value=HOSTILE)).text
    assert "Nothing found. Widen the time" in html
    assert (
        f'href="/inspections?effective=fail&amp;{urlencode({"key": "dock", "value": HOSTILE})}"'.replace(
            "&key", "&amp;key"
        ).replace("&value", "&amp;value")
        in html
    )
    assert 'href="/inspections?camera=dock-9&amp;effective=fail"' in html
    assert HOSTILE not in html


async def test_a_search_that_takes_too_long_says_what_to_do(people: PeopleBox, monkeypatch: pytest.MonkeyPatch) -> None:
    def images(where: ImageFilter, limit: int) -> list[ImageRecord]:
        raise TooBroad

    monkeypatch.setattr(people.store.results, "images", images)
    answer = await ask(people, detected="hole")
    assert answer.status_code == 200
    assert "Narrow the time" in words(answer.text)


async def test_as_pictures_only_decided_ones_have_one(people: PeopleBox) -> None:
    ids = some(people)
    html = (await ask(people, **{"as": "pictures"})).text
    shown = re.findall(r"/v1/images/([0-9a-f-]{36})/content\?preview=small", html)
    assert shown == [str(ids[name]) for name in ("overruled", "passed", "failed")]


async def test_nothing_of_another_facility_is_found_or_exported(people: PeopleBox) -> None:
    add(people, facility=OTHER_HALL, metadata={"shipment": "S-1"})
    assert await found(people, shipment="S-1") == []
    assert (await ask(people, "/inspections/export?format=json")).text == ""
    assert (await ask(people, facility=OTHER_HALL)).status_code == 404
    assert (await ask(people, f"/inspections/export?facility={OTHER_HALL}")).status_code == 404


async def test_the_csv_has_a_header_and_a_row_for_each_image_that_was_found(people: PeopleBox) -> None:
    ids = some(people)
    answer = await ask(people, "/inspections/export?format=csv&camera=dock-1")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="inspections-\d{8}-\d{6}\.csv"', answer.headers["content-disposition"])
    assert answer.text.count("\r\n") == 3
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["id"] for row in rows] == [str(ids["passed"]), str(ids["failed"])]
    assert (rows[1]["verdict"], rows[1]["detections"], rows[1]["shipment"]) == ("fail", "hole 0.91", "S-1")
    assert rows[1]["metadata"] == "dock=d; shipment=S-1"


async def test_json_lines_hold_an_image_each(people: PeopleBox) -> None:
    ids = some(people)
    answer = await ask(people, "/inspections/export?format=json&reviewed=yes")
    assert answer.headers["content-type"] == "application/jsonl; charset=utf-8"
    (row,) = [json.loads(line) for line in answer.text.splitlines()]
    assert (row["id"], row["verdict"], row["effective_verdict"]) == (str(ids["overruled"]), "review", "fail")
    assert row["reviewers"] == ["rita"]
    assert row["detections"] == [{"class": "dent", "confidence": 0.5}]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_run_by_a_spreadsheet(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["dock-1", "", "a=b", None, 3])
def test_other_cells_stay_what_they_are(value: Any) -> None:
    assert cell(value) == ("" if value is None else str(value))


async def test_an_export_asks_for_a_batch_at_a_time_and_has_every_image_once(
    people: PeopleBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_BATCH", 2)
    ids = [str(add(people)) for _ in range(5)][::-1]
    asked: list[int] = []
    images = people.store.results.images

    def counted(where: ImageFilter, limit: int) -> list[ImageRecord]:
        asked.append(limit)
        return images(where, limit)

    monkeypatch.setattr(people.store.results, "images", counted)
    answer = await ask(people, "/inspections/export?format=json")
    assert [json.loads(line)["id"] for line in answer.text.splitlines()] == ids
    assert asked == [2, 2, 2]


async def test_an_export_asks_for_no_more_when_nobody_takes_it(
    people: PeopleBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_BATCH", 1)
    add(people)
    images = people.store.results.images
    asked: list[ImageFilter] = []
    sent: list[Any] = []

    def endless(where: ImageFilter, limit: int) -> list[ImageRecord]:
        asked.append(where)
        return images(replace(where, before=None), limit)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > 3:
            raise OSError("the client went away")

    monkeypatch.setattr(people.store.results, "images", endless)
    async with people.browser() as browser:
        await browser.log_in()
        cookies = "; ".join(f"{name}={value}" for name, value in browser.http.cookies.items())
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
        "scheme": "https", "path": "/inspections/export", "raw_path": b"/inspections/export", "query_string": b"",
        "headers": [(b"host", b"inspect.example"), (b"cookie", cookies.encode())], "client": ("203.0.113.5", 1),
        "server": ("inspect.example", 443), "root_path": "",
    }  # fmt: skip
    with anyio.fail_after(10), contextlib.suppress(OSError, ClientDisconnect):
        await people.app(scope, receive, send)
    assert 2 <= len(asked) <= 4


async def test_who_took_what_is_in_the_audit(people: PeopleBox) -> None:
    some(people)
    await ask(people, "/inspections/export?camera=dock-1")
    entry = people.store.state.audit[-1]
    assert (entry.actor, entry.action, entry.facility) == ("anna", "images.exported", HALL)
    assert entry.body == {"format": "csv", "conditions": {"camera": "dock-1"}}
