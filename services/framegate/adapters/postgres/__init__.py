"""Everything that is kept in PostgreSQL 18: the queue, progress, and the stores."""

from framegate.adapters.postgres.audit import PostgresAuditLog
from framegate.adapters.postgres.camera_health import PostgresCameraHealths
from framegate.adapters.postgres.cameras import PostgresCameras
from framegate.adapters.postgres.database import Database
from framegate.adapters.postgres.deliveries import PostgresDeliveries
from framegate.adapters.postgres.drift import PostgresDrifts
from framegate.adapters.postgres.endpoints import PostgresEndpoints
from framegate.adapters.postgres.holds import PostgresHolds
from framegate.adapters.postgres.incidents import ALERTS, PostgresIncidents
from framegate.adapters.postgres.intake import PostgresIntake
from framegate.adapters.postgres.keys import PostgresKeys
from framegate.adapters.postgres.migrate import migrate
from framegate.adapters.postgres.outgoing import Outbox
from framegate.adapters.postgres.overview import PostgresOverview
from framegate.adapters.postgres.people import PostgresPeople
from framegate.adapters.postgres.policies import PostgresPolicies
from framegate.adapters.postgres.progress import PostgresProgress
from framegate.adapters.postgres.queue import PostgresQueue
from framegate.adapters.postgres.registry import PostgresRegistry
from framegate.adapters.postgres.results import PostgresResults
from framegate.adapters.postgres.retention import PostgresRetention
from framegate.adapters.postgres.reviews import PostgresReviews
from framegate.adapters.postgres.shadows import PostgresShadows
from framegate.adapters.postgres.upkeep import PostgresUpkeep
from framegate.adapters.postgres.uploads import PostgresUploads
from framegate.adapters.postgres.wakeups import Wakeups
from framegate.adapters.postgres.workers import PostgresWorkers

__all__ = [
    "ALERTS",
    "Database",
    "Outbox",
    "PostgresAuditLog",
    "PostgresCameraHealths",
    "PostgresCameras",
    "PostgresDeliveries",
    "PostgresDrifts",
    "PostgresEndpoints",
    "PostgresHolds",
    "PostgresIncidents",
    "PostgresIntake",
    "PostgresKeys",
    "PostgresOverview",
    "PostgresPeople",
    "PostgresPolicies",
    "PostgresProgress",
    "PostgresQueue",
    "PostgresRegistry",
    "PostgresResults",
    "PostgresRetention",
    "PostgresReviews",
    "PostgresShadows",
    "PostgresUpkeep",
    "PostgresUploads",
    "PostgresWorkers",
    "Wakeups",
    "migrate",
]
