"""Messages, and the checksums that SDKs compare."""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from .errors import SqsError, invalid

#: Everything else is no character of XML 1.0, which SQS keeps to (SendMessage, MessageBody).
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ATTRIBUTE_NAME: Final = re.compile(r"(?!(?:aws|amazon)\.)(?!.*\.\.)(?!\.)[A-Za-z0-9_.-]{1,256}(?<!\.)", re.IGNORECASE)
_MOST_ATTRIBUTES: Final = 10

Attributes = dict[str, dict[str, Any]]


class State(Enum):
    READY = "ApproximateNumberOfMessages"
    DELAYED = "ApproximateNumberOfMessagesDelayed"
    IN_FLIGHT = "ApproximateNumberOfMessagesNotVisible"
    GONE = "gone"


@dataclass(slots=True, eq=False)
class Message:
    """`serial` tells it from others of the broker, its copy in the dead letters included, which keeps `id`."""

    serial: int
    id: str
    body: str
    sent_at: float
    attributes: Attributes = field(default_factory=dict)
    system: Attributes = field(default_factory=dict)
    came_from: str | None = None  #: ARN of the queue that gave it up as a dead letter
    state: State = State.DELAYED
    hidden_until: float = 0.0
    receive_count: int = 0
    first_received_at: float = 0.0
    received_at: float = 0.0
    again: bool = False  #: is to be delivered although its receiver has it
    returns: bool = False  #: comes back when it is deleted
    duplicated: bool = False
    returned: bool = False


def check_body(body: object) -> str:
    """Raises MissingParameter or InvalidMessageContents."""
    if not isinstance(body, str) or not body:
        raise SqsError("MissingParameter", "The request must contain the parameter MessageBody.")
    if found := _FORBIDDEN.search(body):
        point = ord(found[0])
        raise SqsError("InvalidMessageContents", f"Invalid characters found: #x{point:x}")
    return body


def check_attributes(attributes: Attributes) -> Attributes:
    """Raises InvalidParameterValue."""
    if len(attributes) > _MOST_ATTRIBUTES:
        raise invalid("MessageAttributes", len(attributes), f"At most {_MOST_ATTRIBUTES} attributes are allowed.")
    for name, value in attributes.items():
        if not _ATTRIBUTE_NAME.fullmatch(name):
            raise invalid("MessageAttributes", name, "Not a name of an attribute.")
        kind = str(value.get("DataType", "")).partition(".")[0]
        if kind not in ("String", "Number", "Binary"):
            raise invalid("MessageAttributes", name, f"The type '{value.get('DataType')}' is not known.")
        if not value.get("BinaryValue" if kind == "Binary" else "StringValue"):
            raise invalid("MessageAttributes", name, f"Must contain a non-empty value of type {kind}.")
        _raw(value)
    return attributes


def _raw(value: Mapping[str, Any]) -> bytes:
    if "BinaryValue" not in value:
        return str(value["StringValue"]).encode()
    try:
        return base64.b64decode(value["BinaryValue"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("BinaryValue", value["BinaryValue"], "Not base64.") from error


def size_of(body: str, attributes: Attributes) -> int:
    """Bytes that count: the body, and names, types and values of attributes."""
    return len(body.encode()) + sum(
        len(name.encode()) + len(value["DataType"].encode()) + len(_raw(value)) for name, value in attributes.items()
    )


def md5_of_body(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: Attributes) -> str:
    """By name; lengths in four bytes, big end first, and 1 or 2 before a text's or bytes' value.

    Source: Amazon SQS Developer Guide, "Calculating the MD5 message digest for message attributes".
    """
    digest = hashlib.md5(usedforsecurity=False)
    for name, value in sorted(attributes.items()):
        for text in (name, value["DataType"]):
            digest.update(struct.pack(">I", len(text.encode())) + text.encode())
        raw = _raw(value)
        digest.update((b"\x02" if "BinaryValue" in value else b"\x01") + struct.pack(">I", len(raw)) + raw)
    return digest.hexdigest()
