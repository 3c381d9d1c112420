"""The health of cameras, judged image by image as they end."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.database import Database, clock_time
from framegate.adapters.postgres.incidents import ALERTS, raise_alert
from framegate.adapters.postgres.settled import OUTCOMES, Settled
from framegate.adapters.postgres.statements import statement
from framegate.adapters.postgres.wakeups import wake
from framegate.kernel.camera_faults import (
    alert_about,
    awake_since,
    fall_silent,
    judge,
    lifted,
    silent_at,
    suspend,
)
from framegate.kernel.camera_health import FAULTS, CameraHealth, FaultChange, HealthLimits, Observation, Place
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.incidents import SYSTEM
from framegate.kernel.inspection import Prepared
from framegate.kernel.states import Lane
from framegate.ports.camera_health import Followed

_HEALTH, _WATCH, _IMAGES, _CAMERAS = schema.camera_health, schema.camera_watch, schema.images, schema.cameras
_LOCK: Final = "hashtext('camera-health')"


class PostgresCameraHealths:
    """`CameraHealths`. Safe for use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database, self._settled = database, Settled(OUTCOMES)

    def follow(self, limits: HealthLimits, limit: int) -> Followed:
        """What was committed a moment ago may be judged a moment later, as in `PostgresResults.outcomes_after`."""
        settled = self._database.run(self._settled.upto)

        def work(connection: Connection) -> Followed:
            if not connection.execute(text(f"select pg_try_advisory_xact_lock({_LOCK})")).scalar_one():
                return Followed(0, ())
            now = clock_time(connection)
            watch = connection.execute(select(_WATCH)).one_or_none()
            sequence = watch.sequence if watch else 0
            awake = awake_since(watch.awake_since, watch.looked_at, now) if watch else now
            ended = _ended(connection, sequence, settled, limit)
            images = [seen for _, seen in ended if seen is not None]
            healths = _healths(connection, {(seen.facility, seen.camera) for seen in images})
            changes = judge(healths, images, limits)
            if len(ended) < limit:
                changes += _silent(connection, healths, now, awake, limits)
            _write(connection, healths, changes, limits)
            row = {"sequence": ended[-1][0] if ended else sequence, "looked_at": now, "awake_since": awake}
            one = upsert(_WATCH).values(one=True, **row)
            connection.execute(one.on_conflict_do_update(index_elements=["one"], set_=row))
            return Followed(len(ended), changes)

        followed = self._database.core(work)
        if followed.changes:
            wake(self._database, [ALERTS])
        return followed

    def faulty(self) -> Mapping[str, int]:
        """See the port."""
        query = text("select fault, count(*) from camera_health cross join unnest(faults) as fault group by fault")
        found = dict(self._database.core(lambda c: [tuple(row) for row in c.execute(query)]))
        return {name: found.get(name, 0) for name in FAULTS}

    def health(self, facility: FacilityId, camera: CameraId) -> CameraHealth | None:
        """See the port."""
        return self._database.core(lambda c: _healths(c, {(facility, camera)}).get((facility, camera)))

    def faults(self, facilities: frozenset[FacilityId] | None = None) -> Mapping[Place, Sequence[str]]:
        """See the port."""
        query = select(_HEALTH.c.facility_id, _HEALTH.c.camera_id, _HEALTH.c.faults).where(_HEALTH.c.faults != [])
        if facilities is not None:
            query = query.where(_HEALTH.c.facility_id.in_(sorted(facilities)))
        rows = self._database.core(lambda c: c.execute(query).all())
        return {(FacilityId(facility), CameraId(camera)): tuple(faults) for facility, camera, faults in rows}

    def suspend(self, facility: FacilityId, camera: CameraId, reason: str, actor: str) -> bool:
        """See the port."""
        place = facility, camera
        known = select(_CAMERAS.c.id).where(_CAMERAS.c.facility_id == facility, _CAMERAS.c.id == camera)

        def work(connection: Connection) -> bool:
            connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))
            if connection.execute(known).one_or_none() is None:
                return False
            health = _healths(connection, {place}).get(place) or CameraHealth()
            changes = suspend(health, place, clock_time(connection), actor, reason)
            if changes:
                _store(connection, {place: health}, HealthLimits())
                _tell(connection, changes[0], "camera.suspended", actor, {"reason": reason})
            return True

        found = self._database.core(work)
        wake(self._database, [ALERTS])
        return found

    def lift(self, facility: FacilityId, camera: CameraId, actor: str) -> Sequence[str]:
        """See the port."""
        place = facility, camera

        def work(connection: Connection) -> Sequence[str]:
            connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))
            health = _healths(connection, {place}).get(place)
            if health is None:
                return ()
            faults = tuple(sorted(health.faults))
            fresh, alert = lifted(health, place, actor)
            _store(connection, {place: fresh}, HealthLimits())
            if alert is not None:
                raise_alert(connection, facility, alert)
            record(connection, facility, actor, "camera.lifted", camera, {"faults": list(faults)})
            return faults

        faults = self._database.core(work)
        wake(self._database, [ALERTS])
        return faults


def _ended(connection: Connection, sequence: int, settled: int, limit: int) -> list[tuple[int, Observation | None]]:
    """With None for those that are of no matter here."""
    parameters = {"sequence": sequence, "settled": settled, "max": limit}
    rows = connection.exec_driver_sql(statement("health_after"), parameters).all()
    return [(row.sequence, _seen(row) if row.lane == Lane.LIVE else None) for row in rows]


def _seen(row: Any) -> Observation:
    prepared = None
    with suppress(KeyError, TypeError, ValueError):  # whatever an older or newer release wrote must not stop the watch
        prepared = None if row.prepared is None else Prepared.from_json(row.prepared)
    return Observation(FacilityId(row.facility_id), CameraId(row.camera_id), row.received_at, prepared)


def _healths(connection: Connection, places: Iterable[Place]) -> dict[Place, CameraHealth]:
    wanted = sorted(places)
    if not wanted:
        return {}
    query = select(_HEALTH).where(tuple_(_HEALTH.c.facility_id, _HEALTH.c.camera_id).in_(wanted))
    return {_place(row): CameraHealth.from_json(row.state) for row in connection.execute(query)}


def _place(row: Any) -> Place:
    return FacilityId(row.facility_id), CameraId(row.camera_id)


def _silent(
    connection: Connection, healths: dict[Place, CameraHealth], now: datetime, awake: datetime, limits: HealthLimits
) -> list[FaultChange]:
    """Those of which an image is on its way are not silent, whatever keeps it. Adds to `healths` what changes."""
    newest = (
        select(_IMAGES.c.received_at)
        .where(_IMAGES.c.facility_id == _HEALTH.c.facility_id, _IMAGES.c.camera_id == _HEALTH.c.camera_id)
        .order_by(_IMAGES.c.image_id.desc())
        .limit(1)
        .scalar_subquery()
    )
    changes: list[FaultChange] = []
    for row in connection.execute(select(_HEALTH, newest.label("newest")).where(_HEALTH.c.silent_at <= now)):
        place = _place(row)
        health = CameraHealth.from_json(row.state)
        arrived = health.last_at is not None and row.newest is not None and row.newest > health.last_at
        if place not in healths and not arrived and (found := fall_silent(health, place, now, awake, limits)):
            healths[place] = health
            changes += found
    return changes


def _write(
    connection: Connection, healths: Mapping[Place, CameraHealth], changes: Iterable[FaultChange], limits: HealthLimits
) -> None:
    _store(connection, healths, limits)
    for change in changes:
        action = "camera.fault" if change.began else "camera.recovered"
        _tell(connection, change, action, SYSTEM, {"fault": str(change.fault), "detail": change.detail})


def _tell(connection: Connection, change: FaultChange, action: str, actor: str, body: Mapping[str, str]) -> None:
    alert = alert_about(change)
    if alert is not None:
        raise_alert(connection, change.facility, alert)
    record(connection, change.facility, actor, action, change.camera, body)


def _store(connection: Connection, healths: Mapping[Place, CameraHealth], limits: HealthLimits) -> None:
    rows = [
        {
            "facility_id": facility,
            "camera_id": camera,
            "faults": sorted(map(str, health.faults)),
            "state": health.to_json(),
            "silent_at": silent_at(health, limits),
            "updated_at": func.clock_timestamp(),
        }
        for (facility, camera), health in sorted(healths.items())
    ]
    for row in rows:
        changed = {name: value for name, value in row.items() if name not in ("facility_id", "camera_id")}
        one = upsert(_HEALTH).values(row)
        connection.execute(one.on_conflict_do_update(index_elements=["facility_id", "camera_id"], set_=changed))
