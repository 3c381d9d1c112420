"""The Postgres family. Time passes for it by moving every moment in the tables that change into the past."""

from typing import Any

import psycopg
from psycopg import sql

from framegate.adapters.postgres import (
    Database,
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

from .harness import Audited, LettersQueue, Raised

_MOMENTS = """
select table_name, column_name from information_schema.columns
where table_schema = 'public' and data_type = 'timestamp with time zone'
  and table_name in ('queue_messages', 'dead_letters', 'progress', 'workers',
    'alert_outbox', 'incidents', 'hook_endpoints', 'hook_deliveries', 'camera_health', 'camera_watch',
    'review_items')
  and column_name <> 'received_at'
"""


_HEARD_OF = """
update camera_health set state = jsonb_set(
  state, '{last_at}', to_jsonb((state->>'last_at')::timestamptz - make_interval(secs => %s))
)
"""


class PostgresHarness:
    """One migrated, empty database."""

    name = "postgres"
    max_receives = 5

    def __init__(self, url: str) -> None:
        self._side = psycopg.connect(url, autocommit=True)
        self._moments = self._side.execute(_MOMENTS).fetchall()
        self._database = database = Database(url)
        self._queues: list[PostgresQueue] = []
        self.queue: LettersQueue = self.queue_of("first")
        self.progress, self.intake = PostgresProgress(database), PostgresIntake(database)
        self.results, self.cameras = PostgresResults(database), PostgresCameras(database)
        self.camera_healths, self.reviews = PostgresCameraHealths(database), PostgresReviews(database)
        self.drifts = PostgresDrifts(database)
        self.policies, self.registry = PostgresPolicies(database), PostgresRegistry(database)
        self.shadows, self.uploads = PostgresShadows(database), PostgresUploads(database)
        self.workers, self.upkeep = PostgresWorkers(database), PostgresUpkeep(database)
        self.keys, self.endpoints = PostgresKeys(database), PostgresEndpoints(database)
        self.people, self.overview = PostgresPeople(database), PostgresOverview(database)
        self.deliveries, self.incidents = PostgresDeliveries(database), PostgresIncidents(database)
        self.audit_log = PostgresAuditLog(database)
        self.retention, self.holds = PostgresRetention(database), PostgresHolds(database)

    def queue_of(self, owner: str) -> LettersQueue:
        queue = PostgresQueue(self._database, owner=owner, max_receives=self.max_receives)
        self._queues.append(queue)
        return queue

    def sampling(self, share: float) -> PostgresProgress:
        return PostgresProgress(self._database, sample=share)

    def advance(self, seconds: float) -> None:
        for table, column in self._moments:
            statement = sql.SQL("update {} set {} = {} - make_interval(secs => %s) where {} is not null")
            name = sql.Identifier(column)
            self._side.execute(statement.format(sql.Identifier(table), name, name, name), [seconds])
        if self._rows("select 1 from camera_health"):
            # When a camera was heard of last is compared with when its newest image came.
            self._side.execute(_HEARD_OF, [seconds])
            self._side.execute("update images set received_at = received_at - make_interval(secs => %s)", [seconds])

    def purge(self) -> None:
        self._side.execute("delete from queue_messages")

    def forget_items(self) -> None:
        self._side.execute("delete from review_items")

    def audit(self) -> list[Audited]:
        return [
            Audited(*row)
            for row in self._rows("select facility_id, actor, action, object from audit order by sequence")
        ]

    def alerts(self) -> list[Raised]:
        query = "select image_id::text, rule, severity, subject from alert_outbox order by created_at, id"
        return [Raised(*row) for row in self._rows(query)]

    def _rows(self, query: Any) -> list[Any]:
        return self._side.execute(query).fetchall()

    def close(self) -> None:
        for queue in self._queues:
            queue.close()
        self._database.close()
        self._side.close()
