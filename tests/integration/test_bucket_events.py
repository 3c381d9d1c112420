"""Objects in a bucket, told of over a queue or by hand, up to their outcome."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from framegate.adapters.clock import SystemClock
from framegate.adapters.memory import MemoryObjects
from framegate.bootstrap import Stores, bucket_events, check_queues, load_manifest, open_blobs, open_stores, provision
from framegate.bootstrap import objects as composition
from framegate.cli import app
from framegate.gate.policy import document_from_manifest
from framegate.gate.stage import GateHandler
from framegate.kernel.errors import ConfigurationError, DependencyUnavailable
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.manifest import ModelInput
from framegate.kernel.states import ImageState, Stage
from framegate.observability.catalogue import BUCKET_EVENTS
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Tracing
from framegate.ports.store import ImageFilter, ImageRecord
from framegate.preprocess.stage import PreprocessHandler
from framegate.settings import Settings
from framegate.worker.handler import Handler, WorkerOptions
from framegate.worker.loop import Worker
from tests.support.box import until
from tests.support.moto_s3 import MotoBucket
from tests.support.pictures import cut_in_mid_scan, jpeg

EVENTS = "bucket-events"


class Site:
    """A database, an empty data directory, and buckets in memory."""

    def __init__(self, stores: Stores, objects: MemoryObjects) -> None:
        self.stores, self.objects = stores, objects
        self.settings, self.metrics, self.clock = Settings.read(), Metrics(), SystemClock()

    def tell(self, *keys: str) -> None:
        with ExitStack() as stack:
            queue = self.stores.queue("bucket")
            stack.callback(queue.close)
            queue.send(EVENTS, [told(key) for key in keys])

    @property
    def images(self) -> dict[str, ImageRecord]:
        """By the object's key; fails when a key has two images."""
        found = self.stores.results.images(ImageFilter(frozenset({DEFAULT_FACILITY})), 100)
        by_key = {record.metadata["meta.key"]: record for record in found}
        assert len(by_key) == len(found)
        return by_key

    @contextmanager
    def stages(self) -> Iterator[None]:
        """Preprocess and gate; nobody inspects."""
        model = ModelInput(64, 64, dynamic_batch=True, dynamic_size=False)
        preprocess = PreprocessHandler(open_blobs(self.settings), lambda _: model, "raw")
        gate = GateHandler(self.stores.policies, document_from_manifest(load_manifest("starter")), self.clock)
        stop = threading.Event()
        with ExitStack() as stack:
            for handler in (preprocess, gate):
                thread = threading.Thread(target=self._worker(handler, stack).run, args=(stop,))
                stack.callback(thread.join, 30)
                thread.start()
            stack.callback(stop.set)
            yield

    def _worker(self, handler: "Handler[object]", stack: ExitStack) -> "Worker[object]":
        queue = self.stores.queue(str(handler.stage))
        stack.callback(queue.close)
        options = WorkerOptions(
            owner=str(handler.stage), lease=timedelta(seconds=60), poll=timedelta(seconds=1), max_batch=1
        )
        return Worker(handler, queue, self.stores.progress, options, self.clock, self.metrics)


def told(key: str, bucket: str = "photos") -> str:
    thing = {"key": key, "eTag": key, "sequencer": "1"}
    return json.dumps(
        {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": thing}}]}
    )


@pytest.fixture
def site(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    objects = MemoryObjects(SystemClock())
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("FRAMEGATE_DATA", str(tmp_path))
    monkeypatch.setenv("FRAMEGATE_EVENTS__QUEUE", EVENTS)
    monkeypatch.setattr(composition, "open_objects", lambda _: objects)
    stores = open_stores(Settings.read(), database_url)
    monkeypatch.setattr(composition, "open_sqs", lambda _: stores.queue("events"))
    yield Site(stores, objects)
    stores.close()


def test_every_object_gets_one_image_and_what_is_none_ends_as_rejected(site: Site) -> None:
    contents = {"dock-1/good.jpg": jpeg(1), "dock-1/text.jpg": b"text", "torn.jpg": jpeg(2)[:-500], "none.jpg": b""}
    contents["decoded.jpg"] = cut_in_mid_scan(jpeg(3))
    for key, data in contents.items():
        site.objects.store("photos", key, data)
    site.tell(*contents, "dock-1/good.jpg", "dock-1/text.jpg", "gone.jpg")
    with bucket_events(site.settings, site.stores, site.metrics, Tracing()), site.stages():
        total = len(contents) + 3
        results = ("accepted", "known", "skipped")
        until(lambda: sum(site.metrics.value(BUCKET_EVENTS, {"result": result}) for result in results) == total)
        until(lambda: all(record.state is not ImageState.RECEIVED for record in site.images.values()))
        until(lambda: sum(record.state is ImageState.REJECTED for record in site.images.values()) == 4)
    ends = {key: record.reason for key, record in site.images.items() if record.state is ImageState.REJECTED}
    assert ends.pop("decoded.jpg")  # only a decoder can tell
    assert ends == {"dock-1/text.jpg": "unrecognized-image", "torn.jpg": "truncated-image", "none.jpg": "empty-body"}
    good = site.images["dock-1/good.jpg"]
    assert (good.state, good.facts.camera) == (ImageState.PREPARED, "dock-1")
    assert [check for check in site.stores.upkeep.check_invariants() if check.violations] == []
    assert site.stores.upkeep.conservation().accepted == len(contents)


def test_an_object_that_is_told_of_by_many_at_once_is_one_image(site: Site) -> None:
    site.objects.store("photos", "a.jpg", jpeg(1))
    site.tell(*["a.jpg"] * 20)
    with (
        bucket_events(site.settings, site.stores, site.metrics, Tracing()),
        bucket_events(site.settings, site.stores, site.metrics, Tracing()),
    ):
        until(lambda: site.metrics.value(BUCKET_EVENTS, {"result": "known"}) == 19)
    assert site.metrics.value(BUCKET_EVENTS, {"result": "accepted"}) == 1
    assert list(site.images) == ["a.jpg"]
    originals = [file for file in (site.settings.data / "blobs" / "originals").rglob("*") if file.is_file()]
    assert [file.read_bytes() for file in originals] == [jpeg(1)]


def test_an_object_put_into_a_bucket_of_s3_is_taken_in_by_its_event(
    database_url: str, moto_bucket: MotoBucket, tmp_path: Path
) -> None:
    queue = f"{moto_bucket.name}-events"
    settings = Settings.read(
        data=tmp_path,
        queue={"poll_s": 1},
        blobs={"kind": "s3", "bucket": moto_bucket.name},
        events={"queue": queue},
    )
    provision(settings)
    check_queues(settings, [Stage.INGEST])
    stores, metrics, s3 = open_stores(settings, database_url), Metrics(), moto_bucket.client()
    with closing(stores), closing(s3), bucket_events(settings, stores, metrics, Tracing()):
        s3.put_object(Bucket=moto_bucket.name, Key="uploads/dock-7/ä b+c.jpg", Body=jpeg(1))
        s3.put_object(Bucket=moto_bucket.name, Key="elsewhere/a.jpg", Body=jpeg(2))
        until(lambda: metrics.value(BUCKET_EVENTS, {"result": "accepted"}) == 1)
        (record,) = stores.results.images(ImageFilter(frozenset({DEFAULT_FACILITY})), 100)
        assert (record.facts.camera, record.metadata["meta.key"]) == ("dock-7", "uploads/dock-7/ä b+c.jpg")
        assert open_blobs(settings).get(record.facts.blob_key) == jpeg(1)


def test_without_a_queue_nothing_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRAMEGATE_EVENTS__QUEUE")
    with bucket_events(Settings.read(), site.stores, site.metrics, Tracing()):
        assert "bucket-events" not in {thread.name for thread in threading.enumerate()}


# --- by hand -----------------------------------------------------------------------------------------------------------


def by_hand(file: Path | str, event: str | None = None) -> Result:
    return CliRunner().invoke(app, ["ingest-event", str(file)], input=event)


def test_ingest_event_says_of_each_record_what_became_of_it(site: Site, tmp_path: Path) -> None:
    site.objects.store("photos", "dock-1/a.jpg", jpeg(1))
    file = tmp_path / "event.json"
    bodies = [told("dock-1/a.jpg"), told("dock-1/a.jpg"), told("gone.jpg"), "nonsense"]
    records = [{"eventSource": "aws:sqs", "body": body} for body in bodies]
    file.write_text(json.dumps({"Records": records}))
    result = by_hand(file)
    image_id = site.images["dock-1/a.jpg"].facts.image_id
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"accepted {image_id}",
        f"already known {image_id}",
        "skipped: missing (photos/gone.jpg)",
        "skipped: not-an-event (record 4: this is not JSON)",
    ]


def test_ingest_event_reads_standard_input(site: Site) -> None:
    site.objects.store("photos", "a.jpg", jpeg(1))
    result = by_hand("-", told("a.jpg"))
    assert (result.exit_code, result.stdout.split()[0]) == (0, "accepted")


def test_ingest_event_goes_on_after_a_failure_and_says_in_the_end_that_there_was_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.objects.store("photos", "a.jpg", jpeg(1))
    read = site.objects.read

    def failing(bucket: str, *arguments: object) -> bytes:
        if bucket == "away":
            raise DependencyUnavailable("S3 is away")
        return read(bucket, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(site.objects, "read", failing)
    both = json.dumps(
        {"Records": [{"eventSource": "aws:sqs", "body": body} for body in (told("x", "away"), told("a.jpg"))]}
    )
    result = by_hand("-", both)
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert first == "failed: S3 is away"
    assert second.startswith("accepted ")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1]", None])
def test_ingest_event_names_a_file_that_it_cannot_use(site: Site, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "event.json"
    if content is not None:
        file.write_bytes(content)
    result = by_hand(file)
    assert isinstance(result.exception, ConfigurationError)
    assert str(file) in str(result.exception)
