"""The API over in-memory adapters, and the people who call it."""

import threading
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from framegate.adapters.memory import FakeClock, MemoryBlobs, MemoryHook, MemoryObjects, MemoryStore
from framegate.gate.office import PolicyOffice
from framegate.ingest.app import create_app
from framegate.ingest.counting import CountedIntake
from framegate.ingest.deps import ApiDependencies, ApiLimits
from framegate.ingest.evidence import EvidenceSources
from framegate.ingest.objects import Bucket, ObjectIntake
from framegate.kernel.apikey import hash_secret, new_key
from framegate.kernel.ids import FacilityId
from framegate.kernel.rollout import Rollout
from framegate.observability.metrics import Metrics
from framegate.ports.blobs import Blobs
from framegate.ports.clock import Clock
from framegate.ports.hooks import HookKind
from framegate.ports.notices import Announcer
from framegate.ports.registry import Deployment
from framegate.ports.store import ApiKey

PEPPER = b"pepper"
BUCKET = "framegate"
PUBLIC_URL = "https://inspect.example"
HALL, OTHER_HALL = FacilityId("hall-1"), FacilityId("hall-2")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WRITE_AND_READ = frozenset({"images:write", "results:read"})


@dataclass
class CountedMetrics:
    """What the API told."""

    refused_slugs: list[str] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    seconds: list[tuple[float, str]] = field(default_factory=list)
    answers: list[tuple[str, int, str]] = field(default_factory=list)

    def reviewed(self, decision: str) -> None:
        self.decisions.append(decision)

    def refused(self, slug: str) -> None:
        self.refused_slugs.append(slug)

    def accept_seconds(self, seconds: float, trace: str) -> None:
        self.seconds.append((seconds, trace))

    def answered(self, route: str, status: int, area: str, seconds: float) -> None:
        assert seconds >= 0
        self.answers.append((route, status, area))


class Deployed:
    """`Deploying` without files."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.concluded: list[Deployment] = []
        self.ended = threading.Event()

    def order(self, rollout: Rollout, actor: str, detail: str) -> Deployment:
        return self.store.registry.order(rollout, actor, detail)

    def conclude(self, deployment: Deployment) -> None:
        self.concluded.append(deployment)
        self.ended.set()


class ApiBox:
    """An API with everything around it in reach."""

    def __init__(
        self,
        spool: Path,
        *,
        clock: Clock | None = None,
        blobs: Blobs | None = None,
        limits: ApiLimits | None = None,
        **changes: Any,
    ) -> None:
        self.clock = FakeClock(NOW)
        used: Clock = clock or self.clock
        self.store = MemoryStore(used)
        self.spool = spool
        self.memory_blobs = MemoryBlobs(used, spool)
        self.metrics, self.counts = CountedMetrics(), Metrics()
        intake = CountedIntake(self.store.intake, self.counts)
        self.hook = MemoryHook()
        self.objects = MemoryObjects(used, BUCKET)
        self.object_intake = ObjectIntake(
            self.objects, self.store.uploads, intake, blobs or self.memory_blobs, used, own=Bucket(BUCKET)
        )
        self.deps = ApiDependencies(
            intake=intake,
            results=self.store.results,
            cameras=self.store.cameras,
            camera_healths=self.store.camera_healths,
            drifts=self.store.drifts,
            policies=self.store.policies,
            registry=self.store.registry,
            shadows=self.store.shadows,
            audit=self.store.audit,
            dead_letters=lambda: nullcontext(self.store.queue),
            deploying=Deployed(self.store),
            rules=PolicyOffice(self.store.policies, self.store.cameras, self.store.registry, self.store.results, used),
            keys=self.store.keys,
            people=self.store.people,
            workers=self.store.workers,
            upkeep=self.store.upkeep,
            incidents=self.store.incidents,
            reviews=self.store.reviews,
            endpoints=self.store.endpoints,
            deliveries=self.store.deliveries,
            hooks={HookKind.WEBHOOK: self.hook, HookKind.SLACK: self.hook},
            announce=Announcer(PUBLIC_URL, PEPPER),
            public_url=PUBLIC_URL,
            blobs=blobs or self.memory_blobs,
            evidence=EvidenceSources(
                self.store.policies, self.store.registry, self.store.audit, blobs or self.memory_blobs
            ),
            clock=used,
            metrics=self.metrics,
            pepper=PEPPER,
            version="1.2.3",
            limits=limits or ApiLimits(),
            objects=self.object_intake,
        )
        self.deps = replace(self.deps, **changes)
        self.app: FastAPI = create_app(self.deps)
        self.key = self.add_key()

    def add_key(self, *facilities: FacilityId, scopes: frozenset[str] = WRITE_AND_READ, **changes: Any) -> str:
        """The text of a new key."""
        text, key_id, secret = new_key()
        key = ApiKey(
            key_id=key_id,
            name="test",
            secret_hash=hash_secret(PEPPER, secret),
            scopes=scopes,
            facilities=frozenset(facilities or (HALL,)),
            created_at=NOW,
            expires_at=NOW + timedelta(days=365),
            revoked_at=None,
        )
        self.store.keys.add_key(replace(key, **changes), actor="test")
        return text

    def client(self, key: str | None = None, **options: Any) -> httpx.AsyncClient:
        """Speaks to the application itself; errors inside are answers, as on a server."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx.AsyncClient(transport=transport, base_url="http://framegate", headers=headers, **options)

    def close(self) -> None:
        self.app.state.api.close()


def slug_of(answer: httpx.Response) -> str:
    """The kind of problem; fails unless `answer` is a well-formed one."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"
    return str(problem["type"]).removeprefix("/problems/")
