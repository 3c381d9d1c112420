"""What a bucket says has happened to its objects, whoever passes it on.

Understood are the records of Amazon S3 and of those that imitate it (MinIO), bare or wrapped by SNS, SQS and Lambda, and
the events of EventBridge. Sources: Amazon S3 User Guide, "Event message structure" and "EventBridge event message
structure"; AWS Lambda Developer Guide, "Using Lambda with Amazon SQS" and "with Amazon SNS"; MinIO, "Bucket Notifications".
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from framegate.kernel.errors import FramegateError
from framegate.kernel.ids import is_name

#: S3 in SNS in SQS in Lambda is three wrappings; more is nonsense.
_DEEPEST: Final = 4
_LONGEST_KEY_BYTES: Final = 1024
_LONGEST_SHOWN: Final = 120


class NotAnEvent(FramegateError):
    """This is no event of a bucket, in no wrapping that is known."""


@dataclass(frozen=True, slots=True)
class ObjectCreated:
    """An object is there. What the event leaves out is None."""

    bucket: str
    key: str  #: as the bucket has it, decoded
    version: str | None
    size: int | None
    etag: str | None
    sequencer: str | None  #: orders the events of one key


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record with which nothing is to be done."""

    reason: str  #: stable slug
    what: str  #: for people: which record


def parse(text: str) -> list[ObjectCreated | Skipped]:
    """One answer for each record, in order. Raises `NotAnEvent`, and for no `text` anything else."""
    return list(_unwrapped(text, _DEEPEST))


def _unwrapped(text: str, depth: int) -> Iterator[ObjectCreated | Skipped]:
    if depth == 0:
        raise NotAnEvent("this event is wrapped too often")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise NotAnEvent("this is not JSON") from None
    match document:
        case {"Records": list(records)}:
            for number, record in enumerate(records, 1):
                yield from _record(record, number, depth)
        case {"Type": "Notification", "Message": str(message)}:
            yield from _unwrapped(message, depth - 1)
        case {"Type": "SubscriptionConfirmation" | "UnsubscribeConfirmation" as kind}:
            yield Skipped("sns-subscription", f"{kind} of {_shown(document.get('TopicArn'))}")
        case {"detail-type": kind, "detail": dict(detail)}:
            yield _bridged(kind, detail)
        case {"Event": "s3:TestEvent"}:
            yield Skipped("test-event", f"bucket {_shown(document.get('Bucket'))}")
        case _:
            raise NotAnEvent("this JSON is no event of a bucket: it has neither Records nor detail-type, Type or Event")


def _record(record: Any, number: int, depth: int) -> Iterator[ObjectCreated | Skipped]:
    match record:
        case {"eventSource": "aws:sqs", "body": str(body)} | {"EventSource": "aws:sns", "Sns": {"Message": str(body)}}:
            try:
                # All of it first: half of what a body holds must not stand beside its refusal.
                yield from list(_unwrapped(body, depth - 1))
            except NotAnEvent as error:
                yield Skipped("not-an-event", f"record {number}: {error}")
        case {"eventName": str(name), "s3": {"bucket": dict(bucket), "object": dict(thing)}}:
            yield _stored(name, bucket, thing)
        case _:
            yield Skipped("unknown-record", f"record {number}")


def _stored(name: str, bucket: Mapping[Any, Any], thing: Mapping[Any, Any]) -> ObjectCreated | Skipped:
    """`name` is `ObjectCreated:Put` from Amazon S3 and `s3:ObjectCreated:Put` from MinIO; keys are encoded as in a form."""
    kind = name.removeprefix("s3:").partition(":")[0]
    key = thing.get("key")
    if kind != "ObjectCreated":
        return Skipped(_reason(kind, "ObjectRemoved"), f"{_shown(name)} of {_shown(key)}")
    try:
        decoded = unquote_plus(key, errors="strict") if isinstance(key, str) else None
    except UnicodeDecodeError:
        decoded = None
    return _created(bucket.get("name"), decoded, key, thing, ("versionId", "eTag"))


def _bridged(kind: Any, detail: Mapping[Any, Any]) -> ObjectCreated | Skipped:
    """EventBridge does not encode keys."""
    match detail:
        case {"bucket": dict(bucket), "object": dict(thing)}:
            key = thing.get("key")
            if kind == "Object Created":
                return _created(bucket.get("name"), key, key, thing, ("version-id", "etag"))
            return Skipped(_reason(kind, "Object Deleted"), f"{_shown(kind)} of {_shown(key)}")
        case _:
            return Skipped("unknown-record", f"EventBridge {_shown(kind)}")


def _created(
    bucket: Any, key: Any, raw_key: Any, thing: Mapping[Any, Any], names: tuple[str, str]
) -> ObjectCreated | Skipped:
    if not isinstance(bucket, str) or not is_name(bucket):
        return Skipped("bad-bucket", f"bucket {_shown(bucket)}")
    if not isinstance(key, str) or not _is_key(key):
        return Skipped("bad-key", f"key {_shown(raw_key)}")
    if key.endswith("/"):
        return Skipped("folder", _shown(key))
    version, etag = (_text(thing.get(name)) for name in names)
    size = thing.get("size")
    return ObjectCreated(
        bucket,
        key,
        # What was stored while a bucket's versions were suspended is replaced as without versions.
        None if version == "null" else version,
        size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
        etag.strip('"') if etag else None,
        _text(thing.get("sequencer")),
    )


def _reason(kind: Any, deleted: str) -> str:
    return "deleted" if kind == deleted else "no-creation"


def _is_key(text: str) -> bool:
    try:
        return 0 < len(text.encode()) <= _LONGEST_KEY_BYTES and "\0" not in text
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and _is_key(value) else None


def _shown(value: Any) -> str:
    """Harmless on a terminal and in a log."""
    if not isinstance(value, str):
        return "without a name"
    text = value if value.isprintable() else ascii(value)[1:-1]
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
