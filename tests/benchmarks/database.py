"""What an inspection costs Postgres: bytes on disk, WAL, transactions and CPU time. Prints JSON.

    python tests/benchmarks/database.py [--images 5000]

A Postgres of its own; images take the real way (accept, then claim and complete for each of three stages) through the
adapters, by one client, `--batch` at a time. Run it on a quiet machine.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.contracts import examples

from framegate.adapters.embedded_postgres import EmbeddedPostgres
from framegate.adapters.postgres import (
    Database,
    Outbox,
    PostgresIntake,
    PostgresProgress,
    PostgresQueue,
    PostgresRegistry,
    PostgresUpkeep,
    migrate,
)
from framegate.box.bench.cpu import cpu_seconds
from framegate.kernel.blobkeys import blob_key
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.imagefile import MediaType
from framegate.kernel.inspection import Inspected, Outcome, Prepared
from framegate.kernel.states import ImageState, Stage, Verdict
from framegate.pipeline import queues_of
from framegate.ports.progress import Claim, Completion
from framegate.ports.store import NewImage

_SIZES = """
select relname, pg_table_size(oid), pg_indexes_size(oid) from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace
"""
_INDEXES = """
select indexrelname, pg_relation_size(indexrelid) from pg_stat_user_indexes where relname = any (%s)
"""
_COUNTERS = """
select xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, (select wal_fpi from pg_stat_wal)
from pg_stat_database where datname = current_database()
"""
#: Tables that keep a row for ever; the others hold images in flight.
KEPT = ("images", "outcomes", "detections", "audit", "idempotency_keys")
_LEASE, _LINGER = timedelta(seconds=60), timedelta(milliseconds=20)
_POLICY = 1


class Way:
    """Images on the way from the upload to the outcome."""

    def __init__(self, url: str, detections: int, remote_queue: bool) -> None:
        """Messages to a remote queue pass through the outbox; what sends them here drops them."""
        self._database = database = Database(url)
        self._outbox = Outbox(database, lambda _, __: None, _LINGER) if remote_queue else None
        self.intake, self.progress = PostgresIntake(database, self._outbox), PostgresProgress(database, self._outbox)
        self.queue, self.upkeep = PostgresQueue(database, owner="bench"), PostgresUpkeep(database)
        self._seen = examples.inspected(*(["carton"] * detections))
        examples.serve(PostgresRegistry(self._database))

    def take(self, images: list[NewImage]) -> None:
        """All of them together, as far as it goes."""
        self.intake.accept(images)
        for stage in (Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE):
            wait = timedelta(seconds=1)
            deliveries = [] if self._outbox else self.queue.receive(queues_of(stage), len(images), wait, _LEASE)
            claims = self.progress.claim(stage, [examples.message(stage, i) for i in images], "bench", _LEASE)
            held = [claim for claim in claims if isinstance(claim, Claim)]
            kept = self.progress.complete([Completion(c, self._result(stage, c), 12.5) for c in held])
            self.queue.acknowledge(deliveries)
            if len(held) != len(images) or not all(kept):
                raise RuntimeError(f"{stage}: {len(held)} claimed and {sum(kept)} completed of {len(images)} images")

    def _result(self, stage: Stage, claim: Claim) -> Prepared | Inspected | Outcome:
        match stage:
            case Stage.PREPROCESS:
                return examples.prepared(f"prepared/hall-1/2026/11/24/{claim.image.image_id}-1.zstd")
            case Stage.INFERENCE:
                return self._seen
            case _:
                detail = "2 holes of 0.61 and 0.54: the policy asks for a person from 0.30 on."
                return Outcome(ImageState.DECIDED, Verdict.REVIEW, "hole", detail, _POLICY, ())

    def close(self) -> None:
        """Sends what waits, frees connections."""
        if self._outbox:
            self._outbox.close()
        self.queue.close()
        self._database.close()


def image(n: int, at: datetime) -> NewImage:
    """As `framegate submit` sends it: an idempotency key, a moment of capture, a shipment."""
    facility, made = FacilityId("hall-1"), examples.new_image()
    return examples.new_image(
        facility=facility,
        image_id=made.image_id,
        camera=CameraId(f"dock-{n % 40}"),
        blob_key=blob_key(facility, made.image_id, MediaType.JPEG, at),
        size_bytes=390_000,
        width=1920,
        height=1080,
        captured_at=at + timedelta(milliseconds=n),
        metadata={"shipment": f"{4_711_000 + n // 20}", "dock": f"{n % 40}"},
        key_id="k3v9q2x7",
        idempotency_key=sha256(str(n).encode()).hexdigest(),
        request_hash=sha256(f"request {n}".encode()).hexdigest(),
    )


@contextmanager
def database(scratch: Path) -> Iterator[tuple[str, int]]:
    """The URL of a migrated, empty database, and the pid of its server."""
    scratch.mkdir()
    with EmbeddedPostgres(scratch).owned() as url:
        migrate(url)
        (pid_file,) = scratch.rglob("postmaster.pid")
        yield url, int(pid_file.read_text("utf-8").split("\n", 1)[0])


def measure(scratch: Path, count: int, batch: int, detections: int, remote_queue: bool) -> dict[str, Any]:
    """One run on a new database."""
    with database(scratch) as (url, pid), psycopg.connect(url, autocommit=True) as side:
        way = Way(url, detections, remote_queue)
        at = datetime(2026, 11, 24, tzinfo=UTC)
        images = [image(n, at) for n in range(count)]
        way.take([image(count + n, at) for n in range(batch)])  # connections, prepared statements
        side.execute("checkpoint")
        empty = {name: table + indexes for name, table, indexes in side.execute(_SIZES).fetchall()}
        before, cpu, started = _counters(side), cpu_seconds({"it": pid})["it"], time.perf_counter()
        for first in range(0, count, batch):
            way.take(images[first : first + batch])
        elapsed, cpu = time.perf_counter() - started, cpu_seconds({"it": pid})["it"] - cpu
        commits, wal, pages = (after - b for after, b in zip(_counters(side), before, strict=True))
        side.execute("vacuum (analyze)")
        looked = time.perf_counter()
        way.upkeep.conservation()
        looked = time.perf_counter() - looked
        way.close()
        if side.execute("select from outbox").fetchall():
            raise RuntimeError("messages were not sent: their removal is missing in these figures")
        tables = {
            name: {"table": round(table / count, 1), "indexes": round(indexes / count, 1)}
            for name, table, indexes in side.execute(_SIZES).fetchall()
            if name in KEPT and table + indexes > empty[name]
        }
        indexes = {name: round(size / count, 1) for name, size in side.execute(_INDEXES, [list(KEPT)]).fetchall()}
    return {
        "images": count,
        "batch": batch,
        "detections": detections,
        "queue": "remote" if remote_queue else "postgres",
        "bytes_per_image": dict(sorted(tables.items())),
        "index_bytes_per_image": dict(sorted(indexes.items())),
        "wal_bytes_per_image": round(wal / count),
        "full_pages_per_image": round(pages / count, 2),
        "commits_per_image": round(commits / count, 2),
        "core_ms_per_image": round(cpu * 1000 / count, 3),
        "conservation_us_per_image": round(looked * 1e6 / count, 2),
        "images_per_s_one_client": round(count / elapsed, 1),
    }


def _counters(side: psycopg.Connection[Any]) -> tuple[int, ...]:
    side.execute("select pg_stat_force_next_flush()")
    time.sleep(1.5)  # the statistics of other sessions arrive up to a second late
    row = side.execute(_COUNTERS).fetchone()
    assert row is not None
    return tuple(row)


def main() -> None:
    """Each combination once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    count = parser.parse_args().images
    # (batch, detections, remote queue): the batch is varied for CPU and WAL, the detections for bytes.
    runs = [(10, 10, True), (10, 0, True), (10, 10, False), (1, 10, True), (64, 10, True)]
    with tempfile.TemporaryDirectory(prefix="framegate-database-") as directory:
        results = [measure(Path(directory) / str(n), count, *run) for n, run in enumerate(runs)]
    print(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), "runs": results}, indent=2))


if __name__ == "__main__":
    main()
