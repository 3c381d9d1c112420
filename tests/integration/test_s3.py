"""S3 that stalls, lies, loses answers and refuses; and what it must refuse of others."""

import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from framegate.adapters.aws.blobs import S3Blobs
from framegate.adapters.aws.client import make_client
from framegate.adapters.aws.objects import S3Objects, attachment
from framegate.bootstrap import open_blobs, open_objects
from framegate.kernel.errors import BlobMissing, ConfigurationError, DependencyUnavailable
from framegate.ports.objects import PresignedPost
from framegate.settings import Settings
from tests.support.aws import REGION, lead_to
from tests.support.fake_s3 import ACCESS_KEY, SECRET_KEY, FakeS3, Object
from tests.support.moto_s3 import MotoBucket

PICTURE = bytes(range(256)) * 40
MINUTE = timedelta(minutes=1)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeS3]:
    with FakeS3().serving() as s3:
        lead_to(s3.url, monkeypatch)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda s: None))
        yield s3


@pytest.fixture
def blobs(fake: FakeS3, tmp_path: Path) -> Iterator[S3Blobs]:
    made = S3Blobs(make_client("s3", REGION), fake.bucket, "", tmp_path / "spool", deadline_s=5, sleep=lambda s: None)
    yield made
    made.close()


@pytest.fixture
def objects(fake: FakeS3) -> Iterator[S3Objects]:
    made = S3Objects(make_client("s3", REGION), fake.bucket, "", sleep=lambda s: None)
    yield made
    made.close()


def once(fault: str, method: str) -> Callable[[str], str | None]:
    """`fault` befalls the first request of `method` only."""
    left = [fault]
    return lambda request: left.pop() if left and request.startswith(method) else None


@pytest.mark.parametrize("fault", ["SlowDown", "reset", "reset-after", "corrupt-upload", "ConditionalRequestConflict"])
def test_a_write_that_goes_wrong_once_is_made_up_for(blobs: S3Blobs, fake: FakeS3, fault: str) -> None:
    fake.fault = once(fault, "PUT")
    blobs.put("originals/one", PICTURE)
    file = blobs.spool_dir() / "upload"
    file.write_bytes(PICTURE)
    fake.fault = once(fault, "PUT")
    blobs.adopt("originals/two", file)
    assert fake.objects["originals/one"].data == fake.objects["originals/two"].data == PICTURE
    assert not file.exists()


@pytest.mark.parametrize("fault", ["SlowDown", "reset", "truncate", "corrupt"])
def test_a_read_that_goes_wrong_once_is_made_up_for(blobs: S3Blobs, fake: FakeS3, fault: str) -> None:
    blobs.put("originals/one", PICTURE)
    fake.fault = once(fault, "GET")
    assert blobs.get("originals/one") == PICTURE
    assert fake.requests.count("GET originals/one") == 2


@pytest.mark.parametrize(
    ("fault", "told"), [("truncate", "5120 of 10240 bytes"), ("corrupt", "other bytes"), ("SlowDown", "SlowDown")]
)
def test_what_never_arrives_whole_is_an_outage_and_no_picture(
    blobs: S3Blobs, fake: FakeS3, fault: str, told: str
) -> None:
    blobs.put("originals/one", PICTURE)
    fake.fault = lambda request: fault
    with pytest.raises(DependencyUnavailable, match=rf"S3 bucket pictures: .*{told}"):
        blobs.get("originals/one")


def test_a_read_that_drips_ends_with_its_deadline(fake: FakeS3, tmp_path: Path) -> None:
    blobs = S3Blobs(make_client("s3", REGION), fake.bucket, "", tmp_path / "spool", deadline_s=0.2)
    blobs.put("originals/one", PICTURE)
    fake.fault = lambda request: "drip" if request.startswith("GET") else None
    with pytest.raises(DependencyUnavailable, match="comes too slowly"):
        blobs.get("originals/one")
    blobs.close()


def test_a_writer_that_never_gets_through_gives_up_and_leaves_the_upload_where_it_is(
    blobs: S3Blobs, fake: FakeS3
) -> None:
    file = blobs.spool_dir() / "upload"
    file.write_bytes(PICTURE)
    for fault in ("SlowDown", "reset", "ConditionalRequestConflict", "corrupt-upload"):
        fake.fault = lambda request, fault=fault: fault  # type: ignore[misc]
        with pytest.raises(DependencyUnavailable, match="S3 bucket pictures"):
            blobs.adopt("originals/one", file)
    assert file.read_bytes() == PICTURE
    assert not fake.objects


def test_other_bytes_under_a_known_key_are_refused_although_the_first_answer_was_lost(
    blobs: S3Blobs, fake: FakeS3
) -> None:
    fake.fault = once("reset-after", "PUT")
    blobs.put("originals/one", PICTURE)
    with pytest.raises(ValueError, match="originals/one"):
        blobs.put("originals/one", PICTURE[:-1])
    assert fake.objects["originals/one"].data == PICTURE


def test_what_is_not_durable_is_replaced_as_a_second_look_may_come_out_otherwise(blobs: S3Blobs) -> None:
    blobs.put("prepared/one", b"first", durable=False)
    blobs.put("prepared/one", b"again", durable=False)
    assert blobs.get("prepared/one") == b"again"


def test_in_a_storm_nothing_is_lost_and_nothing_half_is_read(blobs: S3Blobs, fake: FakeS3) -> None:
    asked: Counter[str] = Counter()
    lock = threading.Lock()
    faults = ["SlowDown", "SlowDown", "reset", "reset-after", "truncate", "corrupt", "corrupt-upload"]

    def storm(request: str) -> str | None:
        # Each request of each key has its own fate, in whatever order the threads ask.
        with lock:
            asked[request] += 1
            dice = random.Random(f"7 {request} {asked[request]}")
        return dice.choice(faults) if dice.random() < 0.3 else None

    fake.fault = storm

    def insist(call: Callable[[], bytes | None]) -> bytes | None:
        """As a worker does: what is unavailable is tried again, anything else is an error."""
        for _ in range(20):
            try:
                return call()
            except DependencyUnavailable:
                continue
        raise AssertionError("20 times in a row")

    def work(number: int) -> None:
        key, data = f"originals/{number}", os.urandom(5000 + number)
        file = blobs.spool_dir() / f"upload-{number}"
        file.write_bytes(data)
        insist(lambda: blobs.adopt(key, file) if number % 2 else blobs.put(key, data))
        assert insist(lambda: blobs.get(key)) == data

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(80)))
    assert len(fake.objects) == 80
    assert len(fake.requests) > 200  # the storm was one


def test_a_bucket_that_is_gone_is_an_outage_and_not_a_missing_blob(blobs: S3Blobs, fake: FakeS3) -> None:
    fake.bucket = "another"
    for call in (blobs.get, blobs.exists, blobs.delete, lambda key: blobs.put(key, b"x")):
        with pytest.raises(DependencyUnavailable, match=r"S3 bucket pictures: does not exist.*FRAMEGATE_BLOBS__BUCKET"):
            call("originals/one")


def test_sweeping_goes_through_every_page_and_tells_of_what_it_may_not_delete(blobs: S3Blobs, fake: FakeS3) -> None:
    for i in range(25):
        blobs.put(f"prepared/{i:02}", b"x", durable=False)
        fake.objects[f"prepared/{i:02}"].modified -= timedelta(hours=1)
    blobs.put("prepared/new", b"x", durable=False)
    fake.page, fake.undeletable = 10, {"prepared/07", "prepared/19"}
    with pytest.raises(DependencyUnavailable, match=r"2 of 25 .*prepared/07: AccessDenied.*s3:DeleteObject"):
        blobs.sweep("prepared", 1800)
    assert set(fake.objects) == {"prepared/07", "prepared/19", "prepared/new"}
    assert fake.requests.count("POST ") == 3


def test_sweeping_the_spool_deletes_old_files_of_this_host_only(blobs: S3Blobs, fake: FakeS3) -> None:
    old, new = blobs.spool_dir() / "old", blobs.spool_dir() / "new"
    for file in (old, new):
        file.write_bytes(b"x")
    os.utime(old, (old.stat().st_mtime - 100,) * 2)
    assert blobs.sweep("spool", 50) == 1
    assert [file.name for file in blobs.spool_dir().iterdir()] == ["new"]
    assert not fake.requests


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../up", "a/../b", ".hidden", "a//b", "spool/one", "ä", "a" * 201])
def test_a_key_that_is_not_ours_never_reaches_s3(blobs: S3Blobs, fake: FakeS3, key: str) -> None:
    for call in (blobs.get, blobs.exists, blobs.delete, lambda k: blobs.put(k, b"x")):
        with pytest.raises(ValueError, match="not a blob key"):
            call(key)
    assert not fake.requests


@dataclass
class Form:
    """A presigned form and how to send it."""

    post: PresignedPost

    def send(self, data: bytes, **changed: str) -> httpx.Response:
        fields = {**self.post.fields, **changed}
        return httpx.post(self.post.url, data=fields, files={"file": ("any name.jpg", data)}, trust_env=False)


def announced(objects: S3Objects, key: str = "uploads/one") -> Form:
    digest = hashlib.sha256(PICTURE).digest()
    return Form(
        objects.presign_post(
            key, media_type="image/jpeg", size_bytes=len(PICTURE), sha256=digest, expires_in=timedelta(minutes=10)
        )
    )


def test_the_announced_picture_can_be_uploaded_with_the_form(objects: S3Objects, fake: FakeS3) -> None:
    assert announced(objects).send(PICTURE).status_code == 201
    assert fake.objects["uploads/one"].data == PICTURE
    assert fake.objects["uploads/one"].media_type == "image/jpeg"


@pytest.mark.parametrize(
    ("data", "changed", "code"),
    [
        (PICTURE + b"x", {}, "EntityTooLarge"),
        (PICTURE[:-1], {}, "EntityTooSmall"),
        (PICTURE[::-1], {}, "BadDigest"),
        (PICTURE, {"key": "originals/one"}, "AccessDenied"),
        (PICTURE, {"Content-Type": "text/html"}, "AccessDenied"),
        (PICTURE, {"acl": "public-read"}, "AccessDenied"),
        (PICTURE[::-1], {"x-amz-checksum-sha256": "AAAA"}, "AccessDenied"),
        (PICTURE, {"policy": "e30="}, "SignatureDoesNotMatch"),
    ],
    ids=["longer", "shorter", "other-bytes", "other-key", "other-type", "other-field", "other-checksum", "forged"],
)
def test_nothing_but_the_announced_picture_can_be_uploaded(
    objects: S3Objects, fake: FakeS3, data: bytes, changed: dict[str, str], code: str
) -> None:
    refused = announced(objects).send(data, **changed)
    assert refused.status_code in (400, 403)
    assert code in refused.text
    assert not fake.objects


def test_a_form_and_a_link_end_with_their_time(objects: S3Objects, fake: FakeS3) -> None:
    form = announced(objects)
    link = objects.presign_get("uploads/one", file_name="a.jpg", media_type="image/jpeg", expires_in=5 * MINUTE)
    fake.clock_ahead = form.post.expires_at - fake.now() - timedelta(seconds=5)
    assert form.send(PICTURE).status_code == 201
    assert httpx.get(link, trust_env=False).status_code == 403
    fake.clock_ahead += timedelta(seconds=10)
    assert form.send(PICTURE).status_code == 403
    fake.clock_ahead = timedelta()
    assert httpx.get(link, trust_env=False).content == PICTURE


def test_nothing_is_signed_for_longer_than_it_should_last(objects: S3Objects) -> None:
    with pytest.raises(ValueError, match="at most"):
        objects.presign_post("a", media_type="m/m", size_bytes=1, sha256=b"", expires_in=timedelta(hours=1, seconds=1))
    with pytest.raises(ValueError, match="at most"):
        objects.presign_get("a", file_name="a", media_type="m/m", expires_in=timedelta(seconds=301))


def test_a_form_and_a_link_work_with_another_implementation(moto_bucket: MotoBucket) -> None:
    objects = S3Objects(moto_bucket.client(), moto_bucket.name, "some/where/")
    assert announced(objects).send(PICTURE).status_code in (201, 204)
    assert objects.read(moto_bucket.name, "some/where/uploads/one", None, 20_000) == PICTURE
    link = objects.presign_get("uploads/one", file_name="Tür 7.jpg", media_type="image/png", expires_in=MINUTE)
    answer = httpx.get(link, trust_env=False)
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == attachment("Tür 7.jpg")
    objects.close()


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("dock 3.jpg", "attachment; filename=\"dock 3.jpg\"; filename*=UTF-8''dock%203.jpg"),
        ("Tür.jpg", "attachment; filename=\"T_r.jpg\"; filename*=UTF-8''T%C3%BCr.jpg"),
        ('a"; x=".html', "attachment; filename=\"a__ x=_.html\"; filename*=UTF-8''a%22%3B%20x%3D%22.html"),
        ("a\r\nSet-Cookie: b", "attachment; filename=\"a__Set-Cookie: b\"; filename*=UTF-8''a__Set-Cookie%3A%20b"),
        ("../up\\b", "attachment; filename=\".._up_b\"; filename*=UTF-8''.._up_b"),
        ("", "attachment; filename=\"file\"; filename*=UTF-8''file"),
    ],
)
def test_a_file_name_cannot_leave_its_quotes(name: str, header: str) -> None:
    assert attachment(name) == header


def test_reading_stops_one_byte_past_the_limit(objects: S3Objects, fake: FakeS3) -> None:
    fake.store("uploads/Ä b+c", PICTURE, "image/jpeg")
    fake.store("empty", b"", "image/jpeg")
    for limit, got in [(len(PICTURE), PICTURE), (100, PICTURE[:101])]:
        assert objects.read("", "uploads/Ä b+c", None, limit) == got
        assert objects.read(fake.bucket, "uploads/Ä b+c", None, limit) == got
    assert objects.read("", "empty", None, 100) == b""


def test_an_object_can_be_removed_twice_and_is_missing_then(objects: S3Objects, fake: FakeS3) -> None:
    fake.store("uploads/one", PICTURE, "image/jpeg")
    for _ in range(2):
        objects.remove("", "uploads/one")
    with pytest.raises(BlobMissing, match="uploads/one"):
        objects.read("", "uploads/one", None, 100)


def test_a_version_is_read_although_another_came_after_it(moto_bucket: MotoBucket) -> None:
    client = moto_bucket.client()
    client.put_bucket_versioning(Bucket=moto_bucket.name, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=moto_bucket.name, Key="a", Body=b"first")["VersionId"]
    client.put_object(Bucket=moto_bucket.name, Key="a", Body=b"second")
    objects = S3Objects(client, moto_bucket.name, "")
    assert objects.read(moto_bucket.name, "a", first, 100) == b"first"
    assert objects.read(moto_bucket.name, "a", None, 100) == b"second"
    objects.remove(moto_bucket.name, "a")
    with pytest.raises(BlobMissing):
        objects.read(moto_bucket.name, "a", None, 100)
    objects.close()


def settings(tmp_path: Path, bucket: str) -> Settings:
    return Settings.read(data=tmp_path, blobs={"kind": "s3", "bucket": bucket}, aws_region=REGION)


def refusal(tmp_path: Path, bucket: str = "pictures") -> str:
    with pytest.raises(ConfigurationError) as caught:
        open_blobs(settings(tmp_path, bucket))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_bucket_chosen_by_the_settings_is_used(fake: FakeS3, tmp_path: Path) -> None:
    chosen = settings(tmp_path, fake.bucket)
    blobs, objects = open_blobs(chosen), open_objects(chosen)
    blobs.put("originals/one", PICTURE)
    assert fake.objects["originals/one"].data == PICTURE
    assert objects.read("", "originals/one", None, 20_000) == PICTURE
    assert blobs.spool_dir() == tmp_path / "spool"
    assert blobs.spool_dir().stat().st_mode & 0o777 == 0o700


def test_beside_blobs_on_a_disk_only_the_buckets_of_others_are_read(fake: FakeS3, tmp_path: Path) -> None:
    fake.objects["one"] = Object(PICTURE)
    objects = open_objects(Settings.read(data=tmp_path))
    assert objects.read(fake.bucket, "one", None, 20_000) == PICTURE
    with pytest.raises(ConfigurationError, match="FRAMEGATE_BLOBS__BUCKET"):
        objects.presign_post("k", media_type="image/jpeg", size_bytes=1, sha256=b"", expires_in=timedelta(minutes=1))


def test_frames_are_compressed_where_they_travel_unless_the_setting_says_otherwise(tmp_path: Path) -> None:
    on_s3 = settings(tmp_path, "pictures")
    assert (Settings.read(data=tmp_path).codec, on_s3.codec) == ("raw", "zstd")
    assert Settings.read(preprocess={"codec": "raw"}, blobs={"kind": "s3"}).codec == "raw"
    assert Settings.read(preprocess={"codec": "zstd"}).codec == "zstd"


def test_a_start_without_a_bucket_names_the_setting(tmp_path: Path) -> None:
    assert "FRAMEGATE_BLOBS__BUCKET" in refusal(tmp_path, "")


def test_a_start_without_boto3_names_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "framegate.adapters.aws.client", None)
    assert "pip install 'framegate[aws]'" in refusal(tmp_path)


def test_a_process_without_s3_does_not_load_boto3(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from framegate.bootstrap import open_blobs; "
        "from framegate.settings import Settings; "
        "open_blobs(Settings.read(data=Path(sys.argv[1]))); sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("AccessDenied", ["access denied", "s3:ListBucket"]),
        ("RequestTimeTooSkewed", ["RequestTimeTooSkewed", "clock"]),
        ("InvalidAccessKeyId", ["InvalidAccessKeyId", "s3:ListBucket"]),
        ("ExpiredToken", ["ExpiredToken", "renew"]),
        ("SignatureDoesNotMatch", ["SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"]),
        ("PermanentRedirect", ["is in eu-central-1", "AWS_REGION", "FRAMEGATE_BLOBS__BUCKET"]),
        ("AuthorizationHeaderMalformed", ["is in eu-central-1", "AWS_REGION", "FRAMEGATE_BLOBS__BUCKET"]),
    ],
)
def test_a_start_that_s3_refuses_tells_what_to_mend(fake: FakeS3, tmp_path: Path, code: str, told: list[str]) -> None:
    fake.refusal = code
    message = refusal(tmp_path)
    assert [words for words in ["S3 bucket pictures", *told] if words not in message] == []


def test_a_start_with_a_wrong_clock_is_told_so(fake: FakeS3, tmp_path: Path) -> None:
    fake.clock_ahead = timedelta(hours=1)
    assert "set this host's clock" in refusal(tmp_path)


def test_a_start_without_the_bucket_is_told_so_by_either_server(
    fake: FakeS3, moto_bucket: MotoBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for _ in range(2):
        message = refusal(tmp_path, "nowhere")
        assert "S3 bucket nowhere: does not exist" in message
        assert "FRAMEGATE_BLOBS__BUCKET" in message
        lead_to(fake.url, monkeypatch)


def test_a_start_with_a_name_that_is_none_is_told_so(fake: FakeS3, tmp_path: Path) -> None:
    message = refusal(tmp_path, "not a bucket!")
    assert "not a valid name" in message
    assert "FRAMEGATE_BLOBS__BUCKET" in message


def test_a_start_without_credentials_is_told_so(fake: FakeS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    message = refusal(tmp_path)
    assert "no AWS credentials" in message
    assert "s3:ListBucket" in message


def test_a_start_without_a_server_is_told_where_it_should_be(
    fake: FakeS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        message = refusal(tmp_path)
    assert f"cannot connect to {url}" in message
    assert "AWS_ENDPOINT_URL" in message


def test_a_bucket_of_aws_in_another_region_is_refused_although_botocore_would_follow(
    fake: FakeS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.eu-central-1.amazonaws.com")
    monkeypatch.setenv("http_proxy", fake.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    open_blobs(settings(tmp_path, fake.bucket))
    fake.region = "us-west-2"
    message = refusal(tmp_path)
    assert "S3 bucket pictures: is in us-west-2" in message
    assert "AWS_REGION" in message
