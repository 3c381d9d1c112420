"""The stages as they run: each with its handler, its options, and what it needs beside it.

What only one stage needs is imported where that stage is made: a process loads its own stage and starts fast.
"""

import os
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

from framegate.adapters.aws.polling import MOST_IN_A_CALL
from framegate.adapters.clock import SystemClock
from framegate.adapters.measured import MeasuredEngine
from framegate.bootstrap.engines import make_engine
from framegate.bootstrap.hooks import make_alerts
from framegate.bootstrap.models import adopt_model, model_files
from framegate.bootstrap.stores import Stores, open_blobs
from framegate.gate.policy import document_from_manifest
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.inspection import ImageFacts
from framegate.kernel.manifest import ModelInput
from framegate.kernel.states import Stage
from framegate.observability.catalogue import ENGINE_FAULTS
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Tracing
from framegate.ports.blobs import Blobs
from framegate.ports.clock import Clock
from framegate.ports.queue import ClosingQueue
from framegate.settings import Settings
from framegate.worker.handler import Handler, WorkerOptions
from framegate.worker.loop import Worker
from framegate.worker.models import ModelFiles, Rollouts


class Service(Protocol):
    """What a process runs: a worker, the alerts or the sweeper."""

    def run(self, stop: Any) -> None:
        """Blocks until stopped; raises when it cannot go on."""
        ...

    @property
    def trouble(self) -> str:
        """Why it is not ready; empty when it is."""
        ...


def worker_name(settings: Settings, stages: Sequence[Stage]) -> str:
    """The name under which a process holds messages; a successor that is given the same one frees them at once.

    Without one that somebody gave, the process's own: two processes of one stage must never take each other for dead.
    """
    return settings.worker_name or f"{socket.gethostname()}/{'+'.join(stages)}/{os.getpid()}"


def make_service(
    stage: Stage,
    settings: Settings,
    stores: Stores,
    metrics: Metrics,
    tracing: Tracing,
    closing: ExitStack,
    process: str,
) -> Service:
    """One stage of the process that reports itself as `process`, ready to run: children started, models loaded and warm."""
    clock, blobs = SystemClock(), open_blobs(settings, metrics)
    owner = f"{worker_name(settings, [stage])}#{stage}"
    if stage is Stage.ALERTS:
        return make_alerts(settings, stores, metrics, tracing, closing, owner)
    queue = stores.queue(owner)
    closing.callback(queue.close)
    options = WorkerOptions(
        owner=owner,
        lease=settings.lease,
        poll=timedelta(seconds=settings.worker.poll_s),
        drain=timedelta(seconds=settings.worker.drain_s),
        max_attempts=settings.worker.max_attempts,
        last_attempt=settings.worker.last_attempt,
        tell=stores.incidents.raise_alert,
    )
    if stage is Stage.SWEEP:
        return _sweeper(settings, stores, queue, blobs, clock, metrics)
    if stores.registry.active() is None:
        adopt_model(settings, stores, "operator")
    parts = _Parts(settings, stores, blobs, clock, metrics, closing, process)
    match stage:
        case Stage.PREPROCESS:
            handler, options = _preprocess(parts, options)
        case Stage.INFERENCE:
            handler, options = _inference(parts, options)
        case Stage.GATE:
            handler, options = _gate(parts, options)
        case _:
            raise ConfigurationError(f"{stage} is not a stage that consumes a queue")
    if settings.queue.kind == "sqs":
        options = with_room_for_ten(options)
    return Worker(handler, queue, stores.progress, options, clock, metrics, tracing)


def with_room_for_ten(options: WorkerOptions) -> WorkerOptions:
    """A receive of SQS costs the same for one message and for ten; a worker asks when half of what it may hold is done."""
    return replace(options, prefetch=max(options.prefetch, 2 * MOST_IN_A_CALL))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a queue stage is made of."""

    settings: Settings
    stores: Stores
    blobs: Blobs
    clock: Clock
    metrics: Metrics
    closing: ExitStack
    process: str

    @property
    def files(self) -> ModelFiles:
        return model_files(self.settings, self.stores, self.blobs)

    @property
    def rollouts(self) -> Rollouts:
        return Rollouts(self.stores.registry, self.clock)


#: A handler and the options of the worker that runs it.
_Made = tuple[Handler[Any], WorkerOptions]


def _preprocess(parts: _Parts, options: WorkerOptions) -> _Made:
    from framegate.preprocess.decoder_pool import DecoderChild
    from framegate.preprocess.stage import PreprocessHandler

    wanted, files, rollouts = parts.settings.preprocess, parts.files, parts.rollouts
    command = (sys.executable, "-P", "-m", wanted.child)

    def input_for(image: ImageFacts) -> ModelInput:
        return files.manifest(rollouts.current().model_for(image.facility, image.camera)).input

    handler = PreprocessHandler(parts.blobs, input_for, parts.settings.codec, lambda: DecoderChild(command))
    handler.warm(wanted.children)
    return handler, replace(options, lanes=wanted.children, max_batch=1, prefetch=wanted.prefetch, isolates=True)


def _inference(parts: _Parts, options: WorkerOptions) -> _Made:
    from framegate.inference.chains import ChainModels
    from framegate.inference.classes import decode_classes
    from framegate.inference.deployments import DeploymentWatch
    from framegate.inference.fleet import Fleet, LoadedModel, warm_models
    from framegate.inference.naming import Naming
    from framegate.inference.shadow import ShadowRunner
    from framegate.inference.stage import InferenceHandler

    stores, clock, metrics, log = parts.stores, parts.clock, parts.metrics, get_log(stage=str(Stage.INFERENCE))
    open_model, settings = parts.files.with_weights, parts.settings

    def watched(model: LoadedModel) -> None:
        ref = model.manifest.ref
        model.engine = MeasuredEngine(model.engine, ref, metrics)
        model.faulted = lambda: metrics.count(ENGINE_FAULTS, model=ref)

    fleet = Fleet(warm_models(open_model, lambda m: make_engine(settings, m), clock, watched=watched), clock)
    classifier = warm_models(open_model, lambda m: make_engine(settings, m), clock, decode_classes, watched)
    chains = ChainModels(stores.policies, stores.registry, classifier, clock, metrics, log)
    parts.closing.callback(chains.close)
    watch = DeploymentWatch(stores.registry, fleet, parts.process, clock, metrics, log, chains.refresh)
    started = clock.monotonic()
    watch.start()
    shadow = parts.closing.enter_context(ShadowRunner(fleet, stores.shadows, metrics, log))
    parts.closing.enter_context(watch)
    log.info(
        "engine ready",
        action="engine_ready",
        model=fleet.incumbent.key.ref,
        engine=fleet.incumbent.engine.description,
        batch=fleet.incumbent.batch,
        warm_s=round(clock.monotonic() - started, 3),
    )
    handler = InferenceHandler(fleet, parts.blobs, shadow.offer, Naming(chains, metrics, log).label)
    wanted = settings.inference
    return handler, replace(
        options,
        max_batch=wanted.max_batch,
        batch=handler.batch,
        max_wait=timedelta(milliseconds=wanted.max_wait_ms),
        prefetch=wanted.prefetch,
    )


def _gate(parts: _Parts, options: WorkerOptions) -> _Made:
    from framegate.gate.stage import GateHandler

    first_policy = document_from_manifest(parts.files.manifest(parts.rollouts.current().incumbent))
    batch = parts.settings.gate.max_batch
    handler = GateHandler(parts.stores.policies, first_policy, parts.clock, parts.metrics)
    return handler, replace(options, max_batch=batch, prefetch=batch)


def _sweeper(
    settings: Settings, stores: Stores, queue: ClosingQueue, blobs: Blobs, clock: Clock, metrics: Metrics
) -> Service:
    from framegate.gate.people import AlertsOfPeople
    from framegate.sweep.cameras import CameraWatch
    from framegate.sweep.canary import CanaryBounds, CanaryGuard
    from framegate.sweep.drift import DriftWatch
    from framegate.sweep.retention import RetentionWatch
    from framegate.sweep.reviews import ReviewWatch
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
        stores.outbox,
        CameraWatch(stores.camera_healths, settings.cameras.limits, metrics, get_log(stage="sweep")),
        stores.audit,
        ReviewWatch(
            stores.reviews, AlertsOfPeople(stores.policies, clock).rules, clock, metrics, get_log(stage="sweep")
        ),
        RetentionWatch(stores.retention, blobs, clock, metrics, get_log(stage="sweep")),
        DriftWatch(
            stores.drifts,
            settings.drift.limits,
            timedelta(days=settings.drift.keep_days),
            clock,
            metrics,
            get_log(stage="sweep"),
        ),
        stores.workers,
        queue,
    )
