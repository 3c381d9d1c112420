"""Where everything is kept: the stores in Postgres, the queue there or in SQS, the blobs on disk or in S3."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from framegate.adapters.blobs_local import LocalBlobs
from framegate.adapters.clock import SystemClock
from framegate.adapters.measured import MeasuredBlobs, MeasuredIntake, MeasuredProgress, MeasuredQueue
from framegate.adapters.postgres import (
    Database,
    Outbox,
    PostgresAuditLog,
    PostgresCameraHealths,
    PostgresCameras,
    PostgresDeliveries,
    PostgresDrifts,
    PostgresEndpoints,
    PostgresHolds,
    PostgresIncidents,
    PostgresIntake,
    PostgresKeys,
    PostgresOverview,
    PostgresPeople,
    PostgresPolicies,
    PostgresProgress,
    PostgresQueue,
    PostgresRegistry,
    PostgresResults,
    PostgresRetention,
    PostgresReviews,
    PostgresShadows,
    PostgresUpkeep,
    PostgresUploads,
    PostgresWorkers,
)
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.states import Stage
from framegate.observability.dependencies import Calls
from framegate.observability.metrics import Metrics
from framegate.observability.redaction import keep_secret
from framegate.pipeline import ALL_QUEUES, queues_at
from framegate.ports.blobs import Blobs
from framegate.ports.objects import Objects
from framegate.ports.progress import Progress
from framegate.ports.queue import ClosingQueue
from framegate.ports.store import Intake
from framegate.settings import Settings

if TYPE_CHECKING:
    from framegate.adapters.aws.queue import SqsQueue


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that lives in Postgres, and the way to the queue."""

    database: Database
    outbox: Outbox | None  #: where the queue is elsewhere
    queue: Callable[[str], ClosingQueue]  #: a client of its own for an owner; close it
    progress: Progress
    intake: Intake
    uploads: PostgresUploads
    results: PostgresResults
    cameras: PostgresCameras
    camera_healths: PostgresCameraHealths
    drifts: PostgresDrifts
    policies: PostgresPolicies
    registry: PostgresRegistry
    retention: PostgresRetention
    holds: PostgresHolds
    reviews: PostgresReviews
    overview: PostgresOverview
    shadows: PostgresShadows
    workers: PostgresWorkers
    upkeep: PostgresUpkeep
    keys: PostgresKeys
    people: PostgresPeople  #: `Logins` as well
    incidents: PostgresIncidents
    endpoints: PostgresEndpoints
    deliveries: PostgresDeliveries
    audit: PostgresAuditLog
    close: Callable[[], None]  #: sends what is in the outbox's hands, closes the connections


def open_stores(settings: Settings, url: str, metrics: Metrics | None = None) -> Stores:
    """Connects lazily: the first use raises `DependencyUnavailable` when nothing answers. With `metrics`, what images pass
    through and what pages read is timed.

    With a queue in SQS, raises `ConfigurationError` when its client cannot be made.
    """
    # As it stands there, and as it is meant.
    password = urlsplit(url).password or ""
    keep_secret(password, unquote(password))
    calls = None if metrics is None else Calls(metrics, "database")
    database = Database(url) if calls is None else Database(url, page_timer=lambda: calls("page"))
    outbox: Outbox | None = None
    queue: Callable[[str], ClosingQueue]
    close = database.close
    if settings.queue.kind == "sqs":
        sender: ClosingQueue = open_sqs(settings)
        sender = sender if metrics is None else MeasuredQueue(sender, metrics)
        outbox = made = Outbox(database, sender.send, timedelta(milliseconds=settings.queue.linger_ms))

        def queue(_: str) -> ClosingQueue:
            return open_sqs(settings)

        def close() -> None:
            made.close()
            sender.close()
            database.close()
    else:

        def queue(owner: str) -> ClosingQueue:
            return PostgresQueue(database, owner=owner)

    stores = Stores(
        database,
        outbox,
        queue,
        PostgresProgress(database, outbox, settings.reviews.sample),
        PostgresIntake(database, outbox),
        PostgresUploads(database),
        PostgresResults(database),
        PostgresCameras(database),
        PostgresCameraHealths(database),
        PostgresDrifts(database),
        PostgresPolicies(database),
        PostgresRegistry(database),
        PostgresRetention(database),
        PostgresHolds(database),
        PostgresReviews(database),
        PostgresOverview(database),
        PostgresShadows(database),
        PostgresWorkers(database),
        PostgresUpkeep(database, outbox),
        PostgresKeys(database),
        PostgresPeople(database),
        PostgresIncidents(database),
        PostgresEndpoints(database),
        PostgresDeliveries(database),
        PostgresAuditLog(database),
        close,
    )
    return stores if metrics is None else _measured(stores, metrics)


def _measured(stores: Stores, metrics: Metrics) -> Stores:
    return replace(
        stores,
        queue=lambda owner: MeasuredQueue(stores.queue(owner), metrics),
        progress=MeasuredProgress(stores.progress, metrics),
        intake=MeasuredIntake(stores.intake, metrics),
    )


def check_queues(settings: Settings, stages: Iterable[Stage]) -> None:
    """The queues that these stages receive from and send to are there and may be seen. Raises `ConfigurationError`.

    No others: each stage may have a role of its own that knows only these. Less patient than work is: whoever starts the
    process waits for the answer.
    """
    stages = set(stages)
    wanted = {name for stage in stages for name in queues_at(stage)} if settings.queue.kind == "sqs" else set()
    if settings.events.queue and Stage.INGEST in stages:
        wanted.add(settings.events.queue)
    if wanted:
        with _boto3():
            from framegate.adapters.aws.client import at_start
        with closing(open_sqs(settings, patient=False)) as queue, at_start():
            queue.check(sorted(wanted))


def open_sqs(settings: Settings, *, patient: bool = True) -> "SqsQueue":
    """A client with its connections. Raises `ConfigurationError`."""
    with _boto3():
        from framegate.adapters.aws.client import at_start, make_client
        from framegate.adapters.aws.polling import PollOptions
        from framegate.adapters.aws.queue import SqsClients, SqsQueue
    wanted, region = settings.queue, settings.aws_region
    events = [settings.events.queue] if settings.events.queue else []
    with at_start():
        if patient:
            polls = make_client("sqs", region, read_s=wanted.poll_s + 5, connections=2 * wanted.polls + 2)
            clients = SqsClients(polls, make_client("sqs", region))
        else:
            clients = SqsClients(*[make_client("sqs", region, read_s=2, attempts=2)] * 2)
    return SqsQueue(
        clients,
        SystemClock(),
        wanted.prefix,
        PollOptions(wanted.polls, wanted.poll_s, linger_s=wanted.linger_ms / 1000),
        [*ALL_QUEUES, *events],
        whole=events,
        hold_deletes=wanted.linger_ms > 0,
    )


def provision(settings: Settings) -> list[str]:
    """Makes the queues, the bucket and its events that are missing; their names. Raises `ConfigurationError`."""
    made: list[str] = []
    # A URL belongs to a queue that is there.
    events = [settings.events.queue] if settings.events.queue and "://" not in settings.events.queue else []
    if settings.queue.kind != "sqs" and settings.blobs.kind != "s3" and not events:
        raise ConfigurationError(
            "nothing is in AWS here: set FRAMEGATE_QUEUE__KIND=sqs or FRAMEGATE_BLOBS__KIND=s3; 'framegate up' needs neither"
        )
    with _boto3():
        from framegate.adapters.aws.client import at_start, make_client
        from framegate.adapters.aws.provision import provision_bucket, provision_events, provision_queues
    with (
        at_start(),
        closing(make_client("sqs", settings.aws_region)) as sqs,
        closing(make_client("s3", settings.aws_region)) as s3,
    ):
        if settings.queue.kind == "sqs":
            made += provision_queues(sqs, settings.queue.prefix, ALL_QUEUES)
        made += provision_queues(sqs, "", events)
        if settings.blobs.kind == "s3":
            made += provision_bucket(s3, settings.blobs.bucket)
            for queue in events:
                made += provision_events(sqs, s3, settings.blobs.bucket, f"{settings.blobs.prefix}uploads/", queue)
    return made


@contextmanager
def _boto3() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(f"AWS needs boto3 ({error}): pip install 'framegate[aws]'") from error


def open_blobs(settings: Settings, metrics: Metrics | None = None) -> Blobs:
    """Where the settings say. Raises `ConfigurationError` when the bucket cannot be used; asks S3 once."""
    blobs = _blobs(settings)
    return blobs if metrics is None else MeasuredBlobs(blobs, metrics)


def _blobs(settings: Settings) -> Blobs:
    if settings.blobs.kind == "local":
        return LocalBlobs(settings.data / "blobs")
    client = _s3_client(settings)
    from framegate.adapters.aws.blobs import S3Blobs

    blobs = S3Blobs(client, settings.blobs.bucket, settings.blobs.prefix, settings.data / "spool")
    blobs.check()
    return blobs


def open_objects(settings: Settings) -> Objects:
    """With a local directory for the blobs, only the buckets of others can be read. Raises `ConfigurationError`."""
    client = _s3_client(settings)
    from framegate.adapters.aws.objects import S3Objects

    return S3Objects(client, settings.blobs.bucket, settings.blobs.prefix)


def _s3_client(settings: Settings) -> Any:
    if settings.blobs.kind == "s3" and not settings.blobs.bucket:
        raise ConfigurationError("no bucket is named: set FRAMEGATE_BLOBS__BUCKET, or FRAMEGATE_BLOBS__KIND=local")
    with _boto3():
        from framegate.adapters.aws.client import at_start, make_client
    with at_start():
        return make_client("s3", settings.aws_region, connections=64)
