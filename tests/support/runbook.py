"""docs/runbook.md in parts."""

import re
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs" / "runbook.md"


def part(title: str) -> str:
    """What stands below a heading of the second level."""
    text = _PAGE.read_text("utf-8")
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(found)


def sections(title: str) -> dict[str, str]:
    """Those of a part, by their headings."""
    _, *found = re.split(r"^### ", part(title), flags=re.MULTILINE)
    texts = dict(section.split("\n", 1) for section in found)
    assert len(texts) == len(found), "two sections have one name"
    return texts


def anchor(heading: str) -> str:
    """As code hosts make them of headings of one word."""
    return heading.lower()
