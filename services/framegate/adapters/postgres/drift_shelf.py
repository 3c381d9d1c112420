"""What is learnt about drift, read and written in one transaction."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.cameras import ensure_facility
from framegate.adapters.postgres.statements import statement
from framegate.kernel.drift_features import Kind, Part, Seen, merge
from framegate.kernel.drift_reference import Block, Level, Reference, Score
from framegate.kernel.drift_state import Drift, Finding, Hour, Subject, Window
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.inspection import Prepared
from framegate.kernel.states import Lane

_SUBJECTS, _REFERENCES, _BLOCKS = schema.drift_subjects, schema.drift_references, schema.drift_blocks
_HOURS, _FINDINGS = schema.drift_hours, schema.drift_findings
#: Images of one window that are looked at again.
_AGAIN = 2000
_KEY = ("facility_id", "kind", "subject")


def key_of(subject: Subject) -> dict[str, str]:
    """The columns that name it."""
    return {"facility_id": subject.facility, "kind": str(subject.kind), "subject": subject.name}


def subject_of(row: Any) -> Subject:
    """Reverses `key_of`."""
    return Subject(FacilityId(row.facility_id), Kind(row.kind), row.subject)


def subject_columns(table: Table) -> list[Any]:
    """Those of `key_of`."""
    return [table.c[name] for name in _KEY]


def is_of(table: Table, subject: Subject) -> ColumnElement[bool]:
    """The rows of a subject."""
    return tuple_(*subject_columns(table)) == tuple_(*key_of(subject).values())


class PostgresShelf:
    """`Shelf`, for one transaction. Call `write` at its end."""

    def __init__(self, connection: Connection, subjects: Iterable[Subject]) -> None:
        """`subjects`: those that will be asked for."""
        self._connection = connection
        wanted = [tuple(key_of(subject).values()) for subject in sorted(subjects)]
        query = select(_SUBJECTS).where(tuple_(*subject_columns(_SUBJECTS)).in_(wanted))
        rows = connection.execute(query).all() if wanted else []
        self._drifts = {subject_of(row): Drift.from_json(row.state) for row in rows}
        self._count: int = connection.execute(select(func.count()).select_from(_SUBJECTS)).scalar_one()

    def drift(self, subject: Subject) -> Drift:
        """Others refer to its row, so a new one is written at once."""
        if subject not in self._drifts:
            self._drifts[subject] = Drift()
            ensure_facility(self._connection, subject.facility)
            row = key_of(subject) | {"state": Drift().to_json(), "updated_at": func.clock_timestamp()}
            self._connection.execute(insert(_SUBJECTS).values(row))
            self._count += 1
        return self._drifts[subject]

    def subjects(self) -> int:
        """See `Shelf`."""
        return self._count

    def write(self) -> None:
        """Everything that was asked for."""
        rows = [
            key_of(subject) | {"state": drift.to_json()} for subject, drift in sorted(self._drifts.items(), key=_first)
        ]
        if rows:
            one = upsert(_SUBJECTS).values(updated_at=func.clock_timestamp())
            changed = {"state": one.excluded.state, "updated_at": one.excluded.updated_at}
            self._connection.execute(one.on_conflict_do_update(index_elements=_KEY, set_=changed), rows)

    def add_block(self, subject: Subject, part: Part, block: Block) -> None:
        """See `Shelf`."""
        times = {"began_at": block.began_at, "at": block.at}
        row = key_of(subject) | times | {"part": str(part), "images": block.images, "counts": dict(block.counts)}
        self._connection.execute(insert(_BLOCKS).values(row))

    def blocks(self, subject: Subject, part: Part) -> list[Block]:
        """See `Shelf`."""
        query = select(_BLOCKS).where(is_of(_BLOCKS, subject), _BLOCKS.c.part == str(part)).order_by(_BLOCKS.c.at)
        return [Block(row.began_at, row.at, row.images, row.counts) for row in self._connection.execute(query)]

    def reference(self, subject: Subject, part: Part) -> Reference | None:
        """See `Shelf`."""
        return read_reference(self._connection, subject, part)

    def freeze(self, subject: Subject, part: Part, reference: Reference | None) -> None:
        """See `Shelf`."""
        for table in (_BLOCKS, _REFERENCES):
            self._connection.execute(delete(table).where(is_of(table, subject), table.c.part == str(part)))
        if reference is not None:
            row = key_of(subject) | {"part": str(part), "frozen_at": reference.frozen_at, "body": reference.to_json()}
            self._connection.execute(insert(_REFERENCES).values(row))

    def add_hour(self, subject: Subject, window: Window, scores: Sequence[Score]) -> None:
        """See `Shelf`."""
        if window.began_at is None:
            return
        at = window.began_at.replace(minute=0, second=0, microsecond=0)
        query = select(_HOURS).where(is_of(_HOURS, subject), _HOURS.c.hour == at)
        row = self._connection.execute(query).one_or_none()
        hour = Hour(at) if row is None else hour_of(row)
        merge(hour.counts, window.counts)
        newest = hour.scores | {one.feature: one.level for one in scores}
        values = {"images": hour.images + window.images, "counts": hour.counts, "scores": newest}
        one = upsert(_HOURS).values(key_of(subject) | {"hour": at} | values)
        self._connection.execute(one.on_conflict_do_update(index_elements=[*_KEY, "hour"], set_=values))

    def again(self, subject: Subject, window: Window) -> list[Seen]:
        """See `Shelf`."""
        found = read_ended(self._connection, window.first - 1, window.last, _AGAIN, subject)
        return [seen for _, seen in reversed(found) if seen is not None]

    def begin(self, finding: Finding) -> None:
        """See `Shelf`."""
        row = {"finding_id": finding.finding_id, "feature": finding.feature, "began_at": finding.began_at}
        self._connection.execute(insert(_FINDINGS).values(key_of(finding.subject) | row | {"body": finding.to_json()}))

    def end(self, finding_id: UUID, at: datetime) -> None:
        """See `Shelf`."""
        self._connection.execute(update(_FINDINGS).where(_FINDINGS.c.finding_id == finding_id).values(ended_at=at))


def read_reference(connection: Connection, subject: Subject, part: Part) -> Reference | None:
    """See `Shelf.reference`."""
    query = select(_REFERENCES.c.body).where(is_of(_REFERENCES, subject), _REFERENCES.c.part == str(part))
    body = connection.execute(query).scalar_one_or_none()
    return None if body is None else Reference.from_json(body)


def hour_of(row: Any) -> Hour:
    """From its row."""
    return Hour(row.hour, row.images, row.counts, {name: Level(*level) for name, level in row.scores.items()})


def read_ended(
    connection: Connection, sequence: int, upto: int, limit: int, subject: Subject | None = None
) -> list[tuple[int, Seen | None]]:
    """In their order, with None for those that are of no matter here."""
    parameters: dict[str, Any] = {"sequence": sequence, "upto": upto, "max": limit}
    parameters["facility"] = None if subject is None else subject.facility
    for kind in Kind:
        parameters[str(kind)] = subject.name if subject is not None and subject.kind is kind else None
    rows = connection.exec_driver_sql(statement("drift_after"), parameters).all()
    return [(row.sequence, _seen(row) if row.lane == Lane.LIVE else None) for row in rows]


def _seen(row: Any) -> Seen:
    prepared = None
    with suppress(KeyError, TypeError, ValueError):  # whatever an older or newer release wrote must not stop the watch
        prepared = None if row.prepared is None else Prepared.from_json(row.prepared)
    boxes = [(name, confidence, (x1, y1, x2, y2)) for name, confidence, x1, y1, x2, y2 in row.boxes or ()]
    place = FacilityId(row.facility_id), CameraId(row.camera_id), ImageId(row.image_id)
    return Seen(row.sequence, *place, row.received_at, row.ended_as, row.model, prepared, boxes, row.names, row.faulty)


def _first(pair: tuple[Subject, Drift]) -> Subject:
    return pair[0]
