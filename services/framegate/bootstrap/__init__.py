"""The composition root: the only module that knows which adapter stands behind which port.

What only one stage needs is imported where that stage is made: a process loads its own stage and starts fast.
"""

import os
import secrets
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from framegate import __version__
from framegate.adapters.blobs_local import LocalBlobs
from framegate.adapters.clock import SystemClock
from framegate.adapters.embedded_postgres import EmbeddedPostgres, database_of
from framegate.adapters.postgres import (
    Database,
    PostgresCameras,
    PostgresIntake,
    PostgresKeys,
    PostgresPolicies,
    PostgresProgress,
    PostgresQueue,
    PostgresRegistry,
    PostgresResults,
    PostgresShadows,
    PostgresUpkeep,
    PostgresWorkers,
    migrate,
)
from framegate.bootstrap.engines import make_engine
from framegate.gate.policy import document_from_manifest
from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.inspection import ImageFacts
from framegate.kernel.manifest import ModelInput, ModelManifest
from framegate.kernel.states import Lane, Stage
from framegate.observability.catalogue import ACCEPT_SECONDS, IMAGES_ACCEPTED, IMAGES_REFUSED
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.blobs import Blobs
from framegate.ports.registry import unknown
from framegate.ports.training import Trainer
from framegate.settings import Settings, keep_ultralytics_offline
from framegate.starter import starter_dir
from framegate.worker.handler import Handler, WorkerOptions
from framegate.worker.loop import Worker
from framegate.worker.models import ModelFiles, Rollouts, register, serve_now

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = [
    "EmbeddedPostgres",
    "Service",
    "Stores",
    "database_of",
    "make_api",
    "make_engine",
    "make_service",
    "migrate",
    "open_stores",
]


class Service(Protocol):
    """What a process runs: a worker or the sweeper."""

    def run(self, stop: Any) -> None:
        """Blocks until stopped; raises when it cannot go on."""
        ...

    @property
    def trouble(self) -> str:
        """Why it is not ready; empty when it is."""
        ...


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that lives in Postgres."""

    database: Database
    progress: PostgresProgress
    intake: PostgresIntake
    results: PostgresResults
    cameras: PostgresCameras
    policies: PostgresPolicies
    registry: PostgresRegistry
    shadows: PostgresShadows
    workers: PostgresWorkers
    upkeep: PostgresUpkeep
    keys: PostgresKeys

    def queue(self, owner: str) -> PostgresQueue:
        """A queue client of its own for `owner`; close it."""
        return PostgresQueue(self.database, owner=owner)

    def close(self) -> None:
        """Closes the connections."""
        self.database.close()


def open_stores(url: str) -> Stores:
    """Connects lazily: the first use raises `DependencyUnavailable` when nothing answers."""
    database = Database(url)
    return Stores(
        database,
        PostgresProgress(database),
        PostgresIntake(database),
        PostgresResults(database),
        PostgresCameras(database),
        PostgresPolicies(database),
        PostgresRegistry(database),
        PostgresShadows(database),
        PostgresWorkers(database),
        PostgresUpkeep(database),
        PostgresKeys(database),
    )


def open_blobs(settings: Settings) -> Blobs:
    """The local directory of the box."""
    return LocalBlobs(settings.data / "blobs")


def load_manifest(ref: str) -> ModelManifest:
    """`starter`, or the path of a model.toml or of its directory; raises `ModelRefused`."""
    if ref == "starter":
        return ModelManifest.load(starter_dir())
    path = Path(ref).expanduser()
    if not path.exists():
        raise ModelRefused(
            f"there is no model at {path}: give the path of a model.toml, of its directory, 'starter', or NAME@VERSION "
            "of a registered model"
        )
    return ModelManifest.load(path)


def model_files(settings: Settings, stores: Stores, blobs: Blobs) -> ModelFiles:
    """Registered models as files of this host."""
    return ModelFiles(stores.registry, blobs, settings.model_cache or settings.data / "cache" / "models")


def resolve_model(settings: Settings, stores: Stores, blobs: Blobs, ref: str) -> ModelManifest:
    """Like `load_manifest`, and `name@version` of a registered model."""
    if "@" in ref and not Path(ref).expanduser().exists():
        model = stores.registry.model(ref)
        if model is None:
            raise unknown(ref)
        return model_files(settings, stores, blobs).with_weights(model.key)
    return load_manifest(ref)


def make_trainer() -> Trainer:
    """What trains; raises `ConfigurationError` where it is not installed."""
    keep_ultralytics_offline()
    try:
        from framegate.adapters.training_ultralytics import UltralyticsTrainer
    except ImportError as error:
        raise ConfigurationError(
            f"training needs what is not installed ({error}): pip install 'framegate[train]'"
        ) from error
    return UltralyticsTrainer()


def adopt_model(settings: Settings, stores: Stores, actor: str) -> None:
    """Registers and deploys the model that the settings name; without one, what serves stays, at first the starter."""
    if settings.model is None and stores.registry.active() is not None:
        return
    blobs, ref = open_blobs(settings), settings.model or "starter"
    model = stores.registry.model(ref) if "@" in ref else None
    if model is None:
        model = register(stores.registry, blobs, resolve_model(settings, stores, blobs, ref), actor)
    serve_now(stores.registry, model, actor)
    follow_model(stores, model_files(settings, stores, blobs).manifest(model.key))


def follow_model(stores: Stores, manifest: ModelManifest) -> None:
    """A policy that only came from another model's manifest follows the new one; what people wrote stays."""
    current = stores.policies.current_policy(DEFAULT_FACILITY)
    if current is None or current.created_by == "framegate":
        stores.policies.add_policy(DEFAULT_FACILITY, document_from_manifest(manifest), "framegate")


def worker_name(settings: Settings, stages: Sequence[Stage]) -> str:
    """The name under which a process holds messages; a successor that is given the same one frees them at once.

    Without one that somebody gave, the process's own: two processes of one stage must never take each other for dead.
    """
    return settings.worker_name or f"{socket.gethostname()}/{'+'.join(stages)}/{os.getpid()}"


def make_service(
    stage: Stage, settings: Settings, stores: Stores, metrics: Metrics, closing: ExitStack, process: str
) -> Service:
    """One stage of the process that reports itself as `process`, ready to run: children started, models loaded and warm."""
    clock, blobs = SystemClock(), open_blobs(settings)
    owner = f"{worker_name(settings, [stage])}#{stage}"
    queue = stores.queue(owner)
    closing.callback(queue.close)
    options = WorkerOptions(
        owner=owner,
        lease=settings.lease,
        poll=timedelta(seconds=settings.worker.poll_s),
        drain=timedelta(seconds=settings.worker.drain_s),
        max_attempts=settings.worker.max_attempts,
        last_attempt=settings.worker.last_attempt,
    )
    if stage is Stage.SWEEP:
        from framegate.sweep.canary import CanaryBounds, CanaryGuard
        from framegate.sweep.sweeper import Sweeper, SweepOptions

        sweep, bounds = settings.sweep, CanaryBounds(**settings.canary.model_dump())
        return Sweeper(
            stores.upkeep,
            queue,
            blobs,
            CanaryGuard(stores.registry, bounds, metrics, get_log(stage="sweep")),
            SweepOptions(
                every=timedelta(seconds=sweep.every_s),
                overdue=timedelta(seconds=sweep.overdue_s),
                conservation_every=timedelta(seconds=sweep.conservation_every_s),
                leftovers_after=timedelta(hours=sweep.leftovers_after_h),
            ),
            clock,
            metrics,
        )
    if stores.registry.active() is None:
        adopt_model(settings, stores, "operator")
    handler, options = _handler(stage, settings, stores, blobs, metrics, options, closing, process)
    return Worker(handler, queue, stores.progress, options, clock, metrics)


def _handler(
    stage: Stage,
    settings: Settings,
    stores: Stores,
    blobs: Blobs,
    metrics: Metrics,
    options: WorkerOptions,
    closing: ExitStack,
    process: str,
) -> tuple[Handler[Any], WorkerOptions]:
    files, rollouts = model_files(settings, stores, blobs), Rollouts(stores.registry, SystemClock())
    match stage:
        case Stage.PREPROCESS:
            from framegate.preprocess.decoder_pool import DecoderChild
            from framegate.preprocess.stage import PreprocessHandler

            command = (sys.executable, "-P", "-m", settings.preprocess.child)

            def input_for(image: ImageFacts) -> ModelInput:
                return files.manifest(rollouts.current().model_for(image.facility, image.camera)).input

            preprocess = PreprocessHandler(blobs, input_for, settings.preprocess.codec, lambda: DecoderChild(command))
            preprocess.warm(settings.preprocess.children)
            lanes, prefetch = settings.preprocess.children, settings.preprocess.prefetch
            return preprocess, replace(options, lanes=lanes, max_batch=1, prefetch=prefetch, isolates=True)
        case Stage.INFERENCE:
            from framegate.inference.chains import ChainModels
            from framegate.inference.classes import decode_classes
            from framegate.inference.deployments import DeploymentWatch
            from framegate.inference.fleet import Fleet, warm_models
            from framegate.inference.naming import Naming
            from framegate.inference.shadow import ShadowRunner
            from framegate.inference.stage import InferenceHandler

            clock, log = SystemClock(), get_log(worker=process)
            fleet = Fleet(warm_models(files.with_weights, lambda m: make_engine(settings, m), clock), clock)
            classifier = warm_models(files.with_weights, lambda m: make_engine(settings, m), clock, decode_classes)
            chains = ChainModels(stores.policies, stores.registry, classifier, clock, metrics, log)
            closing.callback(chains.close)
            watch = DeploymentWatch(stores.registry, fleet, process, clock, metrics, log, chains.refresh)
            started = clock.monotonic()
            watch.start()
            shadow = closing.enter_context(ShadowRunner(fleet, stores.shadows, metrics, log))
            closing.enter_context(watch)
            log.info(
                "engine ready",
                action="engine_ready",
                model=fleet.incumbent.key.ref,
                engine=fleet.incumbent.engine.description,
                batch=fleet.incumbent.batch,
                warm_s=round(clock.monotonic() - started, 3),
            )
            handler = InferenceHandler(fleet, blobs, shadow.offer, Naming(chains, metrics, log).label)
            inference = settings.inference
            wait = timedelta(milliseconds=inference.max_wait_ms)
            return handler, replace(
                options,
                max_batch=inference.max_batch,
                batch=handler.batch,
                max_wait=wait,
                prefetch=inference.prefetch,
            )
        case Stage.GATE:
            from framegate.gate.stage import GateHandler

            first_policy = document_from_manifest(files.manifest(rollouts.current().incumbent))
            gate = GateHandler(stores.policies, first_policy, SystemClock())
            batch = settings.gate.max_batch
            return gate, replace(options, max_batch=batch, prefetch=batch)
        case _:
            raise ConfigurationError(f"{stage} is not a stage that consumes a queue")


def read_pepper(settings: Settings) -> bytes:
    """From the setting, or from a file in the data directory that is made at its first use (0600)."""
    if settings.pepper is not None:
        return settings.pepper.get_secret_value().encode()
    file = settings.pepper_file or settings.data / "secrets" / "pepper"
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as new:
            new.write(secrets.token_hex(32))
            new.flush()
            os.fsync(new.fileno())
        # A link appears whole or not at all, and never replaces the file of a process that was faster.
        with suppress(FileExistsError):
            os.link(draft, file)
        draft.unlink()
    return file.read_text("ascii").strip().encode()


class _ApiMetrics:
    """What ingest tells, in terms of the catalogue."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def accepted(self, lane: Lane) -> None:
        """An upload was answered with 202."""
        self._metrics.count(IMAGES_ACCEPTED, lane=str(lane))

    def refused(self, slug: str) -> None:
        """An upload was answered with a problem."""
        self._metrics.count(IMAGES_REFUSED, reason=slug)

    def accept_seconds(self, seconds: float) -> None:
        """From the first byte to the 202."""
        self._metrics.observe(ACCEPT_SECONDS, seconds)


def make_api(settings: Settings, stores: Stores, metrics: Metrics) -> "FastAPI":
    """The HTTP application."""
    from framegate.ingest.app import create_app
    from framegate.ingest.deps import ApiDependencies, ApiLimits

    api = settings.api
    loopback = api.host in ("127.0.0.1", "::1", "localhost")
    return create_app(
        ApiDependencies(
            intake=stores.intake,
            results=stores.results,
            cameras=stores.cameras,
            keys=stores.keys,
            workers=stores.workers,
            upkeep=stores.upkeep,
            blobs=open_blobs(settings),
            clock=SystemClock(),
            metrics=_ApiMetrics(metrics),
            render_metrics=metrics.render,
            pepper=read_pepper(settings),
            version=__version__,
            limits=ApiLimits(
                rate_per_s=api.rate_limit_per_s,
                max_concurrent_uploads=api.max_concurrent_uploads,
                min_free_bytes=api.min_free_mb * 2**20,
                max_backlog=api.max_backlog,
            ),
            required_stages=frozenset({Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE, Stage.SWEEP}),
            backlog=stores.upkeep.in_flight,
            watch_failures=not loopback,
        )
    )
