"""What is different between two policies, entry by entry."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from framegate.gate.entries import Way, written
from framegate.kernel.policies import Change

#: Entries that are compared as a whole: what they hold belongs together.
_WHOLE: Final = frozenset({"calibration"})
_ABSENT: Final = object()
_IN_A_LINE: Final = 3


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """In the order of the entries of `before`, then those that are new."""
    return _compared(before, after, ())


def in_a_line(found: Sequence[Change]) -> str:
    """For a history."""
    if not found:
        return "nothing"
    more = len(found) - _IN_A_LINE
    # Of what is long, the name is enough.
    texts = [str(one) if len(str(one)) <= 80 else f"{one.entry}: changed" for one in found[:_IN_A_LINE]]
    return "; ".join(texts) + (f"; and {more} more" if more > 0 else "")


def _compared(before: Any, after: Any, way: Way) -> list[Change]:
    if before == after:
        return []
    if isinstance(before, Mapping) and isinstance(after, Mapping) and not _WHOLE.intersection(way):
        found = []
        for name in dict.fromkeys((*before, *after)):
            found += _compared(before.get(name, _ABSENT), after.get(name, _ABSENT), (*way, name))
        return found
    return [Change(written(way), _shown(before), _shown(after))]


def _shown(value: Any) -> str:
    return "" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
