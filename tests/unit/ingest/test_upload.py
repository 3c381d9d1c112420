"""`POST /v1/images` and what it leaves behind."""

import asyncio
import base64
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from infra.monitoring.objectives import OURS

from framegate.adapters.memory import MemoryBlobs
from framegate.ingest.deps import ApiLimits
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.ids import new_uuid7
from framegate.kernel.states import Lane
from framegate.observability.catalogue import IMAGES_ACCEPTED
from framegate.ports.store import Accepted, NewImage
from tests.support.pictures import jpeg, png

from .fakes import HALL, OTHER_HALL, ApiBox, slug_of

pytestmark = pytest.mark.anyio
JPEG = jpeg(1)
LARGE = jpeg(2, 3000, 2200)  # several MB


async def upload(box: ApiBox, data: Any = JPEG, params: dict[str, str] | None = None, **headers: str) -> httpx.Response:
    fields = {"Content-Type": "image/jpeg"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with box.client() as client:
        return await client.post(
            "/v1/images", content=data, params={"camera": "dock-1"} | (params or {}), headers=fields
        )


def stored(box: ApiBox) -> list[NewImage]:
    return [row.new for row in box.store.state.images.values()]


def blobs(box: ApiBox) -> dict[str, bytes]:
    return {key: data for key, (_, data, _) in box.memory_blobs._blobs.items()}


def settle(box: ApiBox) -> None:
    """Waits for what runs beside the answers."""
    box.close()


async def test_an_upload_is_stored_recorded_and_answered_with_where_to_ask(box: ApiBox) -> None:
    answer = await upload(box, params={"captured_at": "2026-11-23T11:59:00Z", "lane": "bulk", "shipment": "S-1"})
    assert answer.status_code == 202
    body = answer.json()
    assert body == {"id": body["id"], "state": "received", "duplicate_of": None}
    assert answer.headers["location"] == f"/v1/images/{body['id']}"
    assert "idempotency-replayed" not in answer.headers
    (image,) = stored(box)
    assert (str(image.image_id), image.facility, image.camera, image.lane) == (body["id"], HALL, "dock-1", Lane.BULK)
    assert (image.width, image.height, image.media_type, image.size_bytes) == (320, 240, "image/jpeg", len(JPEG))
    assert image.sha256 == hashlib.sha256(JPEG).hexdigest()
    assert image.metadata == {"shipment": "S-1"}
    assert image.blob_key == f"originals/hall-1/2026/11/23/{body['id']}.jpg"
    assert blobs(box) == {image.blob_key: JPEG}
    assert box.counts.value(IMAGES_ACCEPTED, {"lane": "bulk"}) == 1
    assert len(box.metrics.seconds) == 1


async def test_a_png_keeps_its_extension(box: ApiBox) -> None:
    assert (await upload(box, png(1), Content_Type="image/png")).status_code == 202
    assert stored(box)[0].blob_key.endswith(".png")


async def test_a_form_says_the_same_as_a_raw_body(box: ApiBox) -> None:
    async with box.client() as client:
        answer = await client.post(
            "/v1/images?camera=dock-1",
            files={"image": ("a.jpg", JPEG, "image/jpeg")},
            data={"lane": "bulk", "meta.note": "grün", "captured_at": "2026-11-23T11:00:00Z"},
        )
    assert answer.status_code == 202, answer.text
    (image,) = stored(box)
    assert (image.camera, image.lane, image.metadata) == ("dock-1", Lane.BULK, {"meta.note": "grün"})
    assert blobs(box) == {image.blob_key: JPEG}


async def test_a_form_field_that_repeats_a_query_parameter_is_refused(box: ApiBox) -> None:
    async with box.client() as client:
        files = {"image": ("a.jpg", JPEG, "image/jpeg")}
        answer = await client.post("/v1/images?camera=dock-1", files=files, data={"camera": "dock-2"})
    assert slug_of(answer) == "invalid-parameter"
    assert stored(box) == []


@pytest.mark.parametrize("form", [False, True])
async def test_a_large_upload_goes_over_the_spool_and_leaves_nothing_there(box: ApiBox, form: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:  # without a length nothing is known in advance
        for start in range(0, len(LARGE), 100_000):
            yield LARGE[start : start + 100_000]

    if form:
        async with box.client() as client:
            files = {"image": ("a.jpg", LARGE, "image/jpeg")}
            answer = await client.post("/v1/images?camera=c", files=files)
    else:
        answer = await upload(box, pieces())
    assert answer.status_code == 202, answer.text
    settle(box)
    assert list(blobs(box).values()) == [LARGE]
    assert stored(box)[0].sha256 == hashlib.sha256(LARGE).hexdigest()
    assert list(box.spool.iterdir()) == []


async def test_a_large_file_that_is_refused_leaves_nothing_anywhere(box: ApiBox) -> None:
    assert slug_of(await upload(box, LARGE[:-2000])) == "truncated-image"
    settle(box)
    assert stored(box) == []
    assert blobs(box) == {}
    assert list(box.spool.iterdir()) == []


async def test_row_45_the_same_bytes_again_are_a_new_image_that_names_the_first(box: ApiBox) -> None:
    first, second = (await upload(box)).json(), (await upload(box)).json()
    assert second["id"] != first["id"]
    assert second["duplicate_of"] == first["id"]


async def test_row_46_the_same_request_with_the_same_key_is_answered_again_and_stored_once(box: ApiBox) -> None:
    first = await upload(box, Idempotency_Key="k-1")
    again = await upload(box, Idempotency_Key="k-1")
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    settle(box)
    assert len(stored(box)) == len(blobs(box)) == 1


@pytest.mark.parametrize(
    ("data", "params"), [(jpeg(7), {}), (JPEG, {"lane": "bulk"}), (JPEG, {"camera": "dock-2"}), (JPEG, {"meta.a": "b"})]
)
async def test_row_48_the_same_key_for_another_request_is_refused(
    box: ApiBox, data: bytes, params: dict[str, str]
) -> None:
    await upload(box, Idempotency_Key="k-1")
    assert slug_of(await upload(box, data, params, Idempotency_Key="k-1")) == "idempotency-key-reused"
    settle(box)
    assert len(stored(box)) == len(blobs(box)) == 1


async def test_row_49_without_a_key_a_repeated_capture_is_recognised(box: ApiBox) -> None:
    params = {"captured_at": "2026-11-23T11:00:00Z"}
    first, again = await upload(box, params=params), await upload(box, params=params)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "schlüssel"])
async def test_row_50_an_unusable_idempotency_key_is_refused(box: ApiBox, key: str) -> None:
    async with box.client() as client:
        headers = [(b"Content-Type", b"image/jpeg"), (b"Idempotency-Key", key.encode())]
        answer = await client.post("/v1/images?camera=c", content=JPEG, headers=headers)
    assert slug_of(answer) == "invalid-idempotency-key"


async def test_row_50_two_idempotency_keys_are_refused(box: ApiBox) -> None:
    async with box.client() as client:
        headers = [("Content-Type", "image/jpeg"), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
        answer = await client.post("/v1/images?camera=c", content=JPEG, headers=headers)
    assert slug_of(answer) == "invalid-idempotency-key"


async def test_row_51_the_same_key_in_another_facility_is_another_request(box: ApiBox) -> None:
    box.key = box.add_key(HALL, OTHER_HALL)
    one = await upload(box, params={"facility": "hall-1"}, Idempotency_Key="k")
    other = await upload(box, params={"facility": "hall-2"}, Idempotency_Key="k")
    assert one.json()["id"] != other.json()["id"]
    assert "idempotency-replayed" not in other.headers


def digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


async def test_row_52_bytes_that_do_not_match_their_digest_are_refused(box: ApiBox) -> None:
    wrong = hashlib.sha256(b"other").hexdigest()
    assert slug_of(await upload(box, X_Content_SHA256=wrong)) == "digest-mismatch"
    assert slug_of(await upload(box, Content_Digest=digest(b"other"))) == "digest-mismatch"
    assert slug_of(await upload(box, Content_Digest="sha-256=:AAAA:")) == "invalid-parameter"
    assert slug_of(await upload(box, X_Content_SHA256="abc")) == "invalid-parameter"
    settle(box)
    assert blobs(box) == {}


async def test_row_52_bytes_that_match_their_digest_are_taken(box: ApiBox) -> None:
    answer = await upload(box, X_Content_SHA256=hashlib.sha256(JPEG).hexdigest().upper())
    assert answer.status_code == 202
    assert (await upload(box, Content_Digest=f"sha-512=:AA==:, {digest(JPEG)}")).status_code == 202
    assert (await upload(box, Content_Digest="md5=:AAAA:")).status_code == 202


@pytest.mark.parametrize(("right", "status"), [(True, 202), (False, 422)])
async def test_row_52_in_a_form_the_body_and_the_image_have_digests_of_their_own(
    box: ApiBox, right: bool, status: int
) -> None:
    async with box.client() as client:
        request = client.build_request("POST", "/v1/images?camera=c", files={"image": ("a.jpg", JPEG, "image/jpeg")})
        body = request.read()
        request.headers["Content-Digest"] = digest(body if right else JPEG)
        request.headers["X-Content-SHA256"] = hashlib.sha256(JPEG).hexdigest()
        answer = await client.send(request)
    assert answer.status_code == status


class SlowIntake:
    """Waits at the door until it is let in."""

    def __init__(self, box: ApiBox) -> None:
        self._intake = box.store.intake
        self.entered, self.gate = threading.Event(), threading.Event()

    def accept(self, images: list[NewImage]) -> list[Accepted]:
        self.entered.set()
        assert self.gate.wait(30)
        return self._intake.accept(images)


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 30)


async def in_progress(box: ApiBox, uploads: int) -> None:
    while box.app.state.api.slots.used < uploads:  # noqa: ASYNC110 (a counter, not an event)
        await asyncio.sleep(0)


async def test_row_47_a_second_request_with_a_key_that_still_runs_is_told_to_wait(box: ApiBox) -> None:
    intake = SlowIntake(box)
    box.app.state.api.storing._acceptor._intake = intake
    first = asyncio.create_task(upload(box, Idempotency_Key="k"))
    await until(intake.entered)
    second = await upload(box, Idempotency_Key="k")
    assert (second.status_code, slug_of(second)) == (409, "idempotency-in-progress")
    assert int(second.headers["retry-after"]) >= 1
    intake.gate.set()
    assert (await first).status_code == 202
    assert (await upload(box, Idempotency_Key="k")).headers["idempotency-replayed"] == "true"


async def test_no_upload_is_answered_before_it_is_recorded_and_nobody_is_held_up_meanwhile(box: ApiBox) -> None:
    intake = SlowIntake(box)
    box.app.state.api.storing._acceptor._intake = intake
    uploading = asyncio.create_task(upload(box))
    await until(intake.entered)
    async with box.client() as client:
        assert (await client.get("/healthz")).status_code == 200
    assert not uploading.done()
    intake.gate.set()
    assert (await uploading).status_code == 202


async def test_row_62_more_uploads_at_once_than_allowed_are_told_to_come_back(tmp_path: Path) -> None:
    box = ApiBox(tmp_path, limits=ApiLimits(max_concurrent_uploads=2))
    intake = SlowIntake(box)
    box.app.state.api.storing._acceptor._intake = intake
    running = [asyncio.create_task(upload(box)) for _ in range(2)]
    await until(intake.entered)
    await in_progress(box, 2)
    third = await upload(box)
    assert (third.status_code, slug_of(third), third.headers["retry-after"]) == (503, "overloaded", "1")
    intake.gate.set()
    assert [answer.status_code for answer in await asyncio.gather(*running)] == [202, 202]
    assert (await upload(box)).status_code == 202
    box.close()


async def test_row_62_a_backlog_over_its_limit_is_told_to_come_back(tmp_path: Path) -> None:
    waiting = 0
    box = ApiBox(tmp_path, limits=ApiLimits(max_backlog=5), backlog=lambda: waiting)
    assert (await upload(box)).status_code == 202
    waiting = 6
    box.clock.advance(1)
    await upload(box)  # is judged by the last count, and has the next one taken
    box.app.state.api.pool.submit(int).result(30)
    refused = await upload(box)
    assert (refused.status_code, slug_of(refused)) == (503, "overloaded")
    assert "retry-after" in refused.headers
    waiting = 5
    box.clock.advance(1)
    await upload(box)
    box.app.state.api.pool.submit(int).result(30)
    assert (await upload(box)).status_code == 202
    box.close()


@dataclass
class BrokenBlobs:
    """Blobs on which one operation fails."""

    inner: MemoryBlobs
    free: int | None = None
    down: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def free_bytes(self) -> int | None:
        return self.free

    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        if self.down:
            raise DependencyUnavailable
        self.inner.put(key, data, durable=durable)


@contextmanager
def box_with(tmp_path: Path, **broken: Any) -> Iterator[ApiBox]:
    whole = ApiBox(tmp_path)
    whole.close()
    box = ApiBox(tmp_path, blobs=BrokenBlobs(whole.memory_blobs, **broken), limits=ApiLimits(min_free_bytes=1000))
    yield box
    box.close()


@pytest.mark.parametrize("broken", [{"free": len(JPEG) + 999}, {"down": True}])
async def test_row_62_when_nothing_can_be_stored_nothing_is_recorded(tmp_path: Path, broken: dict[str, Any]) -> None:
    with box_with(tmp_path, **broken) as box:
        answer = await upload(box)
        assert (answer.status_code, slug_of(answer)) == (503, "storage-unavailable")
        assert "retry-after" in answer.headers
        assert stored(box) == []


async def test_enough_free_space_is_enough(tmp_path: Path) -> None:
    with box_with(tmp_path, free=len(JPEG) + 1000) as box:
        assert (await upload(box)).status_code == 202


class DeadIntake:
    """Nobody answers; whether the transaction went through is not known."""

    def accept(self, images: list[NewImage]) -> list[Accepted]:
        raise DependencyUnavailable


async def test_row_62_a_database_that_is_away_is_told_and_the_original_is_kept_for_the_sweep(tmp_path: Path) -> None:
    box = ApiBox(tmp_path, intake=DeadIntake())
    answer = await upload(box)
    assert (answer.status_code, slug_of(answer)) == (503, "dependency-unavailable")
    assert "retry-after" in answer.headers
    box.close()
    assert list(blobs(box).values()) == [JPEG]


class CrashingIntake:
    """A bug, and a message that must not leave the house."""

    def accept(self, images: list[NewImage]) -> list[Accepted]:
        raise RuntimeError("insert into images at /srv/secret/path")


async def test_a_bug_is_answered_without_its_message(tmp_path: Path) -> None:
    box = ApiBox(tmp_path, intake=CrashingIntake())
    answer = await upload(box)
    assert (answer.status_code, slug_of(answer)) == (500, "internal-error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert box.metrics.refused_slugs == ["internal-error"]
    assert box.metrics.answers == [("/v1/images", 500, "uploads")]
    assert "internal-error" in OURS, "it spends the budget of failed uploads"
    box.close()


async def test_a_bug_in_any_other_handler_is_counted_by_its_route(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = ApiBox(tmp_path)

    def crash(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(box.store.results, "image", crash)
    async with box.client() as client:
        answer = await client.get(f"/v1/images/{new_uuid7(0)}")
    assert (answer.status_code, slug_of(answer)) == (500, "internal-error")
    assert box.metrics.answers == [("/v1/images/{image_id}", 500, "api")]
    assert box.metrics.refused_slugs == [], "only uploads are refused"
    box.close()


async def test_row_12_a_client_that_hangs_up_leaves_nothing(box: ApiBox) -> None:
    sent: list[Any] = []
    pieces = iter([{"type": "http.request", "body": LARGE[:600_000], "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(pieces)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {box.key}".encode()), (b"content-type", b"image/jpeg"), (b"host", b"x")]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/images", "raw_path": b"/v1/images", "query_string": b"camera=c",
        "headers": headers, "client": ("10.0.0.9", 1), "server": ("x", 80), "scheme": "http", "http_version": "1.1",
        "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip
    await box.app(scope, receive, send)
    settle(box)
    assert stored(box) == []
    assert blobs(box) == {}
    assert list(box.spool.iterdir()) == []
    assert sent[0]["status"] == 400


async def test_row_11_an_upload_that_drips_is_ended(box: ApiBox) -> None:
    async def drip() -> AsyncIterator[bytes]:
        for start in range(0, len(JPEG), 1000):
            box.clock.advance(1)
            yield JPEG[start : start + 1000]

    answer = await upload(box, drip())
    assert (answer.status_code, slug_of(answer)) == (408, "upload-too-slow")
    assert answer.headers["connection"] == "close"
    assert stored(box) == []


async def test_row_11_a_slow_upload_that_keeps_the_least_rate_is_taken(box: ApiBox) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 80_000):
            box.clock.advance(9)
            yield LARGE[start : start + 80_000]

    assert (await upload(box, slow())).status_code == 202


async def test_row_11_an_upload_that_stalls_is_ended_though_nothing_arrives(tmp_path: Path) -> None:
    box = ApiBox(tmp_path, limits=ApiLimits(slow_after_s=0.05))

    async def stall() -> AsyncIterator[bytes]:
        yield JPEG[:100]
        await asyncio.Event().wait()

    answer = await upload(box, stall())
    assert (answer.status_code, slug_of(answer)) == (408, "upload-too-slow")
    box.close()


async def test_row_70_a_thousand_uploads_at_once_are_accepted_or_told_to_wait(tmp_path: Path) -> None:
    box = ApiBox(tmp_path, limits=ApiLimits(rate_per_s=300, max_concurrent_uploads=2000))
    pictures = [jpeg(n, 64, 64) for n in range(20)]
    async with box.client() as client:
        headers = {"Content-Type": "image/jpeg"}
        answers = await asyncio.gather(
            *[client.post("/v1/images?camera=c", content=pictures[n % 20], headers=headers) for n in range(1000)]
        )
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(202) == 300
    assert statuses.count(429) == 700
    assert len(stored(box)) == 300
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit-policy"] == '"key";q=300;w=1'
    assert refused.headers["ratelimit"] == '"key";r=0;t=1'
    box.close()
