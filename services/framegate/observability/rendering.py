"""A log line for people: aligned, in local time, one line for one event; what is foreign cannot forge another."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

_COLOURS: Final = {
    "debug": "\x1b[2m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[31m",
}
_BOLD, _DIM, _OFF = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_EVENT_WIDTH: Final = 34
_WHO_WIDTH: Final = 11
#: Control characters of both sets, line and paragraph separators, and what turns the direction of text around.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN: Final = re.compile(r"[^\s\"'=\\]+")
_FIRST: Final = ("timestamp", "level", "event", "exception", "worker", "stage", "component")
_MARGIN: Final = "        | "


def line_of(event: Mapping[str, Any], *, colours: bool, dated: bool = False) -> str:
    """`event` as JSON has it, in words: time, level, who, what, fields; a traceback in the lines below, behind a margin."""
    level = shown(event.get("level", "info"))
    colour, bold, dim, off = (_COLOURS.get(level, ""), _BOLD, _DIM, _OFF) if colours else ("", "", "", "")
    said = shown(event.get("event", ""))
    # Whoever reads it does not look it up where there is nothing to be done.
    hidden = _FIRST if level in ("warning", "error") else (*_FIRST, "action")
    fields = " ".join(
        f"{dim}{shown(name)}={off}{_value(value)}"
        for name, value in event.items()
        if name not in hidden and value is not None
    )
    padding = " " * (_EVENT_WIDTH - len(said)) if fields else ""
    head = f"{dim}{_time(event.get('timestamp'), dated=dated)}{off} {colour}{level:<7}{off} {_who(event):<{_WHO_WIDTH}}"
    lines = [f"{head} {bold}{said}{off}{padding} {fields}".rstrip()]
    if exception := event.get("exception"):
        lines += [f"{dim}{_MARGIN}{off}{shown(text)}" for text in str(exception).splitlines()]
    return "\n".join(lines)


def shown(value: object) -> str:
    """Text with its control characters as escapes."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), str(value))


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + " ".join(f"{shown(name)}={_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    text = shown(value)
    return text if _PLAIN.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _who(event: Mapping[str, Any]) -> str:
    """The process within its box, else the stage or the component."""
    worker = str(event.get("worker") or "")
    if worker.startswith("box/"):
        return shown(worker.removeprefix("box/"))
    return shown(event.get("stage") or event.get("component") or worker)


def _time(timestamp: object, *, dated: bool) -> str:
    form = "%Y-%m-%d %H:%M:%S.%f" if dated else "%H:%M:%S.%f"
    try:
        return datetime.fromisoformat(str(timestamp)).astimezone().strftime(form)[:-3]
    except (ValueError, OverflowError):
        return shown(timestamp or "")[:12].ljust(12)
