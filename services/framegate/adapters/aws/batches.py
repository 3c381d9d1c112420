"""Calls of ten entries each, of which some may fail."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from framegate.adapters.aws.polling import MOST_IN_A_CALL
from framegate.kernel.errors import DependencyUnavailable

#: One message and one batch of them, attributes included (Amazon SQS quotas, since August 2025).
MOST_BYTES: Final = 1024 * 1024
_TRIES: Final = 6
_FIRST_PAUSE_S: Final = 0.05

Entry = dict[str, Any]


def size_of(entry: Mapping[str, Any]) -> int:
    """Bytes that count towards the limit: the body, and names, types and values of attributes."""
    attributes = entry.get("MessageAttributes", {})
    return len(entry.get("MessageBody", "").encode()) + sum(
        len(name.encode()) + len(value["DataType"].encode()) + len(value["StringValue"].encode())
        for name, value in attributes.items()
    )


def in_batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Numbers them (`Id`) and splits them so that SQS takes each batch."""
    batch: list[Entry] = []
    held = 0
    for n, entry in enumerate(entries):
        size = size_of(entry)
        if batch and (len(batch) == MOST_IN_A_CALL or held + size > MOST_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(entry | {"Id": str(n)})
        held += size
    if batch:
        yield batch


def insist(call: Callable[[list[Entry]], Mapping[str, Any]], batch: list[Entry], what: str) -> dict[str, str]:
    """Calls again for the entries that failed through no fault of ours, with full jitter; {Id: code} of the others.

    Raises `DependencyUnavailable` when some fail all the time, and what `call` raises.
    """
    refused: dict[str, str] = {}
    left = batch
    for attempt in range(_TRIES):
        failed = {entry["Id"]: entry for entry in call(left).get("Failed", ())}
        refused |= {id_: entry.get("Code", "") for id_, entry in failed.items() if entry.get("SenderFault")}
        left = [entry for entry in left if entry["Id"] in failed and entry["Id"] not in refused]
        if not left:
            return refused
        time.sleep(random.uniform(0, _FIRST_PAUSE_S * 2**attempt))  # noqa: S311 (spreads load, guards nothing)
    raise DependencyUnavailable(
        f"{what}: {len(left)} of {len(batch)} messages failed {_TRIES} times; tried again later"
    )
