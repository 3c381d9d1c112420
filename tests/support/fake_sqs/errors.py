"""Errors as SQS tells them. Source: the "Errors" sections of the SQS API reference (2012-11-05, AWS JSON 1.0)."""

from typing import Final

_PREFIXED: Final = frozenset(
    {
        "BatchEntryIdsNotDistinct",
        "BatchRequestTooLong",
        "EmptyBatchRequest",
        "InvalidBatchEntryId",
        "MessageNotInflight",
        "PurgeQueueInProgress",
        "QueueDeletedRecently",
        "TooManyEntriesInBatchRequest",
        "UnsupportedOperation",
    }
)
_RENAMED: Final = {
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
}
#: Not in the service's model: they come from the framework below it.
_UNMODELLED: Final = frozenset(
    {"InvalidAction", "InvalidParameterValue", "MissingParameter", "ThrottlingException", "ServiceUnavailable"}
)


class SqsError(Exception):
    """`shape` is the name in the service's model; what boto3 shows as the code is `query_code`."""

    def __init__(self, shape: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.shape, self.message, self.status = shape, message, status

    @property
    def query_code(self) -> str:
        """The code from before SQS spoke JSON, told in the header `x-amzn-query-error`."""
        if self.shape in _PREFIXED:
            return f"AWS.SimpleQueueService.{self.shape}"
        return _RENAMED.get(self.shape, self.shape)

    @property
    def type(self) -> str:
        namespace = "com.amazon.coral.service" if self.shape in _UNMODELLED else "com.amazonaws.sqs"
        return f"{namespace}#{self.shape}"

    @property
    def fault(self) -> str:
        return "Receiver" if self.status >= 500 else "Sender"


def invalid(parameter: str, value: object, reason: str) -> SqsError:
    return SqsError("InvalidParameterValue", f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")


def in_range(parameter: str, value: object, low: int, high: int) -> int:
    """Raises InvalidParameterValue."""
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise invalid(parameter, value, f"Must be between {low} and {high}, if provided.")


def no_queue() -> SqsError:
    return SqsError("QueueDoesNotExist", "The specified queue does not exist.")
