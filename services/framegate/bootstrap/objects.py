"""Images that come over buckets: their intake, and the consumer of the buckets' events."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from framegate.adapters.clock import SystemClock
from framegate.adapters.measured import MeasuredQueue
from framegate.bootstrap.stores import Stores, open_blobs, open_objects, open_sqs
from framegate.kernel.ids import FacilityId
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Tracing
from framegate.settings import Settings

if TYPE_CHECKING:
    from framegate.ingest.objects import ObjectIntake


def object_intake(settings: Settings, stores: Stores, metrics: Metrics, tracing: Tracing) -> "ObjectIntake":
    """Raises `ConfigurationError` when S3 cannot be used."""
    from framegate.ingest.counting import CountedIntake
    from framegate.ingest.objects import Bucket, ObjectIntake

    own = Bucket(settings.blobs.bucket, settings.blobs.prefix) if settings.blobs.kind == "s3" else Bucket()
    return ObjectIntake(
        open_objects(settings),
        stores.uploads,
        CountedIntake(stores.intake, metrics),
        open_blobs(settings, metrics),
        SystemClock(),
        tracing,
        own=own,
        facility=FacilityId(settings.events.facility),
    )


@contextmanager
def bucket_events(settings: Settings, stores: Stores, metrics: Metrics, tracing: Tracing) -> Iterator[None]:
    """Reads the queue that the settings name in a thread of its own until left; without one it does nothing."""
    if not settings.events.queue:
        yield
        return
    from framegate.ingest.events import BucketEvents

    objects = object_intake(settings, stores, metrics, tracing)
    with closing(MeasuredQueue(open_sqs(settings), metrics)) as queue:
        tell = stores.incidents.raise_alert
        consumer = BucketEvents(queue, settings.events.queue, objects, metrics, SystemClock(), tell)
        stop = threading.Event()
        thread = threading.Thread(target=consumer.run, args=(stop,), name="bucket-events")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            queue.interrupt()
            thread.join()
