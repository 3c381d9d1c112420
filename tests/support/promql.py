"""Just enough of PromQL to say which metrics and which labels an expression names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r'(?P<space>\s+)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<range>\[[^\]]*\])|(?P<number>\d[\w.]*)'
    r"|(?P<word>[A-Za-z_:][\w:]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^=<>(){},.])"
)
_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = (
    frozenset({"and", "or", "unless", "offset", "bool", "sum", "max", "min", "avg", "count", "inf", "nan"}) | _LISTS
)


@dataclass
class Named:
    """`selected`: metrics with the labels that their matchers name. `grouped`: labels in `by (...)` and its like."""

    selected: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    grouped: set[str] = field(default_factory=set)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"no PromQL from here: {text[at : at + 40]!r}")
        at = match.end()
        if match.lastgroup not in {"space", None}:
            yield str(match.lastgroup), match[0]


def named(text: str) -> Named:
    """What the expression names. Functions are words before a parenthesis."""
    found, tokens = Named(), [*_tokens(text), ("end", ""), ("end", "")]
    at = 0
    while tokens[at][0] != "end":
        kind, word = tokens[at]
        following = tokens[at + 1][1]
        if kind == "word" and word in _LISTS and following == "(":
            end = next(i for i in range(at, len(tokens)) if tokens[i][1] == ")")
            found.grouped |= {token for kind, token in tokens[at + 2 : end] if kind == "word"}
            at = end
        elif kind == "word" and following == "{":
            end = next(i for i in range(at, len(tokens)) if tokens[i][1] == "}")
            found.selected.append((word, frozenset(t for k, t in tokens[at + 2 : end] if k == "word")))
            at = end
        elif kind == "word" and following != "(" and word not in _WORDS:
            found.selected.append((word, frozenset()))
        at += 1
    return found
