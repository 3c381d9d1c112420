"""What stages tell each other: past-tense facts that carry keys, never bytes or results.

Postgres holds everything a stage needs to go on; a message only says that there is something to do. Losing, repeating
or reordering messages therefore costs time, never images.
"""

import json
from dataclasses import dataclass, field
from typing import ClassVar, Final
from uuid import UUID

from framegate.kernel.errors import FramegateError, Transient
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.states import Lane

VERSION: Final = 1


class UndecodableMessage(FramegateError):
    """This is not a Framegate message: it goes to the dead letters with this as its cause."""


class NewerMessage(Transient):
    """A newer release wrote this message: it is left for a worker that knows it."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something happened to one image during its `look` (1 is the first look)."""

    facility: FacilityId
    image_id: ImageId
    look: int = 1
    lane: Lane = Lane.LIVE
    trace: str = field(default="", compare=False)  #: W3C `traceparent` of whoever uploaded the image; empty: none

    name: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class FrameSubmitted(Message):
    """The original is durably stored and the image is recorded."""

    name: ClassVar[str] = "frame-submitted"


@dataclass(frozen=True, slots=True)
class FramePrepared(Message):
    """The prepared frame is in the blob store."""

    name: ClassVar[str] = "frame-prepared"


@dataclass(frozen=True, slots=True)
class FrameInspected(Message):
    """Detections, a refusal or a failure are on the image's progress row."""

    name: ClassVar[str] = "frame-inspected"


MESSAGES: Final[dict[str, type[Message]]] = {m.name: m for m in (FrameSubmitted, FramePrepared, FrameInspected)}


def encode(message: Message) -> str:
    """One compact JSON object; `decode` reverses it."""
    return json.dumps(
        {
            "v": VERSION,
            "type": message.name,
            "facility": message.facility,
            "image": str(message.image_id),
            "look": message.look,
            "lane": message.lane,
        }
        | ({"trace": message.trace} if message.trace else {}),
        separators=(",", ":"),
    )


def decode(body: str) -> Message:
    """Raises `UndecodableMessage` or, for a version this release does not know, `NewerMessage`."""
    try:
        raw = json.loads(body)
        version = raw["v"]
        if isinstance(version, int) and version > VERSION:
            raise NewerMessage(f"message version {version} is newer than {VERSION}")
        kind = MESSAGES[raw["type"]]
        look = raw["look"]
        if version != VERSION or not isinstance(look, int) or look < 1 or not isinstance(raw["facility"], str):
            raise UndecodableMessage(f"not a Framegate message: {body[:200]!r}")
        return kind(
            FacilityId(raw["facility"]), ImageId(UUID(raw["image"])), look, Lane(raw["lane"]), str(raw.get("trace", ""))
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UndecodableMessage(f"not a Framegate message ({type(error).__name__}): {body[:200]!r}") from error


def attributes_of(body: str) -> dict[str, str]:
    """What others should see of a message without reading it: the schema's version, the type, and the trace context.

    Empty for what is not one of ours. `traceparent` is W3C Trace Context, level 1.
    """
    try:
        raw = json.loads(body)
        attributes = {"schema": f"framegate/{raw['v']}", "type": str(raw["type"])}
        return attributes | ({"traceparent": raw["trace"]} if raw.get("trace") else {})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
