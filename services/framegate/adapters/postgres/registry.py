"""Registered models."""

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, text, update

from framegate.adapters.postgres import deployments, schema
from framegate.adapters.postgres.database import Database
from framegate.adapters.postgres.rows import storable
from framegate.kernel.rollout import ModelState, Rollout, check_step
from framegate.ports.registry import (
    Deployment,
    DeploymentState,
    ModelEvent,
    NewModel,
    RegisteredModel,
    Tally,
    taken,
    unknown,
)

_MODELS, _AUDIT, _LOADS = schema.models, schema.audit, schema.deployment_loads


class PostgresRegistry:
    """`Registry`. Safe for use from several threads; changes happen one after the other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, model: NewModel, actor: str) -> RegisteredModel:
        """See the port."""
        digest = hashlib.sha256(model.manifest.encode()).hexdigest()

        def work(connection: Connection) -> RegisteredModel:
            deployments.lock(connection)
            known = _row(connection, model.ref)
            if known is None:
                values = {name: getattr(model, name) for name in NewModel.__slots__}
                values |= {"ref": model.ref, "registered_as": digest, "registered_by": actor}
                values |= {"state": ModelState.REGISTERED, "registered_at": func.clock_timestamp()}
                connection.execute(insert(_MODELS).values(values))
                deployments.note(connection, actor, "model.registered", model.ref, {"sha256": model.sha256})
            elif (known.sha256, known.registered_as) != (model.sha256, digest):
                raise taken(model.ref)
            return _must(connection, model.ref)

        return self._database.core(work)

    def model(self, ref: str) -> RegisteredModel | None:
        """See the port."""
        row = self._database.core(lambda connection: _row(connection, ref))
        return None if row is None else _model(row)

    def models(self) -> list[RegisteredModel]:
        """See the port."""
        query = select(_MODELS).order_by(_MODELS.c.name, _MODELS.c.registered_at.desc())
        return [_model(row) for row in self._database.core(lambda connection: connection.execute(query).all())]

    def events(self, ref: str) -> list[ModelEvent]:
        """See the port."""
        query = select(_AUDIT).where(_AUDIT.c.object == ref, text("action like 'model.%'")).order_by(_AUDIT.c.sequence)
        rows = self._database.core(lambda connection: connection.execute(query).all())
        return [ModelEvent(row.at, row.actor, row.action, row.body) for row in rows]

    def advance(
        self, ref: str, to: ModelState, actor: str, body: Mapping[str, Any], manifest: str | None = None
    ) -> RegisteredModel:
        """See the port."""

        def work(connection: Connection) -> RegisteredModel:
            deployments.lock(connection)
            check_step(ref, _must(connection, ref).state, to)
            values = {"state": to} if manifest is None else {"state": to, "manifest": manifest}
            connection.execute(update(_MODELS).where(_MODELS.c.ref == ref).values(values))
            deployments.note(connection, actor, f"model.{to}", ref, body)
            return _must(connection, ref)

        return self._database.core(work)

    def order(self, rollout: Rollout, actor: str, detail: str = "") -> Deployment:
        """See the port."""

        def work(connection: Connection) -> Deployment:
            deployments.lock(connection)
            for key in rollout.models:
                rollout.check(key, _must(connection, key.ref).key, _must(connection, key.ref).state)
            number = deployments.begin(connection, rollout, actor, storable(detail))
            if deployments.active(connection) is None or not deployments.alive(connection):
                deployments.activate(connection, number, rollout, actor)
            return deployments.must(connection, number)

        return self._database.core(work)

    def deployment(self, number: int | None = None) -> Deployment | None:
        """See the port."""
        return self._database.core(lambda connection: deployments.find(connection, number))

    def active(self) -> Deployment | None:
        """See the port."""
        return self._database.core(deployments.active)

    def deployments(self, limit: int = 20) -> list[Deployment]:
        """See the port."""
        return self._database.core(lambda connection: deployments.newest(connection, limit))

    def report_load(self, number: int, worker: str, problem: str) -> None:
        """See the port."""
        self._database.core(lambda connection: deployments.report_load(connection, number, worker, storable(problem)))

    def settle(self, number: int) -> Deployment:
        """See the port."""

        def work(connection: Connection) -> Deployment:
            deployments.lock(connection)
            found = deployments.must(connection, number)
            if found.state is DeploymentState.PENDING:
                deployments.settle(connection, found)
            return deployments.must(connection, number)

        return self._database.core(work)

    def report_serving(self, number: int, worker: str) -> None:
        """See the port."""
        self._database.core(lambda connection: deployments.report_serving(connection, number, worker))

    def awaited(self, number: int) -> frozenset[str]:
        """See the port."""
        return self._database.core(lambda connection: deployments.awaited(connection, number))

    def tally(self, number: int) -> dict[str, Tally]:
        """See the port."""
        return self._database.core(lambda connection: deployments.tally(connection, number))


def _row(connection: Connection, ref: str) -> Row[Any] | None:
    return connection.execute(select(_MODELS).where(_MODELS.c.ref == ref)).one_or_none()


def _must(connection: Connection, ref: str) -> RegisteredModel:
    row = _row(connection, ref)
    if row is None:
        raise unknown(ref)
    return _model(row)


def _model(row: Row[Any]) -> RegisteredModel:
    return RegisteredModel(
        row.ref, row.sha256, row.size_bytes, row.blob_key, row.manifest, ModelState(row.state),
        row.registered_at, row.registered_by,
    )  # fmt: skip
