"""How long pictures and metadata are kept, and what was erased. Whoever erases and whoever holds wait for each other."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final

from sqlalchemy import Connection, case, delete, func, or_, select, text, union_all, update
from sqlalchemy.dialects.postgresql import insert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.cameras import ensure_facility
from framegate.adapters.postgres.database import Database
from framegate.adapters.postgres.rows import as_json, storable
from framegate.adapters.postgres.statements import statement
from framegate.kernel.blobkeys import blob_key
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.incidents import SYSTEM
from framegate.kernel.retention import (
    Days,
    Due,
    Ended,
    ErasedFiles,
    Erasure,
    ErasureRefused,
    Part,
    RetentionClass,
    due_parts,
)
from framegate.kernel.states import ImageState, Verdict
from framegate.ports.retention import Walked

_RETENTION, _WALKS, _ERASURES = schema.retention, schema.retention_walks, schema.erasures
_LOCK: Final = "hashtext('holds')"
_AGAIN: Final = timedelta(days=1)


def lock_holds(connection: Connection) -> None:
    """Until the transaction ends, nothing is erased."""
    connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))


def walk_anew(connection: Connection, facility: FacilityId) -> None:
    """From the first ended image on, at once."""
    start = {"after": 0, "began_at": func.clock_timestamp()}
    row = insert(_WALKS).values(facility_id=facility, **start)
    connection.execute(row.on_conflict_do_update(index_elements=["facility_id"], set_=start))


class PostgresRetention:
    """`Retention`. Safe for use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def days(self, facility: FacilityId) -> Days:
        """See the port."""
        return self._database.core(lambda connection: _days(connection, facility))

    def keep(self, facility: FacilityId, changes: Mapping[RetentionClass, int | None], actor: str) -> Days:
        """See the port."""

        def work(connection: Connection) -> Days:
            ensure_facility(connection, facility)
            # Of two who set something at once, the second sees what the first one set.
            lock = select(_WALKS.c.facility_id).where(_WALKS.c.facility_id == facility).with_for_update()
            connection.execute(lock)
            before = _days(connection, facility)
            changed = {kind: days for kind, days in changes.items() if before.get(kind) != days}
            for kind, days in changed.items():
                _set(connection, facility, kind, days)
                body = {"days": days, "before": before.get(kind)}
                record(connection, facility, actor, "retention.set", str(kind), body)
            if changed:
                walk_anew(connection, facility)
            return _days(connection, facility)

        return self._database.core(work)

    def walk(self, now: datetime, limit: int) -> Walked | None:
        """See the port."""
        again = or_(_WALKS.c.after.is_not(None), _WALKS.c.began_at <= now - _AGAIN)
        turn = select(_WALKS).where(again).order_by(_WALKS.c.began_at).limit(1).with_for_update(skip_locked=True)

        def work(connection: Connection) -> Walked | None:
            at = connection.execute(turn).one_or_none()
            if at is None:
                return None
            facility = FacilityId(at.facility_id)
            days = _days(connection, facility)
            if not days:
                connection.execute(delete(_WALKS).where(_WALKS.c.facility_id == facility))
                return Walked(facility, 0, {})
            page = {"facility": facility, "after": at.after or 0, "max": limit}
            rows = connection.exec_driver_sql(statement("retention_page"), page).all()
            # They are in the order of their ends: behind the first that is too young, all are.
            youngest = now - timedelta(days=min(days.values()))
            old = list(takewhile(lambda row: row.decided_at <= youngest, rows))
            erased = _erase(connection, facility, due_parts(map(_ended, old), days, now), SYSTEM)
            further = {"after": old[-1].sequence if len(old) == limit else None}
            if not at.after:
                further["began_at"] = now
            connection.execute(update(_WALKS).where(_WALKS.c.facility_id == facility).values(further))
            return Walked(facility, len(old), Counter(erased))

        return self._database.core(work)

    def erase(self, facility: FacilityId, image_id: ImageId, reason: str, actor: str) -> tuple[Erasure, ...]:
        """See the port."""

        def work(connection: Connection) -> tuple[Erasure, ...]:
            _check_ended(connection, facility, image_id)
            _erase(connection, facility, [Due(image_id, part, storable(reason)) for part in Part], actor)
            erasures = _erasures(connection, facility, image_id)
            if not any(erasure.part is Part.ORIGINAL for erasure in erasures):
                raise ErasureRefused(_held(connection, facility, image_id))
            return erasures

        return self._database.core(work)

    def overdue_s(self, now: datetime) -> float:
        """See the port."""
        turn = case((_WALKS.c.after.is_(None), _WALKS.c.began_at + _AGAIN), else_=_WALKS.c.began_at)
        oldest = union_all(
            select(func.min(turn)), select(func.min(_ERASURES.c.at)).where(_ERASURES.c.done_at.is_(None))
        )
        since = [at for at in self._database.core(lambda c: c.execute(oldest).scalars().all()) if at is not None]
        return max(0.0, (now - min(since)).total_seconds()) if since else 0.0

    def unfinished(self, limit: int) -> list[ErasedFiles]:
        """See the port."""
        query = statement("retention_unfinished")
        rows = self._database.core(lambda connection: connection.exec_driver_sql(query, {"max": limit}).all())
        return [_files(row) for row in rows]

    def finish(self, erased: Sequence[ErasedFiles]) -> None:
        """See the port."""
        parameters = {"facilities": [one.facility for one in erased], "images": [one.image_id for one in erased]}
        query = statement("retention_finish")
        self._database.core(lambda connection: connection.exec_driver_sql(query, parameters))


def _erasures(connection: Connection, facility: FacilityId, image_id: ImageId) -> tuple[Erasure, ...]:
    """Of the picture first."""
    query = select(_ERASURES).where(_ERASURES.c.facility_id == facility, _ERASURES.c.image_id == image_id)
    rows = connection.execute(query.order_by(_ERASURES.c.part.desc())).all()
    return tuple(Erasure(Part(row.part), row.at, row.actor, row.reason) for row in rows)


def _days(connection: Connection, facility: FacilityId) -> Days:
    query = select(_RETENTION).where(_RETENTION.c.facility_id == facility).order_by(_RETENTION.c["class"])
    return {RetentionClass(row[1]): row.days for row in connection.execute(query)}


def _set(connection: Connection, facility: FacilityId, kind: RetentionClass, days: int | None) -> None:
    here = (_RETENTION.c.facility_id == facility) & (_RETENTION.c["class"] == kind)
    connection.execute(delete(_RETENTION).where(here))
    if days is not None:
        connection.execute(insert(_RETENTION).values({"facility_id": facility, "class": kind, "days": days}))


def _erase(connection: Connection, facility: FacilityId, due: Sequence[Due], actor: str) -> list[Part]:
    if not due:
        return []
    connection.execute(text(f"select pg_advisory_xact_lock_shared({_LOCK})"))
    parts = [{"image": str(one.image_id), "part": one.part, "reason": one.reason} for one in due]
    parameters = {"facility": facility, "due": as_json(parts), "actor": actor}
    return [Part(part) for part in connection.exec_driver_sql(statement("retention_erase"), parameters).scalars()]


def _check_ended(connection: Connection, facility: FacilityId, image_id: ImageId) -> None:
    images, outcomes = schema.images, schema.outcomes
    known, ended = (
        connection.execute(
            select(table.c.image_id).where(table.c.facility_id == facility, table.c.image_id == image_id)
        ).one_or_none()
        for table in (images, outcomes)
    )
    if known is None:
        raise ErasureRefused(f"there is no image {image_id} at {facility}: say with --facility where it is")
    if ended is None:
        raise ErasureRefused(f"image {image_id} is still being inspected: erase it when it has ended")


def _held(connection: Connection, facility: FacilityId, image_id: ImageId) -> str:
    query = "select holds_on(i)::text from images i where facility_id = %(facility)s and image_id = %(image)s"
    holds = connection.exec_driver_sql(query, {"facility": facility, "image": image_id}).scalars().all()
    return (
        f"image {image_id} is under legal hold ({', '.join(holds)}) and is not erased: "
        "'framegate hold list' says why, and 'framegate hold lift' ends a hold"
    )


def _ended(row: Any) -> Ended:
    there = {Part.ORIGINAL: row.original, Part.METADATA: row.metadata}
    return Ended(
        ImageId(row.image_id),
        ImageState(row.state),
        None if row.verdict is None else Verdict(row.verdict),
        None if row.human is None else Verdict(row.human),
        row.waiting,
        row.decided_at,
        frozenset(part for part, is_there in there.items() if is_there),
    )


def _files(row: Any) -> ErasedFiles:
    """A duplicate's outcome may name the prepared frame of the image that it was copied from, which is not its own."""
    facility, image_id = FacilityId(row.facility_id), ImageId(row.image_id)
    keys = [row.blob_key]
    if row.created_at is not None:
        keys.append(blob_key("uploads", facility, image_id, row.media_type, row.created_at))
    first = f"{image_id}-1."
    if row.prepared and first in row.prepared:
        # The second look's lies beside that of the first.
        keys += [row.prepared, row.prepared.replace(first, f"{image_id}-2.")]
    return ErasedFiles(facility, image_id, tuple(keys))
