"""Structured logs: one event a line, `action=` says what happened, ids are bound where they are known."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

#: Values under these keys never reach a log line.
SECRET_KEYS = frozenset({"authorization", "key", "password", "pepper", "secret", "token", "database_url"})

Log = structlog.stdlib.BoundLogger


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces what must not be written."""
    for name in SECRET_KEYS & event.keys():
        event[name] = "[redacted]"
    return event


class _StandardError:
    """Whatever standard error is when something is logged; it may have been replaced, and the old one closed, since."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logs(*, level: str = "INFO", json: bool | None = None) -> None:
    """To standard error; JSON unless it is a terminal (or as asked). Call once, before the first log line."""
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )


def get_log(**bound: object) -> Log:
    """A logger with `bound` on every line."""
    log: Log = structlog.get_logger().bind(**bound)
    return log
