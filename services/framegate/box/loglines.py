"""Log lines read again: from a box's files, or as a platform exported them."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from framegate.kernel.errors import ConfigurationError
from framegate.observability.logs import read_line

Event = dict[str, Any]
#: What CloudWatch, Loki, Docker and journald call the line that they wrap.
_WRAPS: Final = ("message", "line", "log", "MESSAGE", "@message")
_LONGEST_LINE: Final = 2**20
_POLL_S: Final = 0.5
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


def read_exported(line: str, depth: int = 0) -> Event | None:
    """The event in a line, also behind a prefix (`api-1  | {...}`) or within an object of the platform. None: there is none."""
    start = line.find("{")
    if start < 0:
        return None
    if (event := read_line(line[start:])) is not None:
        return event
    with suppress(ValueError, RecursionError):
        wrapped = json.loads(line[start:])
        texts = [text for name in _WRAPS if isinstance(text := wrapped.get(name), str)]
        if texts and depth < 2:
            return read_exported(texts[0], depth + 1)
    return None


def lines_about(files: Iterable[IO[bytes]], image: str) -> list[Event]:
    """Those that name the image, and those of the requests and traces that such lines name; in the order of the files.

    Reads each file twice, a line at a time.
    """
    files = list(files)
    ids: set[str] = set()
    for event in _events(files, {image}):
        ids |= {str(event[name]) for name in ("request_id", "trace_id") if event.get(name)}
    # A trace may be of many images: what names another one is not about this one.
    found = _events(files, {image, *ids})
    return [event for event in found if event.get("image") in (None, image) or image in json.dumps(event)]


def _events(files: Iterable[IO[bytes]], needles: set[str]) -> Iterator[Event]:
    wanted = [needle.encode() for needle in needles]
    for file in files:
        file.seek(0)
        while raw := file.readline(_LONGEST_LINE):
            if any(needle in raw for needle in wanted):
                event = read_exported(raw.decode("utf-8", "replace"))
                if event is not None:
                    yield event


def newest(files: Iterable[Path], limit: int, wanted: Callable[[Event], bool]) -> list[Event]:
    """The last `limit` of the wanted ones. Reads from the newest file backwards, as far as it must."""
    found: list[Event] = []
    for file in reversed(list(files)):
        with _opened(file) as opened:
            events = (read_exported(raw.decode("utf-8", "replace")) for raw in opened)
            here = [event for event in events if event is not None and wanted(event)]
        found = [*here, *found][-limit:]
        if len(found) == limit:
            break
    return found


def follow(file: Path, wanted: Callable[[Event], bool], ended: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """What is written from now on, also after the file was rotated, until `ended`."""
    opened = _opened(file)
    opened.seek(0, os.SEEK_END)
    try:
        while not ended():
            # Asked first: what was still written before the rotation is read below, before the next file is opened.
            rotated = _is_another(file, opened)
            yield from (event for event in _rest(opened) if wanted(event))
            if rotated:
                opened.close()
                opened = _opened(file)
            else:
                time.sleep(_POLL_S)
    finally:
        opened.close()


def _rest(file: IO[bytes]) -> Iterator[Event]:
    """Of the lines from here on that have their end; the file stays before one that has not."""
    while raw := file.readline(_LONGEST_LINE):
        if not raw.endswith(b"\n") and len(raw) < _LONGEST_LINE:
            file.seek(-len(raw), os.SEEK_CUR)
            return
        event = read_exported(raw.decode("utf-8", "replace"))
        if event is not None:
            yield event


def _is_another(file: Path, opened: IO[bytes]) -> bool:
    try:
        return file.stat().st_ino != os.fstat(opened.fileno()).st_ino
    except FileNotFoundError:  # between the two steps of a rotation
        return False


def moment_of(event: Event) -> datetime:
    """When it was logged; the earliest there is where it does not say."""
    try:
        at = datetime.fromisoformat(str(event.get("timestamp")))
    except ValueError:
        return _EARLIEST
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _opened(file: Path) -> IO[bytes]:
    try:
        return file.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror or error}") from None
