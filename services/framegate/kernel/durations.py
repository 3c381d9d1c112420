"""Spans of time as people write them: `90s`, `30m`, `12h`, `7d`."""

import re
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_WRITTEN: Final = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)


def parse_duration(text: object) -> float:
    """Seconds. Raises ValueError that says how to write it."""
    found = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
    if found is None or not int(found[1]):
        raise ValueError(f"a duration is written as 90s, 30m, 12h or 7d, not as {text!r}")
    return float(int(found[1]) * _UNITS[found[2]])
