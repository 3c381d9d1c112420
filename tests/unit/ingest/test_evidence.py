"""The evidence of an outcome in one file."""

import io
import json
import subprocess
import zipfile
from collections.abc import Sequence
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from framegate.ingest.storedzip import Member, stored_size, stored_zip
from framegate.kernel.audit import check_proof
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.ids import ImageId
from framegate.kernel.inspection import Label
from framegate.kernel.reviews import Choice, Decision, Review
from framegate.kernel.rollout import ModelKey
from framegate.kernel.states import Verdict
from tests.contracts.examples import approved, new_image
from tests.support.pictures import jpeg
from tests.support.policies import DOCUMENT

from .fakes import HALL, OTHER_HALL, ApiBox, slug_of
from .test_reading import decide, get

pytestmark = pytest.mark.anyio

HOSTILE = '<script>alert("x")</script>'


def zipped(members: Sequence[Member]) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(stored_zip(members))))


@pytest.mark.parametrize(
    "members", [[], [("a", b"")], [("a.txt", b"one"), ("d/ü.bin", bytes(3 << 20)), ("c", b"\x00" * 7)]]
)
def test_a_stored_zip_is_one_that_others_read_and_as_long_as_it_was_said_to_be(members: list[Member]) -> None:
    assert len(b"".join(stored_zip(members))) == stored_size(members)
    assert b"".join(stored_zip(members)) == b"".join(stored_zip(members))
    with zipped(members) as found:
        assert found.testzip() is None
        assert [(info.filename, found.read(info)) for info in found.infolist()] == members
        assert {info.external_attr >> 16 for info in found.infolist()} <= {0o100644}


def test_a_large_file_is_not_copied_at_once() -> None:
    assert max(map(len, stored_zip([("large", bytes(5 << 20))]))) == 1 << 20


def taken_in(box: ApiBox, data: bytes, **changes: Any) -> ImageId:
    image = new_image(data, facility=HALL, width=320, height=240, size_bytes=len(data), **changes)
    box.memory_blobs.put(image.blob_key, data)
    box.store.intake.accept([image])
    return image.image_id


async def bundle(box: ApiBox, image_id: ImageId) -> dict[str, bytes]:
    answer = await get(box, f"/v1/images/{image_id}/evidence")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="evidence-{image_id}.zip"'
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        return {name: file.read(name) for name in file.namelist()}


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_the_bundle_has_everything_that_the_outcome_rests_on(box: ApiBox) -> None:
    data = jpeg(1)
    approved(box.store.registry, ModelKey("carton@1", "0" * 64))
    box.store.policies.add_policy(HALL, DOCUMENT, "A. Lead")
    image_id = taken_in(box, data, metadata={"shipment": "4711"})
    decide(box, image_id, labels=(Label(0, "wear@1", "crushed", 0.9),), dent=0.9)
    box.store.audit.seal(1000)
    found = await bundle(box, image_id)
    assert list(found) == [
        "index.html", "original.jpg", "annotated.jpg", "record.json", "policy.json", "model.json", "audit.json",
        "MANIFEST.sha256",
    ]  # fmt: skip
    assert found["original.jpg"] == data
    assert Image.open(io.BytesIO(found["annotated.jpg"])).size == (320, 240)
    record = json.loads(found["record.json"])
    assert record == (await get(box, f"/v1/images/{image_id}")).json()
    assert record["prepared"]
    assert json.loads(found["policy.json"])["document"] == DOCUMENT
    assert json.loads(found["policy.json"])["created_by"] == "A. Lead"
    model = json.loads(found["model.json"])
    assert model["inspected_by"] == {"model": "carton@1", "sha256": "0" * 64, "engine": "test engine"}
    assert [(one["ref"], one["registered"]) for one in model["models"]] == [("carton@1", True), ("wear@1", False)]
    assert [step["action"] for step in model["models"][0]["history"]] != []
    text = Page(found["index.html"].decode()).text
    for told in (str(image_id), "dent", "crushed", "4711", "A. Lead", "carton@1", "0" * 64, record["sha256"], "clear"):
        assert told in text


async def test_the_audit_of_the_image_and_of_no_other_is_in_it_and_can_be_computed_again(box: ApiBox) -> None:
    other = taken_in(box, jpeg(2))
    image_id = taken_in(box, jpeg(1))
    decide(box, image_id)
    box.store.audit.seal(1000)
    audit = json.loads((await bundle(box, image_id))["audit.json"])
    actions = [one["entry"]["action"] for one in audit["entries"]]
    assert actions == ["image.accepted", "image.ended", "evidence.exported"]
    assert [check_proof(one) for one in audit["entries"]] == [True, True, False]
    assert audit["entries"][2]["seal"] is None
    assert audit["entries"][2]["entry"]["actor"].startswith("test (")
    assert audit["complete"]
    assert str(other) not in json.dumps(audit)


def sha256sum(directory: Path) -> tuple[int, str]:
    command = ["sha256sum", "--check", "--strict", "MANIFEST.sha256"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout


async def test_the_manifest_checks_every_other_file(box: ApiBox, tmp_path: Path) -> None:
    image_id = taken_in(box, jpeg(1))
    decide(box, image_id)
    found = await bundle(box, image_id)
    for name, data in found.items():
        (tmp_path / name).write_bytes(data)
    code, told = sha256sum(tmp_path)
    assert code == 0
    assert told.splitlines() == [f"{name}: OK" for name in found if name != "MANIFEST.sha256"]
    (tmp_path / "record.json").write_bytes(found["record.json"] + b" ")
    assert sha256sum(tmp_path)[0] == 1


async def test_foreign_text_is_text_in_the_index_and_the_page_asks_nobody(box: ApiBox) -> None:
    box.store.policies.add_policy(HALL, {**DOCUMENT, "note": HOSTILE}, HOSTILE)
    image_id = taken_in(box, jpeg(1), metadata={"shipment": HOSTILE, "x": '"><img src=x onerror=alert(1)>'})
    decide(box, image_id, labels=(Label(None, HOSTILE, HOSTILE, 0.5),), **{HOSTILE: 0.9})
    html = (await bundle(box, image_id))["index.html"].decode()
    page = Page(html)
    assert "<script" not in html.lower()
    assert page.text.count(HOSTILE) >= 5
    assert page.tags.count("img") == 1
    assert [value for name, value in page.attributes if name in ("src", "href", "action")] == ["annotated.jpg"]
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "://" not in html.replace(HOSTILE, "")


async def test_an_original_that_is_gone_keeps_nothing_else_back(box: ApiBox) -> None:
    image_id = taken_in(box, jpeg(1))
    decide(box, image_id)
    box.store.audit.seal(1000)
    box.memory_blobs.delete(box.store.state.images[image_id].new.blob_key)
    found = await bundle(box, image_id)
    assert not {"original.jpg", "annotated.jpg"} & found.keys()
    assert "The original is not stored any more" in found["index.html"].decode()
    assert all(check_proof(one) for one in json.loads(found["audit.json"])["entries"][:2])


async def test_an_original_that_was_erased_is_said_to_be_by_whom_and_why(box: ApiBox) -> None:
    image_id = taken_in(box, jpeg(1), metadata={"order": "of Ms Doe"})
    decide(box, image_id)
    box.store.retention.erase(HALL, image_id, f"asked for {HOSTILE}", "A. Lead")
    found = await bundle(box, image_id)
    assert not {"original.jpg", "annotated.jpg"} & found.keys()
    text = Page(found["index.html"].decode()).text
    at = json.loads(found["record.json"])["erased_at"]
    assert at is not None
    assert f"by A. Lead because: asked for {HOSTILE}" in text
    assert "The original was erased on" in text
    assert "The values were erased on" in text
    assert "not stored any more" not in text
    assert all(b"Ms Doe" not in data for data in found.values())
    assert slug_of(await get(box, f"/v1/images/{image_id}/content")) == "content-gone"


def review(box: ApiBox, image_id: ImageId, decision: Decision, by: str) -> Review:
    reviews = box.store.reviews
    item = reviews.item(frozenset({HALL}), image_id)
    assert item is not None
    shown = box.store.state.images[image_id].facts.sha256
    reviews.lease(frozenset({HALL}), by, 1, timedelta(seconds=60))
    item = reviews.item(frozenset({HALL}), image_id)
    assert item is not None
    done = reviews.decide(frozenset({HALL}), image_id, item.version, shown, decision, by, timedelta(seconds=30))
    assert done is not None
    return done


async def test_what_people_decided_is_told_and_what_they_took_back(box: ApiBox) -> None:
    box.store.state.sample = 1.0
    image_id = taken_in(box, jpeg(1))
    decide(box, image_id)
    before = Page((await bundle(box, image_id))["index.html"].decode()).text
    assert "overturned" not in before
    assert "What people decidedNothing." in before
    first = review(box, image_id, Decision(Choice.PASS, note=HOSTILE), "Ann")
    box.store.reviews.undo(frozenset({HALL}), first.review_id, "Ann", timedelta(seconds=60))
    review(box, image_id, Decision(Choice.FAIL, "dent", note="left corner"), "Ann")
    text = Page((await bundle(box, image_id))["index.html"].decode()).text
    assert "The automatic verdict was overturned: it was pass; Ann decided fail at" in text
    assert "Effective verdictfail" in text
    for told in (HOSTILE, "dent", "left corner"):
        assert told in text
    table = text[text.index("What people decided") : text.index("What came with the image")]
    assert table.count("Ann") == 2
    assert table.count("pass") == 1
    assert table.rstrip().endswith("left cornerno")


async def test_what_was_left_to_people_was_not_overturned(box: ApiBox) -> None:
    image_id = taken_in(box, jpeg(1))
    decide(box, image_id, verdict=Verdict.REVIEW)
    review(box, image_id, Decision(Choice.PASS), "Ann")
    text = Page((await bundle(box, image_id))["index.html"].decode()).text
    assert "The automatic inspection left this image to people; Ann decided pass at" in text


async def test_an_original_that_was_changed_is_said_to_be_and_not_decoded(box: ApiBox) -> None:
    image_id = taken_in(box, jpeg(1))
    decide(box, image_id)
    key = box.store.state.images[image_id].new.blob_key
    box.memory_blobs.delete(key)
    box.memory_blobs.put(key, jpeg(2))
    found = await bundle(box, image_id)
    assert found["original.jpg"] == jpeg(2)
    assert "annotated.jpg" not in found
    assert "NOT the one that was received" in found["index.html"].decode()


async def test_an_image_on_its_way_has_no_verdict_and_no_picture_with_boxes(box: ApiBox) -> None:
    found = await bundle(box, taken_in(box, jpeg(1)))
    assert "annotated.jpg" not in found
    assert json.loads(found["policy.json"]) is None
    assert json.loads(found["record.json"])["verdict"] is None


async def test_there_is_no_evidence_of_others_images_and_nothing_is_audited(box: ApiBox) -> None:
    image = new_image(facility=OTHER_HALL)
    box.store.intake.accept([image])
    before = len(box.store.state.audit)
    assert slug_of(await get(box, f"/v1/images/{image.image_id}/evidence")) == "not-found"
    writer = box.add_key(scopes=frozenset({"images:write"}))
    mine = taken_in(box, jpeg(1))
    assert slug_of(await get(box, f"/v1/images/{mine}/evidence", writer)) == "insufficient-scope"
    exported = [entry for entry in box.store.state.audit[before:] if entry.action == "evidence.exported"]
    assert exported == []


async def test_nobody_gets_evidence_that_cannot_be_audited(box: ApiBox, monkeypatch: pytest.MonkeyPatch) -> None:
    image_id = taken_in(box, jpeg(1))

    def fail(*_: Any) -> None:
        raise DependencyUnavailable("away")

    monkeypatch.setattr(box.store.audit, "add", fail)
    assert slug_of(await get(box, f"/v1/images/{image_id}/evidence")) == "dependency-unavailable"


async def test_too_many_at_once_are_told_to_come_back(box: ApiBox) -> None:
    image_id = taken_in(box, jpeg(1))
    box.app.state.api.bundles.running = 8
    assert slug_of(await get(box, f"/v1/images/{image_id}/evidence")) == "overloaded"
