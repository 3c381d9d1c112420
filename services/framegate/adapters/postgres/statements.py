"""The statements, one `.sql` file each, named and described there."""

import re
from functools import cache
from importlib import resources
from typing import Any, LiteralString, cast


@cache
def statement(name: str, outgoing: LiteralString = "") -> LiteralString:
    """`sql/<name>.sql` without comments and line breaks; `{outgoing}` is the table that takes messages (see `outgoing`).

    Short, because psycopg keeps parsed statements only up to 4096 characters.
    """
    return _condensed(resources.files(__package__).joinpath("sql", f"{name}.sql").read_text("utf-8"), outgoing)


@cache
def invariants() -> tuple[tuple[str, str, LiteralString], ...]:
    """(name, meaning, query for the ids of what violates it) of every file in `sql/invariants`."""
    files = resources.files(__package__).joinpath("sql", "invariants").iterdir()
    texts = sorted((file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in files)
    return tuple((name, text.partition("\n")[0].removeprefix("-- "), _condensed(text)) for name, text in texts)


def _condensed(text: str, outgoing: str = "") -> LiteralString:
    text = re.sub(r"--[^\n]*", "", text).replace("{outgoing}", outgoing)
    # These files ship with the program, so they are as literal as a string in it.
    literal: Any = re.sub(r"\s+", " ", text).strip()
    return cast(LiteralString, literal)
