"""Writes the tables of docs/logs.md: `python -m framegate.observability.page docs/logs.md`."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from framegate.observability.actions import ACTIONS
from framegate.observability.fields import FIELDS


def with_tables(page: str) -> str:
    """`page` with what stands between the marks made anew."""
    fields = _table(("field", "type", "meaning"), ((f"`{f.name}`", f.kind, f.meaning) for f in FIELDS))
    actions = _table(
        ("action", "level", "means", "what to do"),
        ((f"`{a.name}`", a.level, a.meaning, a.remedy or "nothing") for a in ACTIONS),
    )
    for name, table in (("fields", fields), ("actions", actions)):
        marks = rf"(<!-- {name}: [^\n]* -->\n).*?(<!-- end of {name} -->)"
        page = re.sub(marks, lambda found, rows=table: f"{found[1]}{rows}{found[2]}", page, flags=re.DOTALL)  # type: ignore[misc]
    return page


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(with_tables(file.read_text("utf-8")), "utf-8")
