"""Which model serves."""

from sqlalchemy import Connection, func, insert, select, text

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.cameras import ensure_facility
from framegate.adapters.postgres.database import Database
from framegate.kernel.ids import DEFAULT_FACILITY

_MODELS = schema.serving_models


class PostgresModels:
    """`Models`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_serving(self, model: str, sha256: str, manifest: str, actor: str) -> None:
        """Workers that start together record one change."""

        def work(connection: Connection) -> None:
            connection.execute(text("select pg_advisory_xact_lock(hashtext('serving_models'))"))
            newest = select(_MODELS.c.model, _MODELS.c.sha256).order_by(_MODELS.c.id.desc()).limit(1)
            row = connection.execute(newest).one_or_none()
            if row is not None and (row.model, row.sha256) == (model, sha256):
                return
            values = {"model": model, "sha256": sha256, "manifest": manifest, "actor": actor}
            connection.execute(insert(_MODELS).values(**values, since=func.clock_timestamp()))
            ensure_facility(connection, DEFAULT_FACILITY)
            record(
                connection, DEFAULT_FACILITY, actor, "model.serving", model, {"sha256": sha256, "manifest": manifest}
            )

        self._database.core(work)
