"""What workers say about themselves."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Double, cast, delete, extract, func, select
from sqlalchemy.dialects.postgresql import insert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.database import Database
from framegate.adapters.postgres.rows import storable
from framegate.kernel.states import Stage
from framegate.ports.store import WorkerStatus

_WORKERS = schema.workers


class PostgresWorkers:
    """`Workers`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def report(self, name: str, stages: Sequence[Stage], ready: bool, reason: str, metrics_port: int | None) -> None:
        """Replaces what `name` said before."""
        said = {
            "stages": list(stages),
            "ready": ready,
            "reason": storable(reason),
            "metrics_port": metrics_port,
            "seen_at": func.clock_timestamp(),
        }
        upsert = insert(_WORKERS).values(name=name, **said).on_conflict_do_update(index_elements=["name"], set_=said)
        self._database.core(lambda connection: connection.execute(upsert))

    def forget(self, name: str | None = None) -> None:
        """One, or all."""
        removal = delete(_WORKERS) if name is None else delete(_WORKERS).where(_WORKERS.c.name == name)
        self._database.core(lambda connection: connection.execute(removal))

    def statuses(self, within: timedelta) -> list[WorkerStatus]:
        """Ordered by name."""
        age = cast(extract("epoch", func.clock_timestamp() - _WORKERS.c.seen_at), Double).label("age_s")
        query = (
            select(_WORKERS, age).where(_WORKERS.c.seen_at >= func.clock_timestamp() - within).order_by(_WORKERS.c.name)
        )
        return [
            WorkerStatus(r.name, tuple(r.stages), r.ready, r.reason, max(0.0, r.age_s), r.metrics_port)
            for r in self._database.core(lambda connection: connection.execute(query).all())
        ]
