"""Values on their way into statements and out of rows."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Any, Final

from framegate.kernel.detections import Detections
from framegate.kernel.errors import FramegateError
from framegate.kernel.geometry import Region
from framegate.kernel.inspection import Failed, Finding, FirstLook, Inspected, Label, Look, Prepared, Refused
from framegate.kernel.messages import FrameInspected, FramePrepared, FrameSubmitted, Message, encode
from framegate.kernel.reviews import Choice, Decision, Redrawn
from framegate.kernel.states import ImageState, Lane, Stage, Verdict
from framegate.ports.upkeep import Conservation

#: The state an image is in when a stage may claim it.
TAKES: Final = {
    Stage.PREPROCESS: ImageState.RECEIVED,
    Stage.INFERENCE: ImageState.PREPARED,
    Stage.GATE: ImageState.INSPECTED,
}
#: The message that waits for an image in this state.
MESSAGE_FOR: Final[dict[ImageState, type[Message]]] = {
    ImageState.RECEIVED: FrameSubmitted,
    ImageState.PREPARED: FramePrepared,
    ImageState.INSPECTED: FrameInspected,
}


def outgoing(message: Message) -> dict[str, str]:
    """The columns of the row that sends `message`."""
    return {"queue": f"{message.name}-{message.lane}", "body": encode(message)}


def queue_for(state: ImageState, lane: Lane) -> str:
    """Where the message for an image in `state` waits."""
    return f"{MESSAGE_FOR[state].name}-{lane}"


def as_json(value: Any) -> str:
    """JSON that Postgres takes: without NUL and lone surrogates, which its text cannot hold, and without NaN."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return storable(text.replace("\\u0000", "\\ufffd"))


def storable(text: str) -> str:
    """`text` with a replacement character for what Postgres cannot store."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value


def finding_to_row(finding: Finding) -> dict[str, Any]:
    """The columns of the progress row that hold a finding."""
    match finding:
        case Inspected():
            raw: dict[str, Any] = {
                "kind": "inspected",
                "classes": finding.classes,
                "model": finding.model,
                "model_sha256": finding.model_sha256,
                "engine": finding.engine,
            }
            if finding.labels:
                raw["labels"] = [astuple(label) for label in finding.labels]
            if finding.chained:
                raw["chained"] = finding.chained
            return {"finding": raw, "detections": finding.detections.to_bytes().hex()}
        case Refused(reason, detail):
            return {"finding": {"kind": "refused", "reason": reason, "detail": detail}}
        case Failed(reason):
            return {"finding": {"kind": "failed", **asdict(finding)}, "convicts": reason == "poison"}


def finding_from_row(raw: dict[str, Any] | None, detections: bytes | None) -> Finding | None:
    """Reverses `finding_to_row`."""
    if raw is None:
        return None
    if raw["kind"] == "inspected":
        found = Detections.from_bytes(detections or b"")
        labels, chained = labels_from_row(raw.get("labels")), tuple(raw.get("chained", ()))
        names = tuple(raw["classes"])
        return Inspected(found, names, raw["model"], raw["model_sha256"], raw["engine"], labels, chained)
    if raw["kind"] == "refused":
        return Refused(raw["reason"], raw["detail"])
    return Failed(**{name: value for name, value in raw.items() if name != "kind"})


def labels_from_row(raw: list[list[Any]] | None) -> tuple[Label, ...]:
    """From the JSON in which findings and outcomes keep them; None: there are none."""
    return tuple(Label(*values) for values in raw or ())


def first_look_from_row(raw: dict[str, Any] | None) -> FirstLook | None:
    """From the JSON that `progress_advance.sql` makes of a row whose image is looked at again."""
    if raw is None:
        return None
    found = finding_from_row(raw["finding"], bytes.fromhex(raw["detections"] or ""))
    if not isinstance(found, Inspected):
        raise FramegateError(f"a first look that is {raw['finding']['kind']}")
    return FirstLook(found, Prepared.from_json(raw["prepared"]), Region.from_json(raw["region"]))


def looks_to_row(looks: tuple[Look, ...]) -> list[dict[str, Any]] | None:
    """JSON; None: there is nothing to tell of them."""
    return [asdict(look) for look in looks] or None


def looks_from_row(raw: list[dict[str, Any]] | None) -> tuple[Look, ...]:
    """Reverses `looks_to_row`."""
    return tuple(
        Look(
            **{
                **one,
                "region": None if one["region"] is None else tuple(one["region"]),
                "seen": tuple((name, confidence, tuple(box)) for name, confidence, box in one["seen"]),
            }
        )
        for one in raw or ()
    )


def conservation_from_row(row: Sequence[Any]) -> Conservation:
    """From accepted, decided, rejected, failed, in flight, lost; then passes, fails, reviews."""
    accepted, decided, rejected, failed, in_flight, lost, *verdicts = map(int, row)
    counted = dict(zip(map(str, (Verdict.PASS, Verdict.FAIL, Verdict.REVIEW)), verdicts, strict=True))
    return Conservation(accepted, decided, rejected, failed, in_flight, lost, counted)


def decision_from_row(choice: str, name: str, boxes: list[Any], note: str) -> Decision:
    """From the columns of `reviews`."""
    return Decision(Choice(choice), name, tuple(Redrawn(one, (b[0], b[1], b[2], b[3])) for one, b in boxes), note)


def detections_to_row(finding: Finding | None) -> dict[str, Any]:
    """Detections as parallel arrays, written as Postgres writes them: cheaper than JSON on both sides."""
    if not isinstance(finding, Inspected) or not len(finding.detections):
        return {}
    leads = [finding.classes.index(name) == n for n, name in enumerate(finding.classes)]
    corners = zip(("x1", "y1", "x2", "y2"), finding.detections.xyxy.T.tolist(), strict=True)
    return {
        "classes": finding.classes,
        "confidence": _array(finding.detections.confidence.tolist()),
        **{name: _array(values) for name, values in corners},
        "leads": _array(leads),
    }


def _array(values: list[Any]) -> str:
    return "{" + ",".join(map(repr, values)) + "}"
