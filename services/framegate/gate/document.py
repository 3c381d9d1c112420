"""A policy as people write it: YAML, with the line of everything that is wrong, and the same document written again."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from framegate.gate.entries import Entry, Problem, Way, written
from framegate.gate.policy import Policy
from framegate.kernel.policies import PolicyFault, PolicyRefused

_LARGEST: Final = 1 << 20
_WIDTH: Final = 100
_DEEPEST: Final = 32
#: As JSON writes it, and not a backslash before the text u0000.
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_TAG: Final = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column from 1, of an entry's name and of its value."""

    name: tuple[int, int]
    value: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Document:
    """A policy in the form of schema 1, and where each entry of it stands in the file."""

    raw: dict[str, Any]
    where: str  #: the file's name, or what stands for it
    places: Mapping[Way, Place] = field(default_factory=dict)  #: none where it was not read from a file

    def refusal(self, problems: Sequence[Problem]) -> PolicyRefused:
        """All of them, in the order of their lines."""
        found = sorted(map(self._located, problems), key=lambda one: one[:2])
        return PolicyRefused("\n".join(text for _, text, _ in found), [fault for _, _, fault in found])

    def _located(self, problem: Problem) -> tuple[tuple[int, int], str, PolicyFault]:
        """An entry that is missing is looked for where it belongs."""
        name = written(problem.way)
        way = problem.way
        while way and way not in self.places:
            way = way[:-1]
        place = self.places.get(way)
        if place is None:
            return (0, 0), f"{self.where}: {problem}", PolicyFault(name, problem.text)
        at = place.name if problem.at_name or way != problem.way else place.value
        return at, f"{self.where}:{at[0]}:{at[1]}: {problem}", PolicyFault(name, problem.text, *at)


def read_document(text: str | bytes, where: str) -> Document:
    """Whatever is wrong by itself is refused, all at once; names of classes and cameras are for `framegate.gate.admission`.

    Raises `PolicyRefused`.
    """
    if len(text) > _LARGEST:
        raise PolicyRefused(f"{where}: a policy has at most {_LARGEST >> 20} MiB")
    reading = _Reading()
    try:
        root = yaml.compose(text, Loader=_Loader)
        raw = None if root is None else reading.value(root, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        text = f"this is not YAML: {error.problem or error.context}"
        fault = PolicyFault("", text, *((mark.line + 1, mark.column + 1) if mark else ()))
        raise PolicyRefused(f"{where}{at}: {text}", [fault]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PolicyRefused(f"{where}: this is not YAML: {str(error).splitlines()[0]}") from error
    except RecursionError:
        raise PolicyRefused(f"{where}: entries are nested too deeply for a policy") from None
    if not isinstance(raw, dict):
        raise PolicyRefused(f"{where}: a policy is a mapping that begins with 'schema: 1'")
    document = Document(raw, where, reading.places)
    unread = {problem.way for problem in reading.problems}
    problems = reading.problems + [problem for problem in problems_of(raw) if problem.way not in unread]
    if problems:
        raise document.refusal(problems)
    return document


def check_document(raw: Mapping[str, Any], where: str) -> Document:
    """Likewise, of a document that was not written as YAML."""
    document = Document(dict(raw), where)
    if problems := problems_of(document.raw):
        raise document.refusal(problems)
    return document


def problems_of(raw: Mapping[str, Any]) -> list[Problem]:
    """What `read_document` refuses, of a document from anywhere."""
    entry = Entry(raw, strict=True)
    Policy.read(0, entry)
    if _is_too_deep(raw, _DEEPEST):
        entry.refuse("entries are nested too deeply for a policy")
    elif not entry.problems and not _can_be_stored(raw):
        entry.refuse("there are characters or numbers in it that cannot be stored: NUL, half a character, infinity")
    return entry.problems


def _is_too_deep(value: Any, left: int) -> bool:
    """So that it can always be written as YAML again."""
    if not isinstance(value, Mapping | list | tuple):
        return False
    inner = value.values() if isinstance(value, Mapping) else value
    return left == 0 or any(_is_too_deep(one, left - 1) for one in inner)


def _can_be_stored(raw: Mapping[str, Any]) -> bool:
    """Notes are free, and Postgres keeps no NUL, no lone surrogate and no number that is none."""
    try:
        text = json.dumps(raw, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return False
    return _NUL.search(text) is None


def write_document(raw: Mapping[str, Any]) -> str:
    """YAML that `read_document` reads as the same."""
    return str(yaml.dump(dict(raw), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH))


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Takes on, off, yes, no, dates and 1:30 for what they look like: text. What it reads otherwise, every YAML does."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A mistake in a shared entry would have many places, and a small file could become a huge document."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "policies have no aliases: write the entry out", self.peek_event().start_mark
            )
        return super().compose_node(parent, index)


_NUMBER: Final = "-+0123456789."
for _kind, _written, _first in (
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", "true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", "[-+]?(?:0|[1-9][0-9]*)", [*_NUMBER]),
    ("float", r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?|[-+]?\.[0-9]+|[-+]?\.inf|\.nan", [*_NUMBER]),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(rf"(?:{_written})\Z", re.ASCII), _first)


class _Reading:
    """From nodes to values, with the places of all of them."""

    def __init__(self) -> None:
        self.places: dict[Way, Place] = {}
        self.problems: list[Problem] = []

    def value(self, node: Any, way: Way, name: Any = None) -> Any:
        self.places[way] = Place(_mark(name or node), _mark(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, way)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, (*way, n)) for n, one in enumerate(node.value)]
        kind, text = node.tag.removeprefix(_TAG), node.value
        try:
            return _SCALARS[kind](text)
        except (KeyError, ValueError):
            self.problems.append(Problem(way, f"{text[:60]!r} is no value for a policy: leave the tag {node.tag} away"))
            return None

    def _mapping(self, node: Any, way: Way) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in node.value:
            name = self.value(key, (*way, ""), key) if isinstance(key, yaml.ScalarNode) else str(key.tag)
            inside = (*way, name)
            if name in found:
                first = self.places[inside].name[0]
                self.problems.append(Problem(inside, f"is there twice, first in line {first}: keep one", at_name=True))
            found[name] = self.value(value, inside, key)
        self.places.pop((*way, ""), None)
        return found


_SCALARS: Final[Mapping[str, Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": int,
    "float": lambda text: float(text.replace(".inf", "inf").replace(".nan", "nan")),
    "str": str,
}


def _mark(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Lists of a few words in one line, mappings one entry a line; thresholds in one line."""

    def ignore_aliases(self, data: Any) -> bool:
        """Shared values are written out."""
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> Any:
        """Decided by what is in it."""
        leaf = bool(mapping) and mapping.keys() <= {"review", "fail"}
        return super().represent_mapping(tag, mapping, flow_style=leaf or not mapping)

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        """Decided by what is in it."""
        return super().represent_sequence(tag, sequence, flow_style=not any(isinstance(one, dict) for one in sequence))


_Dumper.add_representer(dict, lambda dumper, data: dumper.represent_mapping(f"{_TAG}map", data.items() and data))
