"""Images that come over buckets: their intake, and the consumer of the buckets' events."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from framegate.adapters.clock import SystemClock
from framegate.bootstrap.stages import worker_name
from framegate.bootstrap.stores import Stores, open_blobs, open_objects
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import FacilityId
from framegate.kernel.states import Stage
from framegate.observability.metrics import Metrics
from framegate.settings import Settings

if TYPE_CHECKING:
    from framegate.ingest.objects import ObjectIntake


def object_intake(settings: Settings, stores: Stores) -> "ObjectIntake | None":
    """None where the settings name no bucket."""
    from framegate.ingest.objects import Bucket, ObjectIntake

    objects = open_objects(settings)
    if objects is None:
        return None
    return ObjectIntake(
        objects,
        stores.uploads,
        stores.intake,
        open_blobs(settings),
        SystemClock(),
        own=Bucket(settings.blobs.bucket, settings.blobs.prefix),
        facility=FacilityId(settings.events.facility),
    )


def need_object_intake(settings: Settings, stores: Stores) -> "ObjectIntake":
    """Raises `ConfigurationError` where the settings name no bucket."""
    found = object_intake(settings, stores)
    if found is None:
        raise ConfigurationError(
            "bucket events need a bucket to copy the images to: "
            "set FRAMEGATE_BLOBS__KIND=s3 and FRAMEGATE_BLOBS__BUCKET, or empty FRAMEGATE_EVENTS__QUEUE"
        )
    return found


@contextmanager
def bucket_events(settings: Settings, stores: Stores, metrics: Metrics) -> Iterator[None]:
    """Reads the queue that the settings name in a thread of its own until left; without one it does nothing."""
    if not settings.events.queue:
        yield
        return
    from framegate.ingest.events import BucketEvents

    objects = need_object_intake(settings, stores)
    with closing(stores.queue(f"{worker_name(settings, [Stage.INGEST])}#events")) as queue:
        consumer = BucketEvents(queue, settings.events.queue, objects, metrics, SystemClock())
        stop = threading.Event()
        thread = threading.Thread(target=consumer.run, args=(stop,), name="bucket-events")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            queue.interrupt()
            thread.join()
