"""`POST /v1/uploads`, `complete`, and what they leave behind."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from framegate.ingest.announcements import MOST_BYTES
from framegate.kernel.ids import ImageId, new_image_id
from framegate.kernel.states import ImageState, Lane
from framegate.observability.catalogue import IMAGES_ACCEPTED
from framegate.ports.store import NewImage
from tests.support.pictures import jpeg, png

from .fakes import BUCKET, HALL, NOW, OTHER_HALL, ApiBox, slug_of

pytestmark = pytest.mark.anyio
JPEG = jpeg(1)


def entry(data: bytes = JPEG, **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    values = {"camera": "dock-1", "media_type": "image/jpeg", "size_bytes": len(data), "sha256": digest}
    return {name: value for name, value in (values | changes).items() if value is not None}


async def announce(box: ApiBox, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with box.client() as client:
        return await client.post("/v1/uploads", content=content, headers=fields)


async def complete(box: ApiBox, upload_id: Any, key: str | None = None) -> httpx.Response:
    async with box.client(key) as client:
        return await client.post(f"/v1/uploads/{upload_id}/complete")


async def announced(box: ApiBox, data: bytes = JPEG, **changes: Any) -> dict[str, Any]:
    answer = await announce(box, entry(data, **changes))
    assert answer.status_code == 201, answer.text
    (upload,) = answer.json()["uploads"]
    return dict(upload)


def stored(box: ApiBox) -> list[NewImage]:
    return [row.new for row in box.store.state.images.values()]


# --- announcing --------------------------------------------------------------------------------------------------------


async def test_an_announcement_is_answered_with_a_form_for_exactly_these_bytes(box: ApiBox) -> None:
    upload = await announced(box)
    assert upload["id"] in upload["fields"]["key"]
    assert upload["fields"]["key"] == f"uploads/hall-1/2026/11/23/{upload['id']}.jpg"
    assert upload["fields"]["Content-Type"] == "image/jpeg"
    assert upload["url"] == f"memory://{BUCKET}"
    assert upload["expires_at"] == (NOW + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    with pytest.raises(ValueError, match="not the bytes"):
        box.objects.post(upload["fields"], JPEG + b"x")
    assert stored(box) == []


async def test_what_was_announced_is_remembered_with_its_parameters(box: ApiBox) -> None:
    metadata = {"shipment": "S-1", "meta.note": "grün"}
    changes = {"captured_at": "2026-11-23T11:00:00Z", "lane": "bulk", "metadata": metadata, "facility": "hall-1"}
    upload = await announced(box, **changes, sha256=hashlib.sha256(JPEG).hexdigest().upper())
    found = box.store.uploads.upload(ImageId(UUID(upload["id"])))
    assert found is not None
    assert (found.facility, found.camera, found.lane, found.metadata) == (HALL, "dock-1", Lane.BULK, metadata)
    assert (found.captured_at, found.expires_at) == (NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert (found.media_type, found.size_bytes) == ("image/jpeg", len(JPEG))
    assert found.sha256 == hashlib.sha256(JPEG).hexdigest()


async def test_a_batch_is_answered_in_its_order(box: ApiBox) -> None:
    pictures = [jpeg(n, 64, 64) for n in range(100)]
    answer = await announce(box, {"uploads": [entry(data) for data in pictures]})
    assert answer.status_code == 201
    uploads = answer.json()["uploads"]
    for upload, data in zip(uploads, pictures, strict=True):
        box.objects.post(upload["fields"], data)
    assert len({upload["id"] for upload in uploads}) == 100


@pytest.mark.parametrize(
    ("changes", "status", "slug", "name"),
    [
        ({"camera": None}, 422, "invalid-parameter", "camera"),
        ({"camera": "a b"}, 422, "invalid-parameter", "camera"),
        ({"camera": 7}, 422, "invalid-parameter", "camera"),
        ({"media_type": "image/gif"}, 415, "unsupported-media-type", None),
        ({"size_bytes": 25 * 2**20 + 1}, 413, "payload-too-large", None),
        ({"size_bytes": 0}, 422, "invalid-parameter", "size_bytes"),
        ({"size_bytes": "12"}, 422, "invalid-parameter", "size_bytes"),
        ({"sha256": "ab"}, 422, "invalid-parameter", "sha256"),
        ({"captured_at": "yesterday"}, 422, "invalid-parameter", "captured_at"),
        ({"captured_at": "2027-01-01T00:00:00Z"}, 422, "invalid-parameter", "captured_at"),
        ({"lane": "fast"}, 422, "invalid-parameter", "lane"),
        ({"colour": "red"}, 422, "unknown-parameter", "colour"),
        ({"metadata": {"camera": "dock-2"}}, 422, "unknown-parameter", "camera"),
        ({"metadata": {"shipment": "a b"}}, 422, "invalid-parameter", "shipment"),
        ({"metadata": {"meta.a": {"b": "c"}}}, 422, "invalid-parameter", "meta.a"),
        ({"metadata": {"meta.a": "\u202e"}}, 422, "invalid-parameter", "meta.a"),
        ({"facility": "hall-2"}, 404, "not-found", None),
    ],
)
async def test_a_wrong_entry_is_named_by_its_place_and_nothing_is_announced(
    box: ApiBox, changes: dict[str, Any], status: int, slug: str, name: str | None
) -> None:
    alone = await announce(box, entry(**changes))
    assert (alone.status_code, slug_of(alone)) == (status, slug)
    batch = await announce(box, {"uploads": [entry(), entry(**changes)]})
    assert (batch.status_code, slug_of(batch)) == (status, slug)
    assert batch.json()["detail"].startswith("uploads[1]: ")
    if name is not None:
        assert [error["name"] for error in alone.json()["errors"]] == [name]
        assert [error["name"] for error in batch.json()["errors"]] == [f"uploads[1].{name}"]
    assert box.store.uploads._uploads == {}


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"", 400, "malformed-request"),
        (b"\xff", 400, "malformed-request"),
        (b"[" * 100_000, 400, "malformed-request"),
        (b"[]", 422, "invalid-parameter"),
        (b"7", 422, "invalid-parameter"),
        ({"uploads": []}, 422, "invalid-parameter"),
        ({"uploads": {}}, 422, "invalid-parameter"),
        ({"uploads": [entry()] * 101}, 422, "invalid-parameter"),
        ({"uploads": [[]]}, 422, "invalid-parameter"),
        ({"uploads": [entry()], "camera": "c"}, 422, "unknown-parameter"),
        (b" " * (MOST_BYTES + 1), 413, "payload-too-large"),
    ],
)
async def test_a_body_of_another_shape_is_refused(box: ApiBox, body: Any, status: int, slug: str) -> None:
    answer = await announce(box, body)
    assert (answer.status_code, slug_of(answer)) == (status, slug)
    assert box.store.uploads._uploads == {}


async def test_a_batch_with_all_the_metadata_that_is_allowed_is_not_too_large(box: ApiBox) -> None:
    metadata = {f"meta.{n}": "x" * 256 for n in range(32)}
    assert (await announce(box, {"uploads": [entry(metadata=metadata)] * 100})).status_code == 201


async def test_only_json_is_read_and_only_with_the_scope(box: ApiBox) -> None:
    assert slug_of(await announce(box, entry(), Content_Type="image/jpeg")) == "unsupported-media-type"
    box.key = box.add_key(scopes=frozenset({"results:read"}))
    assert slug_of(await announce(box, entry())) == "insufficient-scope"
    assert slug_of(await complete(box, new_image_id())) == "insufficient-scope"


async def test_a_key_of_several_facilities_must_say_which(box: ApiBox) -> None:
    box.key = box.add_key(HALL, OTHER_HALL)
    assert slug_of(await announce(box, entry())) == "invalid-parameter"
    assert (await announced(box, facility="hall-2"))["fields"]["key"].startswith("uploads/hall-2/")


async def test_without_a_bucket_the_answer_says_what_to_configure(tmp_path: Path) -> None:
    box = ApiBox(tmp_path, objects=None)
    for answer in (await announce(box, entry()), await complete(box, new_image_id())):
        assert (answer.status_code, slug_of(answer)) == (501, "uploads-unavailable")
        assert "FRAMEGATE_BLOBS__KIND=s3" in answer.json()["detail"]
    box.close()


# --- completing --------------------------------------------------------------------------------------------------------


async def test_a_completed_upload_is_an_image_with_the_announced_id_and_parameters(box: ApiBox) -> None:
    upload = await announced(box, captured_at="2026-11-23T11:00:00Z", lane="bulk", metadata={"dock": "D1"})
    box.objects.post(upload["fields"], JPEG)
    answer = await complete(box, upload["id"])
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"id": upload["id"], "state": "received", "duplicate_of": None}
    assert answer.headers["location"] == f"/v1/images/{upload['id']}"
    (image,) = stored(box)
    assert (str(image.image_id), image.facility, image.camera, image.lane) == (upload["id"], HALL, "dock-1", Lane.BULK)
    assert (image.width, image.height, image.media_type, image.size_bytes) == (320, 240, "image/jpeg", len(JPEG))
    assert (image.metadata, image.captured_at) == ({"dock": "D1"}, NOW - timedelta(hours=1))
    assert box.memory_blobs.get(image.blob_key) == JPEG
    assert image.blob_key.startswith("originals/hall-1/2026/11/23/")
    assert box.counts.value(IMAGES_ACCEPTED, {"lane": "bulk"}) == 1


async def test_completing_again_answers_the_same_also_when_the_object_is_gone(box: ApiBox) -> None:
    upload = await announced(box)
    box.objects.post(upload["fields"], JPEG)
    first = await complete(box, upload["id"])
    box.objects.remove("", upload["fields"]["key"])
    again = await complete(box, upload["id"])
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert len(stored(box)) == len(box.memory_blobs._blobs) == 1
    assert box.counts.value(IMAGES_ACCEPTED, {"lane": "live"}) == 1


async def test_two_uploads_of_the_same_capture_are_two_images(box: ApiBox) -> None:
    """Each id was given to somebody who will ask for it."""
    for _ in range(2):
        upload = await announced(box, captured_at="2026-11-23T11:00:00Z")
        box.objects.post(upload["fields"], JPEG)
        assert (await complete(box, upload["id"])).json()["id"] == upload["id"]
    assert [image.sha256 for image in stored(box)] == [hashlib.sha256(JPEG).hexdigest()] * 2


async def test_an_upload_that_did_not_reach_the_bucket_is_missing_until_it_does(box: ApiBox) -> None:
    upload = await announced(box)
    missing = await complete(box, upload["id"])
    assert (missing.status_code, slug_of(missing)) == (409, "upload-missing")
    box.objects.post(upload["fields"], JPEG)
    assert (await complete(box, upload["id"])).status_code == 202


@pytest.mark.parametrize("data", [jpeg(2), JPEG + b"x", b"", b"x" * (25 * 2**20 + 1)])
async def test_other_bytes_than_announced_are_removed_and_may_be_sent_again(box: ApiBox, data: bytes) -> None:
    upload = await announced(box)
    box.objects.store("", upload["fields"]["key"], data)
    wrong = await complete(box, upload["id"])
    assert (wrong.status_code, slug_of(wrong)) == (422, "digest-mismatch")
    assert slug_of(await complete(box, upload["id"])) == "upload-missing"
    assert stored(box) == []
    box.objects.post(upload["fields"], JPEG)
    assert (await complete(box, upload["id"])).status_code == 202


@pytest.mark.parametrize("upload_id", ["x", "0193e2a4-7c1b-7f3a-9d5e-2b1c0a998877"])
async def test_an_id_that_nobody_announced_is_not_found(box: ApiBox, upload_id: str) -> None:
    assert slug_of(await complete(box, upload_id)) == "not-found"


async def test_uploads_of_another_facility_look_absent(box: ApiBox) -> None:
    upload = await announced(box)
    box.objects.post(upload["fields"], JPEG)
    assert slug_of(await complete(box, upload["id"], box.add_key(OTHER_HALL))) == "not-found"
    assert stored(box) == []


async def test_what_is_no_image_is_accepted_and_can_be_looked_at(box: ApiBox) -> None:
    upload = await announced(box, b"no picture")
    box.objects.post(upload["fields"], b"no picture")
    assert (await complete(box, upload["id"])).json()["state"] == ImageState.RECEIVED
    (image,) = stored(box)
    assert (image.media_type, image.width, image.height) == ("application/octet-stream", 0, 0)
    async with box.client() as client:
        content = await client.get(f"/v1/images/{upload['id']}/content")
        shown = await client.get(f"/v1/images/{upload['id']}")
    assert (content.content, content.headers["content-type"]) == (b"no picture", "application/octet-stream")
    assert content.headers["content-disposition"] == f'attachment; filename="{upload["id"]}.bin"'
    assert shown.json()["width"] == 0


async def test_the_bytes_decide_what_an_upload_is_and_not_what_was_declared(box: ApiBox) -> None:
    picture = png(3)
    upload = await announced(box, picture)
    box.objects.post(upload["fields"], picture)
    assert (await complete(box, upload["id"])).status_code == 202
    assert stored(box)[0].media_type == "image/png"
