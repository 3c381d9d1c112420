"""The watch of drift: images are taken in as they end, each once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.database import Database, clock_time
from framegate.adapters.postgres.drift_shelf import (
    PostgresShelf,
    hour_of,
    is_of,
    read_ended,
    read_reference,
    subject_columns,
    subject_of,
)
from framegate.adapters.postgres.incidents import ALERTS, raise_alert
from framegate.adapters.postgres.wakeups import wake
from framegate.kernel.drift import alert_about, follow, learn_anew, subjects_of
from framegate.kernel.drift_features import Part
from framegate.kernel.drift_reference import Reference
from framegate.kernel.drift_state import Drift, DriftChange, DriftLimits, Finding, Hour, Subject
from framegate.kernel.ids import FacilityId
from framegate.kernel.incidents import SYSTEM
from framegate.ports.drift import TakenIn

_SUBJECTS, _HOURS, _FINDINGS, _WATCH = (
    schema.drift_subjects,
    schema.drift_hours,
    schema.drift_findings,
    schema.drift_watch,
)
_LOCK: Final = "hashtext('drift')"


class PostgresDrifts:
    """`Drifts`. Safe for use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def follow(self, limits: DriftLimits, limit: int) -> TakenIn:
        """See the port."""

        def work(connection: Connection) -> TakenIn:
            if not connection.execute(text(f"select pg_try_advisory_xact_lock({_LOCK})")).scalar_one():
                return TakenIn(0, ())
            sequence = connection.execute(select(_WATCH.c.sequence)).scalar_one_or_none() or 0
            judged = connection.execute(select(schema.camera_watch.c.sequence)).scalar_one_or_none() or 0
            ended = read_ended(connection, sequence, judged, limit)
            images = [seen for _, seen in ended if seen is not None]
            shelf = PostgresShelf(connection, {subject for seen in images for subject in subjects_of(seen)})
            changes = follow(images, shelf, limits)
            shelf.write()
            for change in changes:
                _tell(connection, change)
            if ended:
                one = upsert(_WATCH).values(one=True, sequence=ended[-1][0])
                there = {"sequence": one.excluded.sequence}
                connection.execute(one.on_conflict_do_update(index_elements=["one"], set_=there))
            return TakenIn(len(ended), changes)

        taken = self._database.core(work)
        if taken.changes:
            wake(self._database, [ALERTS])
        return taken

    def known(
        self, facilities: frozenset[FacilityId] | None = None, *, compared: bool = False
    ) -> Mapping[Subject, Drift]:
        """See the port."""
        query = select(_SUBJECTS).order_by(_SUBJECTS.c.facility_id, _SUBJECTS.c.kind, _SUBJECTS.c.subject)
        if facilities is not None:
            query = query.where(_SUBJECTS.c.facility_id.in_(sorted(facilities)))
        if compared:
            query = query.where(_SUBJECTS.c.state["scores"] != {})
        rows = self._database.core(lambda c: c.execute(query).all())
        return dict(sorted((subject_of(row), Drift.from_json(row.state)) for row in rows))

    def drift(self, subject: Subject) -> Drift | None:
        """See the port."""
        query = select(_SUBJECTS.c.state).where(is_of(_SUBJECTS, subject))
        state = self._database.core(lambda c: c.execute(query).scalar_one_or_none())
        return None if state is None else Drift.from_json(state)

    def reference(self, subject: Subject, part: Part) -> Reference | None:
        """See the port."""
        return self._database.core(lambda c: read_reference(c, subject, part))

    def hours(self, subject: Subject, since: datetime) -> list[Hour]:
        """See the port."""
        query = select(_HOURS).where(is_of(_HOURS, subject), _HOURS.c.hour >= since).order_by(_HOURS.c.hour)
        return [hour_of(row) for row in self._database.core(lambda c: c.execute(query).all())]

    def findings(
        self,
        facilities: frozenset[FacilityId] | None,
        since: datetime | None = None,
        subject: Subject | None = None,
        limit: int = 100,
    ) -> list[Finding]:
        """See the port."""
        ended = _FINDINGS.c.ended_at
        held = ended.is_(None) if since is None else or_(ended.is_(None), ended >= since)
        query = select(_FINDINGS).where(held)
        if facilities is not None:
            query = query.where(_FINDINGS.c.facility_id.in_(sorted(facilities)))
        if subject is not None:
            query = query.where(is_of(_FINDINGS, subject))
        query = query.order_by(_FINDINGS.c.began_at.desc(), _FINDINGS.c.finding_id.desc()).limit(limit)
        return [_finding(row) for row in self._database.core(lambda c: c.execute(query).all())]

    def freeze(self, subject: Subject, actor: str) -> bool:
        """See the port."""

        def work(connection: Connection) -> bool:
            connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))
            known = select(_SUBJECTS.c.subject).where(is_of(_SUBJECTS, subject))
            if connection.execute(known).one_or_none() is None:
                return False
            shelf = PostgresShelf(connection, [subject])
            drift = shelf.drift(subject)
            change = learn_anew(drift, subject, shelf, tuple(map(Part, drift.parts)), clock_time(connection))
            shelf.write()
            if change is not None and (alert := alert_about(change)) is not None:
                raise_alert(connection, subject.facility, alert)
            body = {"ended": list(change.ended) if change else []}
            record(connection, subject.facility, actor, "drift.frozen", str(subject), body)
            return True

        found = self._database.core(work)
        wake(self._database, [ALERTS])
        return found

    def forget(self, before: datetime, limit: int) -> int:
        """See the port."""

        def work(connection: Connection) -> int:
            # Whoever takes in an image at this moment must not lose the row that its window belongs to.
            connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))
            key = [*subject_columns(_HOURS), _HOURS.c.hour]
            gone = _forget(connection, _HOURS, key, _HOURS.c.hour < before, limit)
            old = _FINDINGS.c.ended_at < before
            gone += _forget(connection, _FINDINGS, [_FINDINGS.c.finding_id], old, limit - gone)
            return gone + _forget_subjects(connection, before, limit - gone)

        return self._database.core(work)


def _forget(connection: Connection, table: Table, key: list[Any], old: Any, limit: int) -> int:
    chosen = select(*key).where(old).limit(limit)
    return connection.execute(delete(table).where(tuple_(*key).in_(chosen))).rowcount


def _forget_subjects(connection: Connection, before: datetime, limit: int) -> int:
    chosen = select(*subject_columns(_SUBJECTS)).where(_SUBJECTS.c.updated_at < before).limit(limit)
    gone = [tuple(row) for row in connection.execute(chosen)]
    if gone:
        # It is referred to by all others.
        for table in (_HOURS, _FINDINGS, schema.drift_blocks, schema.drift_references, _SUBJECTS):
            connection.execute(delete(table).where(tuple_(*subject_columns(table)).in_(gone)))
    return len(gone)


def _tell(connection: Connection, change: DriftChange) -> None:
    facility, alert = change.subject.facility, alert_about(change)
    if alert is not None:
        raise_alert(connection, facility, alert)
    began = [finding.feature for finding in change.began]
    body = {"began": began, "ended": list(change.ended)}
    record(connection, facility, SYSTEM, "drift.found" if began else "drift.over", str(change.subject), body)


def _finding(row: Any) -> Finding:
    times = row.began_at, row.ended_at
    return Finding.from_json(row.finding_id, subject_of(row), row.feature, times, row.body)
