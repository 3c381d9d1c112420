"""The HTTP application."""

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

from framegate import __version__
from framegate.adapters.clock import SystemClock
from framegate.bootstrap.hooks import make_announcer, open_hooks, public_url
from framegate.bootstrap.models import Deployer
from framegate.bootstrap.objects import object_intake
from framegate.bootstrap.pepper import read_pepper
from framegate.bootstrap.stores import Stores, open_blobs
from framegate.kernel.states import Stage
from framegate.kernel.tracecontext import trace_id_of
from framegate.observability.catalogue import (
    ACCEPT_SECONDS,
    HTTP_RESPONSES,
    HTTP_SECONDS,
    IMAGES_REFUSED,
    LIVE_VIEWERS,
    REVIEW_DECISIONS,
)
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Tracing
from framegate.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


class _ApiMetrics:
    """What ingest tells, in terms of the catalogue."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def refused(self, slug: str) -> None:
        """An upload was answered with a problem."""
        self._metrics.count(IMAGES_REFUSED, reason=slug)

    def reviewed(self, decision: str) -> None:
        """A person decided, or was refused."""
        self._metrics.count(REVIEW_DECISIONS, decision=decision)

    def accept_seconds(self, seconds: float, trace: str) -> None:
        """From the first byte to the 202."""
        self._metrics.observe(ACCEPT_SECONDS, seconds, trace_id_of(trace) or "")

    def answered(self, route: str, status: int, area: str, seconds: float) -> None:
        """A request was answered."""
        self._metrics.count(HTTP_RESPONSES, route=route, status=str(status))
        if area:
            self._metrics.observe(HTTP_SECONDS, seconds, area=area)


def make_api(settings: Settings, stores: Stores, metrics: Metrics, tracing: Tracing) -> "FastAPI":
    """The HTTP application."""
    from framegate.adapters.passwords import Argon2Passwords
    from framegate.dashboard.app import Pages
    from framegate.dashboard.deps import PageDependencies
    from framegate.gate.office import PolicyOffice
    from framegate.ingest.app import create_app
    from framegate.ingest.counting import CountedIntake
    from framegate.ingest.deps import ApiDependencies, ApiLimits, Desk
    from framegate.ingest.evidence import EvidenceSources

    api = settings.api
    blobs = open_blobs(settings, metrics)
    loopback = api.host in ("127.0.0.1", "::1", "localhost")
    clock, pepper, reached_at = SystemClock(), read_pepper(settings), public_url(settings)
    rules = PolicyOffice(stores.policies, stores.cameras, stores.registry, stores.results, clock)
    pages = Pages(
        PageDependencies(
            people=stores.people,
            logins=stores.people,
            passwords=Argon2Passwords(),
            clock=clock,
            pepper=pepper,
            public_url=reached_at,
            results=stores.results,
            overview=stores.overview,
            cameras=stores.cameras,
            camera_healths=stores.camera_healths,
            drifts=stores.drifts,
            incidents=stores.incidents,
            reviews=stores.reviews,
            endpoints=stores.endpoints,
            deliveries=stores.deliveries,
            dead_letters=lambda: closing(stores.queue("api")),
            registry=stores.registry,
            shadows=stores.shadows,
            policies=stores.policies,
            rules=rules,
            workers=stores.workers,
            audit=stores.audit,
            keys=stores.keys,
            drift_limits=settings.drift.limits,
            tell_viewers=lambda viewers: metrics.set(LIVE_VIEWERS, viewers),
        )
    )
    return create_app(
        ApiDependencies(
            intake=CountedIntake(stores.intake, metrics),
            results=stores.results,
            cameras=stores.cameras,
            camera_healths=stores.camera_healths,
            drifts=stores.drifts,
            policies=stores.policies,
            registry=stores.registry,
            shadows=stores.shadows,
            audit=stores.audit,
            dead_letters=lambda: closing(stores.queue("api")),
            deploying=Deployer(settings, stores, blobs),
            rules=rules,
            keys=stores.keys,
            people=stores.people,
            workers=stores.workers,
            upkeep=stores.upkeep,
            incidents=stores.incidents,
            reviews=stores.reviews,
            endpoints=stores.endpoints,
            deliveries=stores.deliveries,
            hooks=open_hooks(settings),
            announce=make_announcer(settings),
            public_url=reached_at,
            blobs=blobs,
            evidence=EvidenceSources(stores.policies, stores.registry, stores.audit, blobs),
            clock=clock,
            metrics=_ApiMetrics(metrics),
            tracing=tracing,
            pepper=pepper,
            version=__version__,
            limits=ApiLimits(
                rate_per_s=api.rate_limit_per_s,
                max_concurrent_uploads=api.max_concurrent_uploads,
                min_free_bytes=api.min_free_mb * 2**20,
                max_backlog=api.max_backlog,
            ),
            desk=Desk(timedelta(seconds=settings.reviews.lease_s), timedelta(seconds=settings.reviews.undo_s)),
            drift_limits=settings.drift.limits,
            required_stages=frozenset({Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE, Stage.ALERTS, Stage.SWEEP}),
            backlog=stores.upkeep.in_flight,
            watch_failures=not loopback,
            logins=stores.people,
            objects=object_intake(settings, stores, metrics, tracing) if settings.blobs.kind == "s3" else None,
        ),
        pages,
    )
