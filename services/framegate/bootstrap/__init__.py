"""The composition root: the only package that knows which adapter stands behind which port."""

from framegate.adapters.embedded_postgres import EmbeddedPostgres, database_of
from framegate.adapters.postgres import migrate
from framegate.bootstrap.api import make_api
from framegate.bootstrap.engines import make_engine
from framegate.bootstrap.hooks import PUBLIC_URL_FILE, make_announcer, open_hooks, public_url, signing_secrets
from framegate.bootstrap.measuring import measured_process
from framegate.bootstrap.models import (
    Deployer,
    adopt_model,
    is_registered,
    load_manifest,
    make_trainer,
    resolve_model,
)
from framegate.bootstrap.objects import bucket_events, object_intake
from framegate.bootstrap.passwords import hash_password
from framegate.bootstrap.pepper import read_pepper
from framegate.bootstrap.stages import Service, make_service, worker_name
from framegate.bootstrap.stores import Stores, check_queues, open_blobs, open_objects, open_stores, provision
from framegate.bootstrap.tracing import open_tracing

__all__ = [
    "PUBLIC_URL_FILE",
    "Deployer",
    "EmbeddedPostgres",
    "Service",
    "Stores",
    "adopt_model",
    "bucket_events",
    "check_queues",
    "database_of",
    "hash_password",
    "is_registered",
    "load_manifest",
    "make_announcer",
    "make_api",
    "make_engine",
    "make_service",
    "make_trainer",
    "measured_process",
    "migrate",
    "object_intake",
    "open_blobs",
    "open_hooks",
    "open_objects",
    "open_stores",
    "open_tracing",
    "provision",
    "public_url",
    "read_pepper",
    "resolve_model",
    "signing_secrets",
    "worker_name",
]
