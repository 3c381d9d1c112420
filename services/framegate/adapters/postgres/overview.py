"""What pages show of many things at once."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection

from framegate.adapters.postgres.database import Database
from framegate.adapters.postgres.rows import TAKES, conservation_from_row
from framegate.adapters.postgres.statements import statement
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.states import ImageState, Lane, Stage, Verdict
from framegate.ports.overview import (
    ALIVE,
    LATELY,
    LONGEST_WINDOW,
    MOST_CHOICES,
    MOST_POINTS,
    MOST_TOGETHER,
    MOST_TROUBLES,
    NEIGHBOURS_EACH_WAY,
    TOGETHER,
    CameraRate,
    Facets,
    Flow,
    Glimpse,
    Missing,
    Neighbours,
    QualityPoint,
    StageFlow,
    Stock,
    Trouble,
)

#: In the order of the counts of `overview_passed.sql`.
_PASSING: Final = (Stage.INGEST, Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE)
#: In the order of the counts of `overview_rates.sql`.
_BECAME: Final = (Verdict.PASS, Verdict.FAIL, Verdict.REVIEW, ImageState.REJECTED, ImageState.FAILED)
_WORKERS: Final = """
select stage, count(*), count(*) filter (where ready) from workers, unnest(stages) stage
where seen_at >= now() - make_interval(secs => %(within_s)s) group by stage
"""
_STOCK: Final = """
select facility_id, counted_at, accepted, decided, rejected, failed, in_flight, lost, passes, fails, reviews
from stock where facility_id = any (%(facilities)s) order by facility_id
"""
_MISSING: Final = """
select i.facility_id, i.image_id, i.camera_id, i.received_at
from stock s cross join lateral unnest(s.missing) as m (image_id)
join images i on i.facility_id = s.facility_id and i.image_id = m.image_id
where s.facility_id = any (%(facilities)s)
  and not exists (select from outcomes o where o.facility_id = i.facility_id and o.image_id = i.image_id)
  and not exists (select from progress p where p.facility_id = i.facility_id and p.image_id = i.image_id)
order by i.image_id limit %(max)s
"""


class PostgresOverview:
    """`Overview`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rates(self, facilities: frozenset[FacilityId], since: timedelta) -> list[CameraRate]:
        """See the port."""
        since_s = min(since, LONGEST_WINDOW).total_seconds()
        rows = self._rows(statement("overview_rates"), facilities, since_s=since_s)
        return [
            CameraRate(
                FacilityId(facility),
                CameraId(camera),
                dock,
                None if image is None else _glimpse(facility, image, camera, at, state, verdict),
                {str(name): n for name, n in zip(_BECAME, counts, strict=True) if n},
                median_ms,
            )
            for facility, camera, dock, *counts, median_ms, image, at, state, verdict in rows
        ]

    def newest(self, facilities: frozenset[FacilityId], each: int) -> list[Glimpse]:
        """See the port."""
        return [_glimpse(*row) for row in self._rows(statement("overview_newest"), facilities, each=each)]

    def stages(self) -> Flow:
        """See the port. The statements see different moments, a few milliseconds apart."""
        given = {"lately_s": LATELY.total_seconds(), "troubles": MOST_TROUBLES}

        def work(connection: Connection) -> tuple[Sequence[Any], ...]:
            return (
                connection.exec_driver_sql(statement("overview_waiting")).all(),
                connection.exec_driver_sql(statement("overview_passed"), given).all(),
                connection.exec_driver_sql(_WORKERS, {"within_s": ALIVE.total_seconds()}).all(),
            )

        waiting, said, workers = self._database.page(work)
        moving = {(state, lane): counts for lane, state, *counts in waiting}
        passed = {(span, lane): counts for kind, lane, span, counts in said if kind == "passed"}
        return Flow(
            tuple(_flow(n, stage, lane, moving, passed) for n, stage in enumerate(_PASSING) for lane in Lane),
            {Stage(stage): alive for stage, alive, _ in workers},
            {Stage(stage): ready for stage, _, ready in workers},
            tuple(Trouble(stage, ending, *entry) for kind, ending, stage, entry in said if kind == "trouble"),
        )

    def stock(self, facilities: frozenset[FacilityId]) -> list[Stock]:
        """See the port."""
        return [
            Stock(FacilityId(facility), counted_at, conservation_from_row(sums))
            for facility, counted_at, *sums in self._rows(_STOCK, facilities)
        ]

    def missing(self, facilities: frozenset[FacilityId], limit: int) -> list[Missing]:
        """See the port."""
        return [
            Missing(FacilityId(facility), ImageId(image), CameraId(camera), received_at)
            for facility, image, camera, received_at in self._rows(_MISSING, facilities, max=limit)
        ]

    def neighbours(self, facilities: frozenset[FacilityId], image_id: ImageId) -> Neighbours | None:
        """See the port."""
        given = {"image": image_id, "each": NEIGHBOURS_EACH_WAY, "together": MOST_TOGETHER}
        for name in TOGETHER:
            rows = self._rows(statement("overview_neighbours"), facilities, name=name, **given)
            placed = [(place, _glimpse(*values)) for place, *values in rows]
            newer, older, together = (
                tuple(one for where, one in placed if where == place) for place in ("newer", "older", "together")
            )
            if together or not placed:
                break
        return Neighbours(newer, older, together) if placed else None

    def quality(self, facilities: frozenset[FacilityId], camera: CameraId, limit: int) -> list[QualityPoint]:
        """See the port."""
        rows = self._rows(statement("overview_quality"), facilities, camera=camera, max=min(limit, MOST_POINTS))
        return [QualityPoint(ImageId(image), at, measures, _verdict(said)) for image, at, measures, said in rows]

    def facets(self, facilities: frozenset[FacilityId]) -> Facets:
        """See the port."""
        rows = self._rows(statement("overview_facets"), facilities, most=MOST_CHOICES)
        kinds = ("cameras", "classes", "models", "reasons")
        return Facets(*(tuple(sorted(name for of, name in rows if of == kind)[:MOST_CHOICES]) for kind in kinds))

    def _rows(self, query: str, facilities: frozenset[FacilityId], **given: Any) -> Sequence[Any]:
        parameters = {"facilities": sorted(facilities), **given}
        if not facilities:
            return []
        return self._database.page(lambda connection: connection.exec_driver_sql(query, parameters).all())


def _flow(
    place: int, stage: Stage, lane: Lane, moving: Mapping[Any, Sequence[Any]], passed: Mapping[Any, Sequence[int]]
) -> StageFlow:
    working, waiting, oldest_s = moving.get((TAKES.get(stage), lane), (0, 0, None))
    minute, lately = (passed.get((span, lane), (0, 0, 0, 0))[place] for span in ("minute", "lately"))
    return StageFlow(stage, lane, waiting, working, None if oldest_s is None else max(0.0, oldest_s), minute, lately)


def _glimpse(facility: str, image: Any, camera: str, received_at: Any, state: str, verdict: str | None) -> Glimpse:
    return Glimpse(
        FacilityId(facility), ImageId(image), CameraId(camera), received_at, ImageState(state), _verdict(verdict)
    )


def _verdict(text: str | None) -> Verdict | None:
    return None if text is None else Verdict(text)
