import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from framegate.ingest.sink import Sink
from framegate.ingest.slots import SMALLEST_ALLOWANCE, Running, UploadSlots
from framegate.web.problems import Problem

pytestmark = pytest.mark.anyio
DATA = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def fill(sink: Sink, data: bytes, step: int = 50_000) -> None:
    for start in range(0, len(data), step):
        await sink.write(data[start : start + step])


async def test_a_small_upload_never_touches_the_disk(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    sink = Sink(pool, lambda: tmp_path, 300_000, 1 << 24)
    await fill(sink, DATA[:300_000])
    with sink.content() as content:
        assert content == DATA[:300_000]
    assert sink.sha256() == hashlib.sha256(DATA[:300_000]).digest()
    assert not sink.spooled
    assert files(tmp_path) == []


async def test_a_large_upload_is_spooled_in_order_and_in_large_steps(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    sink = Sink(pool, lambda: tmp_path, SMALLEST_ALLOWANCE, 1 << 24)
    sizes = set()
    for start in range(0, len(DATA), 50_000):
        await sink.write(DATA[start : start + 50_000])
        sizes.add(sum(file.stat().st_size for file in files(tmp_path)))
    steps = sorted(sizes)
    assert all(later - earlier >= SMALLEST_ALLOWANCE for earlier, later in pairwise(steps))
    with sink.content() as content:
        assert content[:] == DATA
    assert sink.sha256() == hashlib.sha256(DATA).digest()
    assert sink.path is not None
    assert sink.path.read_bytes() == DATA


async def test_a_discarded_upload_leaves_no_file(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    sink = Sink(pool, lambda: tmp_path, SMALLEST_ALLOWANCE, 1 << 24)
    await fill(sink, DATA)
    assert len(files(tmp_path)) == 1
    sink.discard()
    assert files(tmp_path) == []


async def test_a_write_that_comes_after_the_upload_was_given_up_leaves_no_file(
    pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    sink = Sink(pool, lambda: tmp_path, SMALLEST_ALLOWANCE, 1 << 24)
    sink.discard()
    await fill(sink, DATA)
    assert files(tmp_path) == []


async def test_one_byte_over_the_limit_is_refused_and_the_limit_itself_is_not(
    pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    sink = Sink(pool, lambda: tmp_path, 1000, 1000)
    await sink.write(b"x" * 1000)
    with pytest.raises(Problem, match="payload-too-large"):
        await sink.write(b"x")


async def test_a_disk_that_cannot_be_written_is_a_storage_problem(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    sink = Sink(pool, lambda: tmp_path / "absent", SMALLEST_ALLOWANCE, 1 << 24)
    with pytest.raises(Problem, match="storage-unavailable"):
        await fill(sink, DATA)


async def test_an_announced_upload_may_stay_in_memory_while_the_budget_lasts() -> None:
    slots = UploadSlots(10, memory_bytes=1 << 20, memory_total_bytes=1 << 20)
    with slots.upload(400_000) as first, slots.upload(600_000) as second, slots.upload(600_000) as third:
        assert (first, second, third) == (400_000, 600_000, SMALLEST_ALLOWANCE)
    with slots.upload(1 << 20) as again:
        assert again == 1 << 20


async def test_an_upload_of_unknown_or_large_size_keeps_little_in_memory() -> None:
    slots = UploadSlots(10, memory_bytes=1 << 20, memory_total_bytes=64 << 20)
    with slots.upload(None) as unknown, slots.upload(100) as small, slots.upload(20 << 20) as large:
        assert unknown == small == large == SMALLEST_ALLOWANCE


async def test_no_more_uploads_than_slots_and_a_slot_comes_back_after_an_error() -> None:
    slots = UploadSlots(1, 1 << 20, 1 << 20)
    with slots.upload(None), pytest.raises(Problem, match="overloaded"), slots.upload(None):
        raise AssertionError
    with pytest.raises(ValueError, match="inside"), slots.upload(None):
        raise ValueError("inside")
    with slots.upload(None):
        assert slots.used == 1
    assert slots.used == 0


async def test_the_same_idempotency_key_runs_once_at_a_time_for_each_facility_and_key() -> None:
    running = Running()
    with running.request("hall-1", "key", "k"):
        for other in (("hall-2", "key", "k"), ("hall-1", "other", "k"), ("hall-1", "key", None)):
            with running.request(*other):
                pass
        with pytest.raises(Problem, match="idempotency-in-progress"), running.request("hall-1", "key", "k"):
            raise AssertionError
    with running.request("hall-1", "key", "k"):
        pass
