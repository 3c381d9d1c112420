"""Blobs: write once, keep for good, and never look outside."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from framegate.adapters.aws.blobs import S3Blobs
from framegate.adapters.blobs_local import LocalBlobs
from framegate.adapters.memory import FakeClock, MemoryBlobs
from framegate.kernel.errors import BlobMissing
from framegate.ports.blobs import Blobs
from tests.support.moto_s3 import MotoBucket


class Shelf:
    """Blobs, and a way to let them age."""

    def __init__(self, blobs: Blobs, age: Callable[[str, float], None]) -> None:
        self.blobs, self.age = blobs, age


@pytest.fixture(params=["memory", "local", "s3"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    if request.param == "s3":
        bucket: MotoBucket = request.getfixturevalue("moto_bucket")
        s3 = S3Blobs(bucket.client(), bucket.name, "some/where/", tmp_path / "spool")
        yield Shelf(s3, lambda key, seconds: bucket.backdate(f"some/where/{key}", seconds))
        s3.close()
        return
    if request.param == "memory":
        clock = FakeClock()
        spool = tmp_path / "spool"
        spool.mkdir()
        yield Shelf(MemoryBlobs(clock, spool), lambda key, seconds: clock.advance(seconds))
        return

    def backdate(key: str, seconds: float) -> None:
        file = tmp_path / "blobs" / key
        moment = file.stat().st_mtime - seconds
        os.utime(file, (moment, moment))

    yield Shelf(LocalBlobs(tmp_path / "blobs"), backdate)


@pytest.fixture
def blobs(shelf: Shelf) -> Blobs:
    return shelf.blobs


def spooled(blobs: Blobs, data: bytes, name: str = "upload") -> Path:
    file = blobs.spool_dir() / name
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("data", [b"", b"x", os.urandom(700_000)], ids=["empty", "byte", "frame"])
def test_what_is_put_comes_back(blobs: Blobs, data: bytes, durable: bool) -> None:
    blobs.put("originals/ab/cd/one", data, durable=durable)
    assert blobs.get("originals/ab/cd/one") == data
    assert blobs.exists("originals/ab/cd/one")


def test_a_view_of_an_array_can_be_put(blobs: Blobs) -> None:
    frame = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    blobs.put("prepared/one", frame.data, durable=False)
    assert blobs.get("prepared/one") == frame.tobytes()


def test_what_is_put_is_a_copy(blobs: Blobs) -> None:
    data = bytearray(b"before")
    blobs.put("originals/one", memoryview(data))
    data[:] = b"after!"
    assert blobs.get("originals/one") == b"before"


def test_an_unknown_key_is_missing(blobs: Blobs) -> None:
    blobs.put("originals/one", b"x")
    assert not blobs.exists("originals/two")
    for key in ("originals/two", "nowhere/at/all"):
        with pytest.raises(BlobMissing, match=key):
            blobs.get(key)


def test_putting_the_same_bytes_again_does_no_harm(blobs: Blobs) -> None:
    for _ in range(2):
        blobs.put("originals/one", b"same")
    assert blobs.get("originals/one") == b"same"


def test_a_durable_blob_is_never_overwritten_with_other_bytes(blobs: Blobs) -> None:
    blobs.put("originals/one", b"first")
    with pytest.raises(ValueError, match="originals/one"):
        blobs.put("originals/one", b"other")
    with pytest.raises(ValueError, match="originals/one"):
        blobs.adopt("originals/one", spooled(blobs, b"other"))
    assert blobs.get("originals/one") == b"first"


def test_an_adopted_file_becomes_the_blob(blobs: Blobs) -> None:
    file = spooled(blobs, b"upload")
    blobs.adopt("originals/ab/one", file)
    assert blobs.get("originals/ab/one") == b"upload"
    assert not file.exists()


def test_adopting_again_after_success_does_no_harm(blobs: Blobs) -> None:
    file = spooled(blobs, b"upload")
    blobs.adopt("originals/one", file)
    blobs.adopt("originals/one", file)
    assert blobs.get("originals/one") == b"upload"


def test_adopting_bytes_that_are_there_already_takes_the_file_away(blobs: Blobs) -> None:
    blobs.put("originals/one", b"same")
    file = spooled(blobs, b"same")
    blobs.adopt("originals/one", file)
    assert not file.exists()
    assert blobs.get("originals/one") == b"same"


def test_an_upload_that_is_gone_cannot_be_adopted(blobs: Blobs) -> None:
    with pytest.raises(BlobMissing):
        blobs.adopt("originals/one", blobs.spool_dir() / "nothing")
    assert not blobs.exists("originals/one")


def test_a_deleted_blob_is_missing_and_can_be_deleted_again(blobs: Blobs) -> None:
    blobs.put("prepared/one", b"x")
    for _ in range(2):
        blobs.delete("prepared/one")
    with pytest.raises(BlobMissing):
        blobs.get("prepared/one")
    blobs.delete("never/was")


@pytest.mark.parametrize("prefix", ["prepared", "prepared/"])
def test_sweeping_deletes_what_is_old_below_the_prefix_only(shelf: Shelf, prefix: str) -> None:
    for key in ("prepared/ab/old", "prepared/old", "originals/old", "prepared-not/old"):
        shelf.blobs.put(key, b"x")
    for key in ("prepared/ab/old", "prepared/old", "originals/old", "prepared-not/old"):
        shelf.age(key, 50)
    shelf.blobs.put("prepared/ab/new", b"x")
    assert shelf.blobs.sweep(prefix, 40) == 2
    kept = ["prepared/ab/new", "originals/old", "prepared-not/old"]
    assert [key for key in [*kept, "prepared/ab/old", "prepared/old"] if shelf.blobs.exists(key)] == kept
    assert shelf.blobs.sweep(prefix, 40) == 0


def test_sweeping_nothing_deletes_nothing(blobs: Blobs) -> None:
    assert blobs.sweep("prepared", 0) == 0


def test_the_space_left_is_a_number_or_unknown(blobs: Blobs) -> None:
    free = blobs.free_bytes()
    assert free is None or free > 0


def test_many_threads_write_side_by_side(blobs: Blobs) -> None:
    def work(worker: int) -> None:
        for i in range(20):
            blobs.put(f"originals/{i % 4}/{worker}-{i}", f"{worker}-{i}".encode())

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    for worker in range(8):
        for i in range(20):
            assert blobs.get(f"originals/{i % 4}/{worker}-{i}") == f"{worker}-{i}".encode()
