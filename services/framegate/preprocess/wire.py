"""What a worker and its decoder child say to each other: JSON behind a four-byte length, over a socket pair.

Pixels and files never go this way; they lie in memory that both have mapped.
"""

import json
import socket
import struct
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from framegate.kernel.geometry import Region
from framegate.kernel.inspection import Quality, Scene

_LENGTH = struct.Struct(">I")
MAX_MESSAGE = 64 * 1024


class Closed(Exception):
    """The other side is gone."""


@dataclass(frozen=True, slots=True)
class Request:
    """One image. The file is the first `size` bytes of an input area of `capacity` bytes."""

    size: int
    capacity: int
    media_type: str
    width: int  #: as stored
    height: int
    orientation: int
    content_width: int  #: upright, of what is to be written to the output area
    content_height: int
    scaled_decoding: bool
    region: Region | None = None  #: what of the upright frame becomes the content; None: all of it

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self) | {"region": self.region and self.region.to_json()}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Reverses `to_json`."""
        return cls(**raw | {"region": raw["region"] and Region.from_json(raw["region"])})


@dataclass(frozen=True, slots=True)
class Answer:
    """`outcome` is ok, invalid (the image's fault) or memory. Only after ok is there anything in the output area."""

    outcome: str
    reason: str = ""
    detail: str = ""
    decode_ms: float = 0.0
    quality: Quality | None = None  #: set exactly for ok
    scene: Scene | None = None
    recipe: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self) | {
            "quality": self.quality and self.quality.to_json(),
            "scene": self.scene and self.scene.to_json(),
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Reverses `to_json`; raises `ValueError`, `TypeError` or `KeyError` for anything else."""
        quality, scene = raw["quality"], raw.get("scene")
        measured = {"quality": quality and Quality.from_json(quality), "scene": scene and Scene.from_json(scene)}
        answer = cls(**raw | measured)
        if answer.outcome not in ("ok", "invalid", "memory") or (answer.outcome == "ok") != (
            answer.quality is not None
        ):
            raise ValueError(f"the outcome {answer.outcome}")
        return answer


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    """Raises `OSError` when the other side is gone."""
    body = json.dumps(message, separators=(",", ":")).encode()
    channel.sendall(_LENGTH.pack(len(body)) + body)


def receive(channel: socket.socket, deadline: float | None = None) -> dict[str, Any]:
    """Blocks until `deadline` (of `time.monotonic`), then raises `TimeoutError`; `Closed`; `ValueError` for no JSON."""
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size, deadline))
    if length > MAX_MESSAGE:
        raise ValueError(f"a message of {length} bytes")
    message = json.loads(_exactly(channel, length, deadline))
    if not isinstance(message, dict):
        raise ValueError("a message that is no object")  # noqa: TRY004 - one error for every broken message
    return message


def _exactly(channel: socket.socket, size: int, deadline: float | None) -> bytes:
    received = bytearray()
    while len(received) < size:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            channel.settimeout(left)
        try:
            part = channel.recv(size - len(received))
        except ConnectionError as error:
            raise Closed from error
        if not part:
            raise Closed
        received += part
    return bytes(received)
