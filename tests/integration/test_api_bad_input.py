"""The bad-input matrix of the API, as far as no decoder is needed. What only a decoder can tell is tested on a whole box."""

import json
import os
import random
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import pytest

from framegate.adapters.clock import SystemClock
from framegate.ingest.deps import ApiLimits
from framegate.kernel.apikey import new_key
from framegate.kernel.imagefile import Limits
from tests.integration.api_server import Served, served
from tests.support.pictures import jpeg, png, shared_data
from tests.unit.ingest.fakes import HALL, NOW, OTHER_HALL, ApiBox, slug_of
from tests.unit.kernel.imagefile import build

JPEG = jpeg(1)
anyio = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[ApiBox]:
    made = ApiBox(tmp_path, clock=None)
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("spool")) as running:
        yield running


async def post(
    box: ApiBox, data: bytes | AsyncIterator[bytes] = JPEG, key: str | None = None, **headers: str
) -> httpx.Response:
    fields = {"Content-Type": "image/jpeg"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with box.client(key) as client:
        return await client.post("/v1/images?camera=dock-1", content=data, headers=fields)


def nothing_is_stored(box: ApiBox) -> bool:
    box.close()
    return not box.store.state.images and not box.memory_blobs._blobs and not list(box.spool.iterdir())


# --- who is calling (rows 1 to 6) -------------------------------------------------------------------------------------


@anyio
async def test_rows_1_and_2_without_a_well_formed_key_nothing_is_done(box: ApiBox) -> None:
    right = box.key
    for header in ("", "Bearer", f"Bearer {right[:-1]}", f"Bearer {right}x", f"Basic {right}", right, "Bearer null"):
        answer = await post(box, Authorization=header)
        assert (answer.status_code, slug_of(answer)) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert nothing_is_stored(box)


@anyio
async def test_row_3_an_unknown_a_revoked_and_an_expired_key_look_the_same_from_outside(box: ApiBox) -> None:
    revoked = box.add_key(revoked_at=NOW)
    expired = box.add_key(expires_at=NOW - timedelta(seconds=1))
    for key in (new_key()[0], revoked, expired):
        answer = await post(box, key=key)
        assert (answer.status_code, slug_of(answer)) == (401, "unauthenticated")


@anyio
async def test_row_4_a_key_without_the_scope_is_told_which_one_it_lacks(box: ApiBox) -> None:
    reader = box.add_key(scopes=frozenset({"results:read"}))
    answer = await post(box, key=reader)
    assert (answer.status_code, slug_of(answer)) == (403, "insufficient-scope")
    assert "images:write" in answer.json()["detail"]
    writer = box.add_key(scopes=frozenset({"images:write"}))
    async with box.client(writer) as client:
        assert slug_of(await client.get("/v1/images")) == "insufficient-scope"


@anyio
async def test_rows_5_and_6_a_foreign_facility_is_absent_and_a_disabled_one_is_named(box: ApiBox) -> None:
    disabled = box.add_key(HALL, OTHER_HALL, disabled_facilities=frozenset({OTHER_HALL}))
    for key, facility, status, slug in (
        (box.key, "hall-2", 404, "not-found"),
        (box.key, "no-such-hall", 404, "not-found"),
        (disabled, "hall-2", 403, "facility-disabled"),
        (disabled, "hall-1", 202, None),
    ):
        async with box.client(key) as client:
            headers = {"Content-Type": "image/jpeg"}
            answer = await client.post(f"/v1/images?camera=c&facility={facility}", content=JPEG, headers=headers)
        assert answer.status_code == status
        assert slug is None or slug_of(answer) == slug


@anyio
async def test_too_many_failures_from_one_address_are_slowed_down(box: ApiBox) -> None:
    slugs = [slug_of(await post(box, key="x")) for _ in range(12)]
    assert slugs == ["unauthenticated"] * 10 + ["rate-limited"] * 2
    assert (await post(box)).status_code == 202


# --- the body (rows 7 to 14) ------------------------------------------------------------------------------------------


@anyio
async def test_row_7_an_empty_body_is_refused(box: ApiBox) -> None:
    answer = await post(box, b"")
    assert (answer.status_code, slug_of(answer)) == (400, "empty-body")


@anyio
async def test_row_8_one_byte_too_many_is_refused_before_the_body_is_read(box: ApiBox) -> None:
    reads = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal reads
        reads += 1
        yield JPEG

    answer = await post(box, body(), Content_Length=str(25 * 2**20 + 1))
    assert (answer.status_code, slug_of(answer), reads) == (413, "payload-too-large", 0)


@anyio
async def test_row_10_an_endless_body_is_refused_at_the_first_byte_over_the_limit(tmp_path: Path) -> None:
    box = ApiBox(tmp_path, limits=ApiLimits(image=Limits(max_bytes=1_000_000)))
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 10_000
            yield b"\xff" * 10_000

    answer = await post(box, endless())
    assert (answer.status_code, slug_of(answer)) == (413, "payload-too-large")
    assert sent == 1_010_000
    assert nothing_is_stored(box)


@anyio
async def test_rows_13_and_14_a_compressed_or_undeclared_body_is_refused(box: ApiBox) -> None:
    answer = await post(box, Content_Encoding="gzip")
    assert (answer.status_code, slug_of(answer)) == (415, "unsupported-encoding")
    async with box.client() as client:
        answer = await client.post("/v1/images?camera=c", content=JPEG)
    assert (answer.status_code, slug_of(answer)) == (415, "unsupported-media-type")


def test_row_9_a_body_longer_than_its_length_is_refused_and_the_connection_closed(server: Served) -> None:
    before = server.stored
    wire = server.connect()
    wire.send(server.head(f"Content-Length: {len(JPEG) - 100}") + JPEG)
    answer = wire.answer()
    assert (answer.status, answer.closed) == (400, True)
    assert json.loads(answer.body)["type"] == "/problems/malformed-request"
    assert wire.is_closed_by_the_server()
    assert server.stored == before


def test_row_8_a_client_that_sends_its_whole_body_first_still_reads_the_refusal(server: Served) -> None:
    wire = server.connect()
    length = 26 * 2**20
    wire.send(server.head(f"Content-Length: {length}"))
    for _ in range(26):
        wire.send(b"\0" * 2**20)
    answer = wire.answer()
    assert (answer.status, answer.closed) == (413, True)


def test_row_12_a_client_that_hangs_up_midway_leaves_nothing(tmp_path: Path) -> None:
    with served(tmp_path) as running:
        wire = running.connect()
        wire.send(running.head(f"Content-Length: {2**21}") + b"\xff" * 2**20)
        wire.hang_up()
        # Answered after it on the same loop: by then the server has seen the end of the first connection.
        follow = running.connect()
        follow.send(running.head(target="/healthz", method="GET"))
        assert follow.answer().status == 200
    assert nothing_is_stored(running.box)


# --- what the file is (rows 15 to 44); each limit of the file check is tested where it lives ---------------------------

OTHER_FORMATS = {
    "gif": b"GIF89a" + bytes(64),
    "webp": b"RIFF\x40\0\0\0WEBPVP8 " + bytes(64),
    "avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(64),
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64),
    "tiff": b"II*\0" + bytes(64),
    "bmp": b"BM" + bytes(12) + b"\x28\0\0\0" + bytes(64),
    "psd": b"8BPS\0\x01" + bytes(64),
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n" + bytes(64),
    "pdf": b"%PDF-1.7\n" + bytes(64),
    "ico": b"\0\0\1\0\1\0\x10\x10\0\0" + bytes(64),
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
    "fits": b"SIMPLE  =                    T" + bytes(64),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "xml": b'<?xml version="1.0"?><a/>',
    "html": b"<!doctype html><html></html>",
}


@anyio
@pytest.mark.parametrize("name", OTHER_FORMATS)
async def test_rows_16_and_17_other_formats_are_refused_whatever_they_claim_to_be(box: ApiBox, name: str) -> None:
    answer = await post(box, OTHER_FORMATS[name])
    assert (answer.status_code, slug_of(answer)) == (415, "unsupported-media-type")
    assert nothing_is_stored(box)


REFUSED_FILES = {
    "15 a JPEG declared as a PNG": (JPEG, "image/png", 415, "media-type-mismatch"),
    "15 a PNG declared as a JPEG": (png(1), "image/jpeg", 415, "media-type-mismatch"),
    "19 random bytes": (random.Random(1).randbytes(5000), "image/jpeg", 415, "unrecognized-image"),
    "20 a header that is cut": (JPEG[:40], "image/jpeg", 422, "malformed-image"),
    "22 a scan without its end": (JPEG[:-200], "image/jpeg", 422, "truncated-image"),
    "24 a zip behind the image": (JPEG + b"PK\x03\x04" + bytes(100), "image/jpeg", 422, "trailing-data"),
    "24 a page behind the image": (png(1) + b"<html><script>", "image/png", 422, "trailing-data"),
    "24 a lot behind the image": (JPEG + bytes(70_000), "image/jpeg", 422, "trailing-data"),
    "34 an animation": (build.png(before=[build.chunk(b"acTL", bytes(8))]), "image/png", 422, "animated-image"),
    "37 a bomb of pixels": (build.png(build.ihdr(60_000, 60_000)), "image/png", 422, "too-many-pixels"),
    "38 a line of pixels": (build.png(build.ihdr(1, 50_000_000)), "image/png", 422, "bad-dimensions"),
    "39 eight pixels": (jpeg(1, 8, 8), "image/jpeg", 422, "bad-dimensions"),
}


@anyio
@pytest.mark.parametrize("name", REFUSED_FILES)
async def test_rows_15_to_39_a_file_that_cannot_be_used_is_refused_by_its_header(box: ApiBox, name: str) -> None:
    data, declared, status, slug = REFUSED_FILES[name]
    answer = await post(box, data, Content_Type=declared)
    assert (answer.status_code, slug_of(answer)) == (status, slug)
    assert box.metrics.refused_slugs == [slug]
    assert nothing_is_stored(box)


@anyio
@pytest.mark.parametrize(
    ("data", "declared"),
    [(jpeg(3, progressive=True), "image/jpeg"), (JPEG, "image/jpeg"), (png(3), "image/png")],
    ids=["29 a progressive JPEG", "30 a baseline JPEG", "30 a PNG"],
)
async def test_rows_29_to_33_ordinary_files_are_accepted(box: ApiBox, data: bytes, declared: str) -> None:
    assert (await post(box, data, Content_Type=declared)).status_code == 202


@anyio
async def test_row_18_a_form_of_ten_thousand_parts_is_refused(box: ApiBox) -> None:
    parts = b"".join(b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n' % n for n in range(10_000))
    answer = await post(box, parts + b"--b--\r\n", Content_Type="multipart/form-data; boundary=b")
    assert (answer.status_code, slug_of(answer)) == (400, "malformed-request")


@anyio
async def test_every_nasty_file_gets_an_answer_that_is_no_fault_of_ours(box: ApiBox) -> None:
    folder = shared_data("nasty")
    statuses = set()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix != ".json":
            declared = "image/png" if file.suffix == ".png" else "image/jpeg"
            answer = await post(box, file.read_bytes(), Content_Type=declared)
            assert answer.status_code == 202 or slug_of(answer)
            statuses.add(answer.status_code)
    assert max(statuses) < 500
    assert statuses >= {202, 415, 422}


@anyio
async def test_a_file_with_any_of_its_bytes_changed_never_makes_the_api_fail(box: ApiBox) -> None:
    rng = random.Random(7)
    for original, declared in ((jpeg(5, 64, 64), "image/jpeg"), (png(5, 64, 64), "image/png")):
        for _ in range(150):
            data = bytearray(original)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            answer = await post(
                box, bytes(data[: rng.choice([len(data), rng.randrange(len(data))])]), Content_Type=declared
            )
            assert answer.status_code == 202 or slug_of(answer)
            assert answer.status_code < 500


# --- addresses and headers (rows 55 to 60) ----------------------------------------------------------------------------


@anyio
@pytest.mark.parametrize("camera", ["../x", "a%00b", "a%0d%0ab", "%E2%80%AEx", "x" * 10_000, "<script>", "=cmd()"])
async def test_row_55_a_camera_that_is_no_name_is_refused_and_not_repeated(box: ApiBox, camera: str) -> None:
    async with box.client() as client:
        headers = {"Content-Type": "image/jpeg"}
        answer = await client.post(f"/v1/images?camera={camera}", content=JPEG, headers=headers)
    assert (answer.status_code, slug_of(answer)) == (422, "invalid-parameter")
    assert [error["name"] for error in answer.json()["errors"]] == ["camera"]
    assert camera not in answer.text


@anyio
@pytest.mark.parametrize("path", ["/", "/v1", "/v1/images/", "/v1/Images", "/admin", "/v1/images/x/y", "//v1/images"])
async def test_row_57_an_unknown_path_is_not_found(box: ApiBox, path: str) -> None:
    async with box.client() as client:
        answer = await client.get(httpx.URL("http://framegate", raw_path=path.encode()))
    assert (answer.status_code, slug_of(answer)) == (404, "not-found")


@anyio
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("DELETE", "/v1/images", "GET, POST"), ("POST", "/v1/stats", "GET"), ("TRACE", "/healthz", "GET"),
     ("PUT", "/v1/images/x", "GET"), ("POST", "/v1/images/x/content", "GET")],
)  # fmt: skip
async def test_row_57_a_wrong_method_is_told_the_right_ones(box: ApiBox, method: str, path: str, allowed: str) -> None:
    async with box.client() as client:
        answer = await client.request(method, path)
    assert (answer.status_code, slug_of(answer)) == (405, "method-not-allowed")
    assert answer.headers["allow"] == allowed


@anyio
@pytest.mark.parametrize("path", ["/v1/images", "/healthz", "/readyz", "/v1/images/x/content"])
async def test_row_58_who_accepts_only_what_there_is_not_is_told_so(box: ApiBox, path: str) -> None:
    async with box.client() as client:
        answer = await client.get(path, headers={"Accept": "text/xml"})
    assert (answer.status_code, slug_of(answer)) == (406, "not-acceptable")


@anyio
async def test_every_answer_says_that_it_must_not_be_sniffed_or_stored(box: ApiBox) -> None:
    async with box.client() as client:
        for path in ("/v1/images", "/nowhere", "/healthz", "/openapi.json"):
            answer = await client.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "fields",
    [[f"X-A: {'a' * 17_000}"], [f"X-{n}: a" for n in range(200)], [f"X-{n}: {'a' * 200}" for n in range(90)]],
    ids=["one large field", "200 fields", "many fields of 18 kB together"],
)
def test_row_59_a_header_that_is_too_large_is_refused(server: Served, fields: list[str]) -> None:
    wire = server.connect()
    wire.send(server.head(*fields, target="/healthz", method="GET"))
    answer = wire.answer()
    assert (answer.status, answer.closed) == (431, True)
    assert json.loads(answer.body)["type"] == "/problems/headers-too-large"


def test_row_59_a_header_that_never_ends_is_refused_before_it_does(server: Served) -> None:
    wire = server.connect()
    wire.send(b"GET /healthz HTTP/1.1\r\nHost: framegate\r\nX-A: " + b"a" * 20_000)
    assert wire.answer().status == 431


def test_row_59_ninety_small_fields_are_fine(server: Served) -> None:
    wire = server.connect()
    wire.send(server.head(*[f"X-{n}: a" for n in range(90)], target="/healthz", method="GET"))
    assert wire.answer().status == 200


SIZE = b"%x" % len(JPEG)
CHUNKED = SIZE + b"\r\n" + JPEG + b"\r\n0\r\n\r\n"
LENGTH = f"Content-Length: {len(JPEG)}"
SMUGGLED = {
    "length and transfer coding": ([LENGTH, "Transfer-Encoding: chunked"], CHUNKED),
    "transfer coding and length": (["Transfer-Encoding: chunked", LENGTH], CHUNKED),
    "an unknown transfer coding": (["Transfer-Encoding: xchunked"], CHUNKED),
    "two transfer codings": (["Transfer-Encoding: gzip, chunked"], CHUNKED),
    "chunked twice": (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], CHUNKED),
    "chunked not last": (["Transfer-Encoding: chunked, identity"], CHUNKED),
    "a space before the colon": (["Transfer-Encoding : chunked"], CHUNKED),
    "two lengths": ([LENGTH, f"Content-Length: {len(JPEG) - 5}"], JPEG),
    "the same length twice": ([LENGTH, LENGTH], JPEG),
    "a length with a sign": ([f"Content-Length: +{len(JPEG)}"], JPEG),
    "a folded field": (["X-A: a\r\n b", LENGTH], JPEG),
    "a bare CR": (["X-A: a\rb", LENGTH], JPEG),
    "a bare LF": (["X-A: a\nX-B: b", LENGTH], JPEG),
    "a NUL": (["X-A: a\0b", LENGTH], JPEG),
    "two hosts": (["Host: other", LENGTH], JPEG),
    "a chunk size that is none": (["Transfer-Encoding: chunked"], b"zz\r\n" + JPEG),
    "chunks that end in LF": (["Transfer-Encoding: chunked"], CHUNKED.replace(b"\r\n", b"\n")),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_row_60_a_request_that_two_servers_could_read_differently_is_refused(server: Served, name: str) -> None:
    fields, body = SMUGGLED[name]
    before = server.stored
    wire = server.connect()
    wire.send(server.head(*fields) + body)
    answer = wire.answer()
    assert (answer.status, answer.closed) == (400, True)
    assert wire.is_closed_by_the_server()
    assert server.stored == before


def test_row_60_lines_that_end_in_lf_only_are_refused(server: Served) -> None:
    wire = server.connect()
    wire.send((server.head(LENGTH)).replace(b"\r\n", b"\n") + JPEG)
    assert wire.answer().status == 400


HOST = b"Host: framegate\r\n"
NOT_HTTP = {
    "TLS": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT": b"CONNECT evil:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/9.9": b"GET /healthz HTTP/9.9\r\n" + HOST + b"\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "an address outside ASCII": "GET /é HTTP/1.1\r\n".encode() + HOST + b"\r\n",
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_not_http_1_1_is_refused(server: Served, name: str) -> None:
    wire = server.connect()
    wire.send(NOT_HTTP[name])
    assert wire.answer().status == 400


# --- what must work on the wire ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [[LENGTH], [LENGTH, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]],
    ids=["as usual", "with an offer to upgrade, as Java's client makes it"],
)
def test_uploads_follow_each_other_on_one_connection(server: Served, fields: list[str]) -> None:
    before, wire = server.stored, server.connect()
    for _ in range(3):
        wire.send(server.head(*fields) + JPEG)
        answer = wire.answer()
        assert (answer.status, answer.closed) == (202, False), answer
    assert server.stored == before + 3


def test_a_chunked_upload_is_accepted_in_pieces_of_any_size(server: Served) -> None:
    wire = server.connect()
    request = server.head("Transfer-Encoding: chunked") + CHUNKED
    for start in range(0, len(request), 700):
        wire.send(request[start : start + 700])
    assert wire.answer().status == 202


def test_a_client_that_asks_first_is_told_to_go_on_or_refused_at_once(server: Served) -> None:
    wire = server.connect()
    wire.send(server.head(LENGTH, "Expect: 100-continue"))
    assert wire.answer().status == 100
    wire.send(JPEG)
    assert wire.answer().status == 202
    wire = server.connect()
    wire.send(server.head(f"Content-Length: {2**30}", "Expect: 100-continue"))
    assert wire.answer().status == 413


def test_two_requests_in_one_packet_are_answered_in_order(server: Served) -> None:
    wire = server.connect()
    get = server.head(target="/v1/cameras", method="GET")
    wire.send(server.head(target="/healthz", method="GET") + get)
    assert b"alive" in wire.answer().body
    assert b"items" in wire.answer().body


def test_after_a_refusal_the_connection_can_be_used_again(server: Served) -> None:
    wire = server.connect()
    wire.send(server.head(LENGTH, target="/v1/images") + JPEG)
    assert wire.answer().status == 422
    wire.send(server.head(LENGTH) + JPEG)
    assert wire.answer().status == 202


def test_more_connections_than_allowed_are_told_to_come_back(tmp_path: Path) -> None:
    with served(tmp_path, server={"most_connections": 2}) as running:
        kept = [running.connect() for _ in range(2)]
        for wire in kept:
            wire.send(running.head(target="/healthz", method="GET"))
            assert wire.answer().status == 200
        answer = running.connect().answer()
        assert (answer.status, answer.closed) == (503, True)
        kept[0].send(running.head(target="/healthz", method="GET"))
        assert kept[0].answer().status == 200


def test_a_server_that_stops_lets_uploads_end_and_watchers_go(tmp_path: Path) -> None:
    with served(tmp_path) as running:
        watcher, uploader = running.connect(), running.connect()
        watcher.send(running.head(target="/v1/outcomes?after=0&wait=30", method="GET"))
        uploader.send(running.head(LENGTH) + JPEG[:-100])
        running.wait_until_busy(2)
        running.stop()
        assert json.loads(watcher.answer().body) == {"items": [], "next": 0}
        uploader.send(JPEG[-100:])
        answer = uploader.answer()
        assert (answer.status, answer.closed) == (202, True)
    assert running.stored == 1


def test_no_answer_names_the_server(server: Served) -> None:
    wire = server.connect()
    wire.send(server.head(target="/healthz", method="GET"))
    assert "server:" not in wire.answer().head.lower()


def test_large_uploads_at_once_need_little_memory(tmp_path: Path) -> None:
    with served(tmp_path, clock=SystemClock()) as running:
        running.box.key = running.box.add_key(expires_at=NOW + timedelta(days=36_500))
        process = psutil.Process(os.getpid())
        wires = [running.connect() for _ in range(40)]
        before = process.memory_info().rss
        head = running.head(f"Content-Length: {20 * 2**20}")
        for wire in wires:
            wire.send(head)
        piece = bytes(2**18)
        while sum(file.stat().st_size for file in tmp_path.iterdir()) < 160 * 2**20:
            for wire in wires:
                wire.send(piece)
        grown = process.memory_info().rss - before
        for wire in wires:
            wire.hang_up()
        assert grown < 48 * 2**20, f"{grown >> 20} MiB"
    assert not list(tmp_path.iterdir())
