"""Reading a document entry by entry: what is wrong is noted with the way to it, so that people see all of it at once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from framegate.kernel.durations import parse_duration

_LONGEST_S: Final = 30 * 86_400
#: Names and places in lists, from the top of the document.
Way = tuple[str | int, ...]


def written(way: Way) -> str:
    """`cameras.dock-1.chain[0].model`."""
    text = "".join(
        f"[{step}]" if type(step) is int else f".{step}" if str(step).isprintable() else f".{step!r}" for step in way
    )
    return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one entry, and what to do."""

    way: Way
    text: str
    at_name: bool = False  #: the entry's name is wrong, not its value

    def __str__(self) -> str:
        return f"{written(self.way)}: {self.text}" if self.way else self.text


class Entry:
    """A value in a document. `problems` is shared by all entries of a document.

    A strict one also refuses what a document that is stored may have: entries that this release does not know.
    """

    def __init__(self, raw: Any, way: Way = (), problems: list[Problem] | None = None, *, strict: bool = False) -> None:
        self.raw, self.way, self.strict = raw, way, strict
        self.problems: list[Problem] = [] if problems is None else problems

    def refuse(self, text: str, *, at_name: bool = False) -> None:
        """Notes a problem."""
        self.problems.append(Problem(self.way, text, at_name))

    def __contains__(self, name: str) -> bool:
        return isinstance(self.raw, Mapping) and name in self.raw

    def __getitem__(self, step: str | int) -> Self:
        """What is there, or an entry without a value."""
        try:
            raw = self.raw[step]
        except (KeyError, IndexError, TypeError):
            raw = None
        return type(self)(raw, (*self.way, step), self.problems, strict=self.strict)

    def entries(self) -> Iterator[tuple[str, Self]]:
        """By name; none, and a problem, where the value is no mapping."""
        if not isinstance(self.raw, Mapping):
            self.refuse(f"write entries with a name and a value here, not {shown(self.raw)}")
            return
        for name in self.raw:
            if not isinstance(name, str) or not name or not name.isprintable():
                self[name].refuse(f"{shown(name)} cannot be a name: put it in quotes", at_name=True)
            else:
                yield name, self[name]

    def only(self, *known: str) -> None:
        """A strict entry has no others."""
        for name, entry in self.entries():
            if self.strict and name not in known:
                entry.refuse(f"there is no such entry{suggestion(name, known)}", at_name=True)

    def needs(self, name: str, why: str) -> Self:
        """The entry, which must be there."""
        if isinstance(self.raw, Mapping) and name not in self.raw:
            self.refuse(f"the entry {name!r} is missing: {why}", at_name=True)
        return self[name]

    def number(self, low: float = 0, high: float = 1) -> float | None:
        """Between `low` and `high`; None with a problem."""
        if isinstance(self.raw, bool) or not isinstance(self.raw, int | float):
            self.refuse(f"write a number between {low:g} and {high:g}, not {shown(self.raw)}")
        elif not low <= self.raw <= high:
            self.refuse(f"write a number between {low:g} and {high:g}, not {self.raw}")
        else:
            return float(self.raw)
        return None

    def duration(self, more: str = "") -> float:
        """Seconds, up to 30 days; 0 with a problem. `more`: what else could be written."""
        try:
            seconds = parse_duration(self.raw)
        except ValueError as error:
            self.refuse(f"{error}{more}")
            return 0.0
        if seconds > _LONGEST_S:
            self.refuse(f"{self.raw} is longer than 30d")
        return seconds

    def duration_or_never(self) -> float | None:
        """Likewise; None for never."""
        return None if self.raw == "never" else self.duration("; or never")

    def names(self, known: Iterable[str] | None = None) -> tuple[str, ...]:
        """A list of names, of those that are `known`."""
        if not isinstance(self.raw, list | tuple):
            self.refuse(f"write a list of names: [one, two], not {shown(self.raw)}")
            return ()
        found = [self[n].name(known) for n in range(len(self.raw))]
        return tuple(dict.fromkeys(name for name in found if name is not None))

    def name(self, known: Iterable[str] | None = None) -> str | None:
        """One name; None with a problem."""
        if not isinstance(self.raw, str) or not self.raw or not self.raw.isprintable():
            self.refuse(f"write a name here, not {shown(self.raw)}")
            return None
        if known is not None and self.raw not in (known := tuple(known)):
            self.refuse(f"{self.raw!r} is unknown{suggestion(self.raw, known)}")
            return None
        return self.raw


def shown(raw: Any) -> str:
    """A value in a message."""
    if raw is None:
        return "nothing"
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}..."


def suggestion(name: str, known: Iterable[str]) -> str:
    """How a message goes on about a `name` that is none of the `known`."""
    import difflib

    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(known)}" if known else ""
