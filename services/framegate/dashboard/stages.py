"""What the pipeline looks like now, and in one sentence each what is wrong with it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from framegate.dashboard.html import count, duration
from framegate.kernel.states import Lane, Stage
from framegate.pipeline import PIPELINE
from framegate.ports.overview import ALIVE, LATELY, Flow, Stock
from framegate.ports.store import WorkerStatus

#: Live images that wait longer are not a moment's burst.
PATIENCE_S: Final = 30.0
#: A backfill may wait, but not starve.
BULK_PATIENCE_S: Final = 1800.0
_PATIENCE: Final = {Lane.LIVE: PATIENCE_S, Lane.BULK: BULK_PATIENCE_S}
NOT_READY: Final = "A stage is not ready"
WAITING: Final = "Images wait"
CANNOT: Final = "Messages and images that cannot be handled"
MISSING: Final = "Images are missing"


@dataclass(frozen=True, slots=True)
class LaneView:
    """`waiting` and `working` count images; `oldest_s`: for how long the first of them has been here.

    Of ingest only `last_minute` is known, images that were passed on.
    """

    lane: Lane
    waiting: int
    working: int
    oldest_s: float | None
    last_minute: int


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker's own word about itself; `reason`: why it is not ready."""

    name: str
    ready: bool
    reason: str


@dataclass(frozen=True, slots=True)
class StageView:
    """`lanes` is empty for stages that images do not go through. `errors`: attempts lately, by cause, most frequent first."""

    stage: Stage
    does: str
    lanes: Sequence[LaneView]
    errors: Sequence[tuple[str, int]]
    workers: Sequence[WorkerView]

    @property
    def waiting(self) -> int:
        """In both lanes."""
        return sum(lane.waiting for lane in self.lanes)

    @property
    def oldest_s(self) -> float | None:
        """In either lane."""
        return max((lane.oldest_s for lane in self.lanes if lane.oldest_s is not None), default=None)

    @property
    def ready(self) -> bool:
        """Whether anybody does its work. Who reads this is answered by ingest."""
        return self.stage is Stage.INGEST or any(worker.ready for worker in self.workers)

    @property
    def reason(self) -> str:
        """Why nobody does."""
        said = next((worker.reason for worker in self.workers if worker.reason), "")
        return said or (
            "it does not say why" if self.workers else f"none has reported within {ALIVE.total_seconds():.0f} s"
        )


@dataclass(frozen=True, slots=True)
class Sums:
    """What was counted last, over some facilities. `counted_at`: of the count that is oldest."""

    counted_at: datetime
    accepted: int
    decided: int
    rejected: int
    failed: int
    in_flight: int
    lost: int


def sums_of(stock: Sequence[Stock]) -> Sums | None:
    """None: nothing was counted yet."""
    if not stock:
        return None
    names = ("accepted", "decided", "rejected", "failed", "in_flight", "lost")
    return Sums(
        min(each.counted_at for each in stock), *(sum(getattr(each.sums, name) for each in stock) for name in names)
    )


def stages_of(flow: Flow, statuses: Sequence[WorkerStatus]) -> list[StageView]:
    """All, in the order of the flow."""
    return [
        StageView(
            step.stage,
            step.does,
            [
                LaneView(each.lane, each.waiting, each.working, each.oldest_s, each.last_minute)
                for each in flow.stages
                if each.stage is step.stage
            ],
            [(f"{each.ending}, {each.cause}", each.times) for each in flow.troubles if each.stage == step.stage],
            sorted(
                (WorkerView(s.name, s.ready, s.reason) for s in statuses if step.stage in s.stages),
                key=lambda worker: worker.name,
            ),
        )
        for step in PIPELINE
    ]


@dataclass(frozen=True, slots=True)
class Trouble:
    """`what` is wrong in one sentence, what to `do`, and the `heading` of docs/runbook.md that says more."""

    what: str
    do: str
    heading: str
    grave: bool = True


def troubles(stages: Sequence[StageView], missing: int, dead: int) -> list[Trouble]:
    """What loses images first, then what stops them, in the order of the flow, then what only delays them."""
    found = [*_lost(missing), *(trouble for stage in stages for trouble in _of_stage(stage)), *_dead(dead)]
    return sorted(found, key=lambda trouble: not trouble.grave)


def _lost(missing: int) -> Iterator[Trouble]:
    if missing:
        what = f"{_images(missing)} missing: accepted, and neither ended nor in flight."
        yield Trouble(
            what, "Run `framegate verify`, keep the data directory, and report it: this must not happen.", MISSING
        )


def _dead(dead: int) -> Iterator[Trouble]:
    if dead:
        what = f"{count(dead)} message{'' if dead == 1 else 's'} could not be handled and lie{'s' if dead == 1 else ''} aside."
        do = "Administrators of every facility see each with its cause below. Correct the cause, then redrive them."
        yield Trouble(what, do, CANNOT, grave=False)


def _of_stage(stage: StageView) -> Iterator[Trouble]:
    waits = _waits(stage)
    if not stage.ready:
        what = f"{stage.stage}: {waits}no worker is ready: {stage.reason.rstrip('.')}."
        yield Trouble(what, _REMEDY.get(bool(stage.workers), ""), NOT_READY)
    elif late := [lane for lane in stage.lanes if (lane.oldest_s or 0.0) > _PATIENCE[lane.lane]]:
        what = f"{stage.stage}: {_lane_waits(late[0])}."
        do = "It is slower than what comes in, or hangs: add workers; restart it where nothing is done in a minute."
        yield Trouble(what, do, WAITING, grave=late[0].lane is Lane.LIVE)
    elif unready := [worker for worker in stage.workers if not worker.ready]:
        first = unready[0]
        what = f"{stage.stage}: {first.name} is not ready: {(first.reason or 'it does not say why').rstrip('.')}."
        yield Trouble(what, "The others go on; images only take longer.", NOT_READY, grave=False)
    if stage.errors:
        times = sum(n for _, n in stage.errors)
        many = "attempt" if times == 1 else "attempts"
        what = f"{stage.stage}: {count(times)} {many} failed within {duration(LATELY.total_seconds())}: {stage.errors[0][0]}."
        yield Trouble(what, "They are tried again. The page of such an image shows the causes.", CANNOT, grave=False)


#: By whether any worker has reported.
_REMEDY: Final[Mapping[bool, str]] = {
    True: "Bring back what it names; nothing is charged to images, and work goes on by itself.",
    False: "Its process is down or starting; the supervisor restarts it. Its log says why it ended.",
}


def _waits(stage: StageView) -> str:
    if not stage.waiting:
        return ""
    oldest = f", the oldest for {duration(stage.oldest_s)}" if stage.oldest_s is not None else ""
    return f"{_wait(stage.waiting)}{oldest}; "


def _lane_waits(lane: LaneView) -> str:
    kind = "" if lane.lane is Lane.LIVE else "bulk "
    return f"{_wait(lane.waiting, kind)}, the oldest for {duration(lane.oldest_s)}"


def _wait(number: int, kind: str = "") -> str:
    return f"1 {kind}image waits" if number == 1 else f"{count(number)} {kind}images wait"


def _images(number: int) -> str:
    return "1 image is" if number == 1 else f"{count(number)} images are"
