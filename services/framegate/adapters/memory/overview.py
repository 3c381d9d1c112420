"""The overview in memory."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import median_low
from typing import Final

from framegate.adapters.memory.registry import MemoryWorkers
from framegate.adapters.memory.state import TAKES, ImageRow, MemoryState
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.inspection import Failed, Inspected
from framegate.kernel.reviews import effective
from framegate.kernel.states import Lane, Stage, Verdict
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

_PASSES: Final = {
    Stage.INGEST: "received",
    Stage.PREPROCESS: "prepared",
    Stage.INFERENCE: "inspected",
    Stage.GATE: "decided",
}


class MemoryOverview:
    """`Overview`. Safe for use from several threads."""

    def __init__(self, state: MemoryState, workers: MemoryWorkers) -> None:
        self._state, self._workers = state, workers

    def rates(self, facilities: frozenset[FacilityId], since: timedelta) -> list[CameraRate]:
        """See the port."""
        with self._state.lock:
            start = self._state.now() - min(since, LONGEST_WINDOW)
            places = sorted(place for place in self._state.cameras if place[0] in facilities)
            return [self._rate(facility, camera, start) for facility, camera in places]

    def _rate(self, facility: FacilityId, camera: CameraId, start: datetime) -> CameraRate:
        rows = [row for row in self._newest({facility}) if row.facts.camera == camera]
        ended = [row for row in rows if row.end is not None and row.end.at >= start]
        became = Counter(str(row.end.outcome.verdict or row.state) for row in ended if row.end)
        took = [(row.end.at - row.facts.received_at).total_seconds() for row in ended if row.end and _verdict(row)]
        newest = rows[0] if rows else None
        return CameraRate(
            facility,
            camera,
            newest.new.metadata.get("dock") if newest else None,
            self._glimpse(newest) if newest else None,
            dict(became),
            median_low(took) * 1000 if took else None,
        )

    def newest(self, facilities: frozenset[FacilityId], each: int) -> list[Glimpse]:
        """See the port."""
        with self._state.lock:
            taken: Counter[tuple[FacilityId, CameraId]] = Counter()
            found = []
            for row in self._newest(facilities):
                taken[row.facts.facility, row.facts.camera] += 1
                if taken[row.facts.facility, row.facts.camera] <= each:
                    found.append(self._glimpse(row))
            return found

    def stages(self) -> Flow:
        """See the port."""
        alive = self._workers.statuses(ALIVE)
        with self._state.lock:
            rows, start = list(self._state.images.values()), self._state.now() - LATELY
            entries = [entry for row in rows for entry in row.history if datetime.fromisoformat(entry["at"]) >= start]
            stages = tuple(self._flow(rows, stage, lane) for stage in _PASSES for lane in Lane)
        troubles = Counter((entry["stage"], entry["ending"], entry["cause"][:200]) for entry in entries)
        return Flow(
            stages,
            Counter(Stage(stage) for worker in alive for stage in worker.stages),
            Counter(Stage(stage) for worker in alive if worker.ready for stage in worker.stages),
            tuple(Trouble(*what, times) for what, times in troubles.most_common(MOST_TROUBLES)),
        )

    def _flow(self, rows: Iterable[ImageRow], stage: Stage, lane: Lane) -> StageFlow:
        now, monotonic = self._state.now(), self._state.clock.monotonic()
        mine = [row for row in rows if row.facts.lane is lane]
        here = [row for row in mine if not row.ended and row.state is TAKES.get(stage)]
        working = sum(row.lease is not None and row.lease.until > monotonic for row in here)
        passed = [row.timeline[_PASSES[stage]] for row in mine if _PASSES[stage] in row.timeline]
        return StageFlow(
            stage,
            lane,
            len(here) - working,
            working,
            monotonic - min(row.moved_at for row in here) if here else None,
            sum(at >= now - timedelta(minutes=1) for at in passed),
            sum(at >= now - LATELY for at in passed),
        )

    def stock(self, facilities: frozenset[FacilityId]) -> list[Stock]:
        """See the port."""
        with self._state.lock:
            return [stock for facility, stock in sorted(self._state.stock.items()) if facility in facilities]

    def missing(self, facilities: frozenset[FacilityId], limit: int) -> list[Missing]:
        """Always empty: here an image is one row, which is in flight or has ended."""
        return []

    def neighbours(self, facilities: frozenset[FacilityId], image_id: ImageId) -> Neighbours | None:
        """See the port."""
        with self._state.lock:
            here = self._state.images.get(image_id)
            if here is None or here.facts.facility not in facilities:
                return None
            others = [row for row in self._newest({here.facts.facility}) if row is not here]
            beside = [row for row in others if row.facts.camera == here.facts.camera]
            newer = [row for row in beside if row.facts.image_id > image_id][-NEIGHBOURS_EACH_WAY:]
            older = [row for row in beside if row.facts.image_id < image_id][:NEIGHBOURS_EACH_WAY]
            together: list[ImageRow] = []
            for name in TOGETHER:
                value = here.new.metadata.get(name)
                together = together or [r for r in others if value is not None and r.new.metadata.get(name) == value]
            return Neighbours(*(tuple(map(self._glimpse, s)) for s in (newer, older, together[:MOST_TOGETHER])))

    def quality(self, facilities: frozenset[FacilityId], camera: CameraId, limit: int) -> list[QualityPoint]:
        """See the port."""
        with self._state.lock:
            rows = [row for row in self._newest(facilities) if row.facts.camera == camera and row.end]
            points = [
                QualityPoint(
                    row.facts.image_id,
                    row.facts.received_at,
                    row.prepared.quality.to_json(),
                    self._glimpse(row).verdict,
                )
                for row in rows
                if row.prepared is not None
            ]
        return points[: min(limit, MOST_POINTS)]

    def facets(self, facilities: frozenset[FacilityId]) -> Facets:
        """See the port."""
        with self._state.lock:
            ended = [row for row in self._newest(facilities) if row.end is not None]
            found = [row.finding for row in ended]
            kinds: tuple[set[str], ...] = (
                {camera for facility, camera in self._state.cameras if facility in facilities},
                {name for seen in found if isinstance(seen, Inspected) for name in seen.classes},
                {seen.model for seen in found if isinstance(seen, Inspected | Failed) and seen.model},
                {row.end.outcome.reason for row in ended if row.end},
            )
        return Facets(*(tuple(sorted(kind)[:MOST_CHOICES]) for kind in kinds))

    def _newest(self, facilities: Iterable[FacilityId]) -> list[ImageRow]:
        mine = set(facilities)
        rows = [row for row in self._state.images.values() if row.facts.facility in mine]
        return sorted(rows, key=lambda row: row.facts.image_id, reverse=True)

    def _glimpse(self, row: ImageRow) -> Glimpse:
        facts, item = row.facts, self._state.reviews.get(row.facts.image_id)
        verdict = effective(_verdict(row), item.reviews if item else ())
        return Glimpse(facts.facility, facts.image_id, facts.camera, facts.received_at, row.state, verdict)


def _verdict(row: ImageRow) -> Verdict | None:
    return row.end.outcome.verdict if row.end else None
