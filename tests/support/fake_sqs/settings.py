"""Attributes of queues. Source: SetQueueAttributes in the SQS API reference; sizes as since August 2025."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .errors import SqsError

MOST_BYTES: Final = 1024 * 1024
_NUMBERS: Final = {  # name: least, most, default
    "DelaySeconds": (0, 900, 0),
    "MaximumMessageSize": (1024, MOST_BYTES, MOST_BYTES),
    "MessageRetentionPeriod": (60, 1_209_600, 345_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20, 0),
    "VisibilityTimeout": (0, 43_200, 30),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400, 300),
}
#: Kept and told, without an effect here.
_TEXTS: Final = ("Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "SqsManagedSseEnabled")
_OF_FIFO: Final = ("FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit")
READ_ONLY: Final = (
    "QueueArn",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
NAMES: Final = ("All", *_NUMBERS, *_TEXTS, *_OF_FIFO, "RedrivePolicy", *READ_ONLY)


@dataclass(frozen=True)
class Redrive:
    """After `most` receives without a delete, a message goes to the queue `target` (its ARN)."""

    target: str
    most: int


class Settings:
    """What was given for one queue, and the defaults."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given: dict[str, str] = {}
        self.redrive: Redrive | None = None
        self.change(given)

    def change(self, given: Mapping[str, str]) -> None:
        """Raises InvalidAttributeName or InvalidAttributeValue, and changes nothing then."""
        redrive = self.redrive
        for name, value in given.items():
            if name == "RedrivePolicy":
                redrive = _redrive(value)
            else:
                _check(name, value)
        self.redrive = redrive
        self._given |= given

    def same(self, given: Mapping[str, str]) -> str | None:
        """The first attribute whose value is another one; None when there is none."""
        other = Settings(given)
        return next((name for name in given if other.told().get(name) != self.told().get(name)), None)

    def told(self) -> dict[str, str]:
        defaults = {name: str(default) for name, (_, _, default) in _NUMBERS.items() if not name.startswith("Kms")}
        told = defaults | {"SqsManagedSseEnabled": "true"} | self._given
        return {name: value for name, value in told.items() if value != ""}

    def number(self, name: str) -> int:
        return int(self._given.get(name, _NUMBERS[name][2]))


def _check(name: str, value: str) -> None:
    if name in _OF_FIFO:
        raise SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")  # as SQS says of standard queues
    if name in _TEXTS:
        return
    if name not in _NUMBERS:
        raise SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")
    least, most, _ = _NUMBERS[name]
    if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
        raise _wrong(name)


def _redrive(value: str) -> Redrive | None:
    if value == "":
        return None
    try:
        policy: Any = json.loads(value)
        redrive = Redrive(policy["deadLetterTargetArn"], int(policy["maxReceiveCount"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _wrong("RedrivePolicy") from error
    if not 1 <= redrive.most <= 1000:
        raise _wrong("RedrivePolicy")
    return redrive


def _wrong(name: str) -> SqsError:
    return SqsError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
