"""What the pipeline looks like now, and in one sentence each what is wrong with it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from framegate.dashboard.html import count, duration
from framegate.kernel.states import Lane, Stage

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
    """`waiting` and `working` count images; `oldest_s`: how long the oldest of those has waited that wait."""

    lane: Lane
    waiting: int
    working: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker's own word about itself; `reason`: why it is not ready."""

    name: str
    ready: bool
    reason: str
    seen_s_ago: float


@dataclass(frozen=True, slots=True)
class StageView:
    """`lanes` is empty for stages without a queue; None: not counted there."""

    stage: Stage
    does: str
    lanes: Sequence[LaneView]
    per_minute: float | None
    errors: int | None
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
        return said or ("it does not say why" if self.workers else "none has reported within 10 s")


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
        what = f"{stage.stage}: {count(stage.errors)} attempt{'' if stage.errors == 1 else 's'} failed lately."
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
