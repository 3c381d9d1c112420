"""The HTTP application, and the secret that its keys are hashed with."""

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from framegate import __version__
from framegate.adapters.clock import SystemClock
from framegate.bootstrap.objects import object_intake
from framegate.bootstrap.stores import Stores, open_blobs
from framegate.kernel.states import Lane, Stage
from framegate.observability.catalogue import ACCEPT_SECONDS, IMAGES_ACCEPTED, IMAGES_REFUSED
from framegate.observability.metrics import Metrics
from framegate.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


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
            required_stages=frozenset({Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE, Stage.ALERTS, Stage.SWEEP}),
            backlog=stores.upkeep.in_flight,
            watch_failures=not loopback,
            objects=object_intake(settings, stores) if settings.blobs.kind == "s3" else None,
        )
    )
