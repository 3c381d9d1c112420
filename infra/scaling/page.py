"""The tables of docs/scaling.md.

    python infra/scaling/page.py            # prints them
    python infra/scaling/page.py --write    # puts them into the page
    python infra/scaling/page.py --check    # fails when the page has others

`--inputs FILE`: other prices and choices than inputs.toml.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))

from model import INPUTS, ROOT, Inputs
from tables import TABLES

PAGE: Final = ROOT / "docs/scaling.md"


def filled(text: str, inputs: Inputs) -> str:
    """`text` with every table between its markers made anew. Raises ValueError when one is missing or unknown."""
    names = re.findall(r"^<!-- table: (\w+) -->$", text, re.MULTILINE)
    if sorted(names) != sorted(TABLES):
        raise ValueError(
            f"{PAGE.name} has the tables {', '.join(names)}; it must have each of {', '.join(TABLES)} once"
        )

    def fill(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n{TABLES[match[1]](inputs)}\n<!-- end -->"

    return re.sub(r"^<!-- table: (\w+) -->$.*?^<!-- end -->$", fill, text, flags=re.MULTILINE | re.DOTALL)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=Path, default=INPUTS)
    action: Any = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true")
    action.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    inputs = Inputs(arguments.inputs)
    if not (arguments.write or arguments.check):
        print("\n\n".join(f"{name}\n\n{make(inputs)}" for name, make in TABLES.items()))
        return 0
    text = PAGE.read_text("utf-8")
    new = filled(text, inputs)
    if arguments.write:
        PAGE.write_text(new, "utf-8")
    elif new != text:
        print("docs/scaling.md is not what is computed: python infra/scaling/page.py --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
