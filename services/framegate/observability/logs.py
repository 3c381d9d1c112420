"""Structured logs: one event a line, `action=` says what happened (`actions.py`), ids are bound where they are known."""

import json
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

import structlog

from framegate.observability.redaction import REDACTED, clean, clean_text, is_secret
from framegate.observability.rendering import line_of

Log = structlog.stdlib.BoundLogger
#: Takes a whole line without its end.
Write = Callable[[str], object]
_Event = MutableMapping[str, Any]
#: In this order, before all others.
_FIRST: Final = ("timestamp", "level", "action", "event")
_LEVELS: Final = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
#: From the start on: an increase is seen only of what was there before.
_counting, _lines = threading.Lock(), Counter({"debug": 0, "info": 0, "warning": 0, "error": 0})


def lines_logged() -> dict[str, int]:
    """By this process so far, by level."""
    with _counting:
        return dict(_lines)


def count_line(_logger: object, _method: str, event: _Event) -> _Event:
    """Changes nothing."""
    with _counting:
        _lines[event["level"]] += 1
    return event


def redact(_logger: object, _method: str, event: _Event) -> _Event:
    """Replaces what must not be written, in fields, text and tracebacks."""
    return {name: REDACTED if is_secret(name) else clean(value) for name, value in event.items()}


def to_standard_error(line: str) -> None:
    """One line."""
    # Whatever standard error is now; it may have been replaced, and the old one closed, since. In one piece, so that
    # processes that share it do not mix their lines. A full disk or a closed terminal must stop nobody's work.
    with suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def wants_json() -> bool:
    """Whether programs read standard error rather than people."""
    return not sys.stderr.isatty()


def configure_logs(
    *,
    level: str = "INFO",
    json: bool | None = None,
    colours: bool | None = None,
    worker: str = "",
    write: Write = to_standard_error,
) -> None:
    """To standard error; JSON unless it is a terminal (or as asked). Call it before the first log line; again changes all.

    `worker` is on every line; `write` takes the lines instead of standard error.
    """
    as_json = wants_json() if json is None else json
    coloured = sys.stderr.isatty() if colours is None else colours

    def name_worker(_logger: object, _method: str, event: _Event) -> _Event:
        if worker:
            event.setdefault("worker", worker)
        return event

    def render(_logger: object, _method: str, event: _Event) -> str:
        ordered = {name: event[name] for name in _FIRST if name in event} | dict(event)
        return json_line(ordered) if as_json else line_of(ordered, colours=coloured)

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            count_line,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            name_worker,
            structlog.processors.format_exc_info,
            redact,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: _Writer(write),
        cache_logger_on_first_use=False,  # what was made before, by a module that was imported, must follow
    )
    _listen_to_libraries(level)


def get_log(**fields: object) -> Log:
    """A logger with these on every line."""
    log: Log = structlog.get_logger(**fields)
    return log


def bound(**fields: object) -> AbstractContextManager[None]:
    """On every line of this task, and of the threads that it waits for, until it ends."""
    return structlog.contextvars.bound_contextvars(**fields)


def json_line(event: MutableMapping[str, Any]) -> str:
    """One line whatever is in it: control characters and all that is not ASCII are escapes."""
    return json.dumps(event)


def read_line(line: str) -> dict[str, Any] | None:
    """What `json_line` wrote; None for anything else."""
    with suppress(ValueError, RecursionError):
        found = json.loads(line)
        if isinstance(found, dict) and "event" in found and "level" in found:
            return found
    return None


class _Writer:
    """What structlog hands the rendered line to, whatever its level."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def msg(self, line: str) -> None:
        self._write(line)

    debug = info = warning = error = critical = exception = log = msg


class _Libraries(logging.Handler):
    """Lines of libraries, and Python's warnings: through the same redaction and the same renderer."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # its arguments do not fit its text: what is left of it
            text = clean_text(str(record.msg))
        log = structlog.get_logger(component=record.name)
        # Libraries may have levels of their own, which structlog refuses: the next lower one that we have.
        level = max((known for known in _LEVELS if known <= record.levelno), default=logging.DEBUG)
        log.log(level, text, action="library_said", exc_info=record.exc_info or None)


def _listen_to_libraries(level: str) -> None:
    """Warnings and worse; with DEBUG also what informs. Never their own DEBUG: boto3 writes whole requests there."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Libraries)]:
        root.removeHandler(handler)
    root.addHandler(_Libraries())
    root.setLevel(logging.INFO if level.upper() == "DEBUG" else logging.WARNING)
    logging.captureWarnings(capture=True)
