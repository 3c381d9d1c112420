"""The pipeline as one table: which stage consumes what, does what, and emits what.

Help texts, compose files, dashboards and the README follow this table, and a test holds them to it.
"""

from dataclasses import dataclass
from typing import Final

from framegate.kernel.messages import FrameInspected, FramePrepared, FrameSubmitted, Message
from framegate.kernel.states import ImageState, Lane, Stage


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table. `takes` is the state an image must be in; `leaves` where it is afterwards."""

    stage: Stage
    consumes: type[Message] | None
    takes: ImageState | None
    does: str
    emits: type[Message] | None
    leaves: ImageState | None


PIPELINE: Final = (
    Step(Stage.INGEST, None, None, "checks and stores uploads, answers 202", FrameSubmitted, ImageState.RECEIVED),
    Step(
        Stage.PREPROCESS,
        FrameSubmitted,
        ImageState.RECEIVED,
        "decodes strictly in a child process, measures, letterboxes",
        FramePrepared,
        ImageState.PREPARED,
    ),
    Step(
        Stage.INFERENCE,
        FramePrepared,
        ImageState.PREPARED,
        "runs the engine on dynamic batches, maps boxes back",
        FrameInspected,
        ImageState.INSPECTED,
    ),
    Step(
        Stage.GATE,
        FrameInspected,
        ImageState.INSPECTED,
        "applies the policy; writes outcome, detections, audit and alerts in one transaction",
        None,
        ImageState.DECIDED,
    ),
    Step(Stage.ALERTS, None, None, "groups alerts into incidents; signs, delivers and repeats messages", None, None),
    Step(
        Stage.SWEEP, None, None, "sends again what is overdue, expires blobs, checks conservation", FrameSubmitted, None
    ),
)

STEPS: Final = {step.stage: step for step in PIPELINE}
#: The message that makes an image in this state move on.
NEXT_MESSAGE: Final = {step.takes: step.consumes for step in PIPELINE if step.takes and step.consumes}


def queue_name(message: type[Message] | Message, lane: Lane) -> str:
    """Queues are named after the message that waits in them and the lane: `frame-submitted-live`."""
    return f"{message.name}-{lane}"


def queues_of(stage: Stage) -> tuple[str, ...]:
    """The queues a stage consumes, live first; empty for stages that consume none."""
    consumes = STEPS[stage].consumes
    return tuple(queue_name(consumes, lane) for lane in (Lane.LIVE, Lane.BULK)) if consumes else ()


def queues_at(stage: Stage) -> tuple[str, ...]:
    """The queues a stage consumes and, as far as the table tells, those it sends to."""
    emits = STEPS[stage].emits
    return queues_of(stage) + (tuple(queue_name(emits, lane) for lane in Lane) if emits else ())


ALL_QUEUES: Final = tuple(queue for step in PIPELINE for queue in queues_of(step.stage))
