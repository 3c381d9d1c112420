"""Deployments: statements over one connection, in the transaction of whoever asks."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.cameras import ensure_facility
from framegate.adapters.postgres.database import be_analytic
from framegate.kernel.errors import ModelRefused
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.rollout import ModelKey, ModelState, Rollout
from framegate.kernel.states import Stage
from framegate.ports.registry import ALIVE, Deployment, DeploymentState, Tally

_MODELS, _DEPLOYMENTS, _LOADS = schema.models, schema.deployments, schema.deployment_loads
_WORKERS, _OUTCOMES = schema.workers, schema.outcomes


def lock(connection: Connection) -> None:
    """Whoever changes models or deployments does it alone, to the end of the transaction."""
    connection.execute(text("select pg_advisory_xact_lock(hashtext('models'))"))


def note(connection: Connection, actor: str, action: str, ref: str, body: Mapping[str, Any]) -> None:
    """Models belong to the installation; the audit keeps them under its first facility."""
    ensure_facility(connection, DEFAULT_FACILITY)
    record(connection, DEFAULT_FACILITY, actor, action, ref, body)


def find(connection: Connection, number: int | None) -> Deployment | None:
    """That one, or the newest."""
    query = _query() if number is None else _query().where(_DEPLOYMENTS.c.number == number)
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else _deployment(row)


def must(connection: Connection, number: int) -> Deployment:
    """Raises `ModelRefused`."""
    found = find(connection, number)
    if found is None:
        raise ModelRefused(f"there is no deployment {number}")
    return found


def active(connection: Connection) -> Deployment | None:
    """The one that serves."""
    row = connection.execute(_query().where(_DEPLOYMENTS.c.state == DeploymentState.ACTIVE)).one_or_none()
    return None if row is None else _deployment(row)


def newest(connection: Connection, limit: int) -> list[Deployment]:
    """Newest first."""
    return [_deployment(row) for row in connection.execute(_query().limit(limit))]


def begin(connection: Connection, rollout: Rollout, actor: str, detail: str) -> int:
    """The number of a new pending one."""
    _end(connection, DeploymentState.PENDING)
    values = {role: key.ref for role, key in rollout.roles.items()}
    row = insert(_DEPLOYMENTS).values(
        **values,
        canary_share=rollout.canary_share,
        state=DeploymentState.PENDING,
        detail=detail,
        actor=actor,
        since=func.clock_timestamp(),
    )
    number: int = connection.execute(row.returning(_DEPLOYMENTS.c.number)).scalar_one()
    for role, key in rollout.roles.items():
        note(connection, actor, f"model.ordered.{role}", key.ref, {"deployment": number, "detail": detail})
    return number


def alive(connection: Connection) -> set[str]:
    """The inference workers that a new deployment must wait for."""
    seen = _WORKERS.c.seen_at >= func.clock_timestamp() - ALIVE
    query = select(_WORKERS.c.name).where(seen, _WORKERS.c.stages.contains([str(Stage.INFERENCE)]))
    return set(connection.execute(query).scalars())


def report_load(connection: Connection, number: int, worker: str, problem: str) -> None:
    """The last word of a worker counts."""
    said = {"problem": problem, "at": func.clock_timestamp()}
    row = upsert(_LOADS).values(number=number, worker=worker, **said)
    connection.execute(row.on_conflict_do_update(index_elements=["number", "worker"], set_=said))


def report_serving(connection: Connection, number: int, worker: str) -> None:
    """Also of a worker that nobody waited for while it loaded."""
    now = func.clock_timestamp()
    row = upsert(_LOADS).values(number=number, worker=worker, problem="", at=now, serving_since=now)
    same = row.on_conflict_do_update(index_elements=["number", "worker"], set_={"serving_since": now})
    connection.execute(same)


def awaited(connection: Connection, number: int) -> frozenset[str]:
    """Those alive that do not serve it yet."""
    serving = select(_LOADS.c.worker).where(_LOADS.c.number == number, _LOADS.c.serving_since.is_not(None))
    return frozenset(alive(connection) - set(connection.execute(serving).scalars()))


def settle(connection: Connection, pending: Deployment) -> None:
    """Decides about a pending one, if it can be decided."""
    query = select(_LOADS.c.worker, _LOADS.c.problem).where(_LOADS.c.number == pending.number)
    said = {row.worker: row.problem for row in connection.execute(query)}
    problems = [f"{worker}: {problem}" for worker, problem in sorted(said.items()) if problem]
    if problems:
        values = {"state": DeploymentState.FAILED, "detail": "; ".join(problems)}
        connection.execute(update(_DEPLOYMENTS).where(_DEPLOYMENTS.c.number == pending.number).values(values))
        body = {"deployment": pending.number, "problems": problems}
        for key in pending.rollout.models:
            note(connection, "framegate", "model.not-loaded", key.ref, body)
    elif alive(connection) <= said.keys():
        activate(connection, pending.number, pending.rollout, pending.actor)


def activate(connection: Connection, number: int, rollout: Rollout, actor: str) -> None:
    """Makes it the one that serves, with what that means for the states of the models."""
    _end(connection, DeploymentState.ACTIVE)
    values = {"state": DeploymentState.ACTIVE, "activated_at": func.clock_timestamp()}
    connection.execute(update(_DEPLOYMENTS).where(_DEPLOYMENTS.c.number == number).values(values))
    deciding = [key.ref for key in rollout.deciding]
    gone = update(_MODELS).where(_MODELS.c.state == ModelState.DEPLOYED, _MODELS.c.ref.not_in(deciding))
    retired = gone.values(state=ModelState.RETIRED).returning(_MODELS.c.ref)
    for ref in connection.execute(retired).scalars().all():
        note(connection, actor, "model.retired", ref, {"deployment": number})
    connection.execute(update(_MODELS).where(_MODELS.c.ref.in_(deciding)).values(state=ModelState.DEPLOYED))
    for role, key in rollout.roles.items():
        note(connection, actor, f"model.serving.{role}", key.ref, {"deployment": number, "sha256": key.sha256})


def tally(connection: Connection, number: int) -> dict[str, Tally]:
    """By `name@version`."""
    began = must(connection, number).activated_at
    if began is None:
        return {}
    be_analytic(connection)
    query = (
        select(
            _OUTCOMES.c.model,
            func.coalesce(_OUTCOMES.c.verdict, _OUTCOMES.c.state).label("end"),
            func.count().label("images"),
            func.coalesce(func.sum(_OUTCOMES.c.inference_ms), 0.0).label("inference_ms"),
        )
        .where(_OUTCOMES.c.decided_at >= began, _OUTCOMES.c.model.is_not(None))
        .group_by(_OUTCOMES.c.model, text('"end"'))
    )
    ends: dict[str, dict[str, int]] = defaultdict(dict)
    spent: dict[str, float] = defaultdict(float)
    for row in connection.execute(query):
        ends[row.model][row.end] = row.images
        spent[row.model] += row.inference_ms
    return {ref: Tally.of(counts, spent[ref]) for ref, counts in ends.items()}


def _end(connection: Connection, state: DeploymentState) -> None:
    connection.execute(update(_DEPLOYMENTS).where(_DEPLOYMENTS.c.state == state).values(state=DeploymentState.ENDED))


def _query() -> Select[Any]:
    """With the weights of each model, newest first."""
    columns: list[Any] = [_DEPLOYMENTS]
    source: Any = _DEPLOYMENTS
    for role in ("incumbent", "canary", "shadow"):
        model = _MODELS.alias(role)
        source = source.outerjoin(model, model.c.ref == _DEPLOYMENTS.c[role])
        columns.append(model.c.sha256.label(f"{role}_sha256"))
    return select(*columns).select_from(source).order_by(_DEPLOYMENTS.c.number.desc())


def _deployment(row: Row[Any]) -> Deployment:
    keys = {
        role: ModelKey(getattr(row, role), getattr(row, f"{role}_sha256"))
        for role in ("incumbent", "canary", "shadow")
        if getattr(row, role) is not None
    }
    return Deployment(
        row.number,
        Rollout(**keys, canary_share=row.canary_share),
        DeploymentState(row.state),
        row.detail,
        row.actor,
        row.since,
        row.activated_at,
    )
