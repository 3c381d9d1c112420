"""What must never be written: secrets by the name of their field, by their form, and those that this process knows.

The patterns have bounded or disjoint repetitions only: what is foreign cannot make one slow.
"""

import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final

from framegate.kernel import webhooks
from framegate.kernel.apikey import KEY_ID_LENGTH, PREFIX

REDACTED: Final = "[redacted]"
#: Of one value. What is longer is cut in its middle: a traceback tells most at its end.
LONGEST: Final = 8_000
#: What is not even searched: a secret in there is cut away with it.
_SEARCHED: Final = 8 * LONGEST
_DEEPEST: Final = 6
_MOST_ITEMS: Final = 100
#: Shorter ones would redact ordinary words.
_SHORTEST_KNOWN: Final = 8

_NAME: Final = (
    r"(?:passwords?|passwd|passphrase|pepper|secrets?|tokens?|csrf|cookies?|authorization|signature|credentials?"
    r"|api[_-]?key|private[_-]?key|access[_-]?key(?:[_-]?id)?|database[_-]?url|dsn)"
)
#: Fields with such a name; `key` alone is an API key, `key_id` is not secret.
_SECRET_FIELD: Final = re.compile(rf"(?:^key|(?:^|[_-]){_NAME}(?:[_-]form)?)$", re.IGNORECASE)
_VALUE: Final = r"""(?:"(?:[^"\\\r\n]|\\.){0,4096}"|'(?:[^'\\\r\n]|\\.){0,4096}'|["']?[^\s"'&,;<>(){}\[\]]+)"""

_FORMS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # An API key keeps its id: that is what `keys revoke` wants.
    (re.compile(rf"({PREFIX}[0-9A-Za-z]{{{KEY_ID_LENGTH}}})_[0-9A-Za-z]+"), rf"\1_{REDACTED}"),
    (re.compile(rf"{webhooks.PREFIX}[0-9A-Za-z+/=_-]+"), webhooks.PREFIX + REDACTED),
    # user:password@host of a URL; the path of Slack's webhooks, and of what imitates them, is the secret.
    (re.compile(r"(?<=://)[^\s/?#\"'<>]*@"), f"{REDACTED}@"),
    (re.compile(r"(https?://[^\s/\"'<>]+/(?:services|hooks|api/webhooks|workflows|triggers))/[^\s\"'<>]+"), rf"\1/{REDACTED}"),
    (re.compile(r"xox[a-z]-[0-9A-Za-z-]{8,}"), REDACTED),
    (re.compile(r"(/invite/)[0-9A-Za-z_-]{16,}"), rf"\1{REDACTED}"),
    (re.compile(r"(?<![0-9A-Za-z])(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])"), REDACTED),
    (re.compile(r"(?<![0-9A-Za-z])eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*"), REDACTED),
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"), REDACTED),
    # Headers, to the end of their line; also as ASGI has them: (b'cookie', b'...').
    (
        re.compile(
            r"((?:authorization|cookie)(?:['\"]?\s{0,8}[:=]|['\"],)\s{0,8}(?:b?['\"])?)[^\r\n'\"]+", re.IGNORECASE
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"\b((?i:Bearer|Basic)) (?![a-z]+[^\w~+/=-]*(?:\s|$))[0-9A-Za-z._~+/=-]{8,}"), rf"\1 {REDACTED}"),
    (re.compile(r"((?:__Host-)?framegate(?:-form)?=)[0-9A-Za-z_-]{16,}"), rf"\1{REDACTED}"),
    # name=value and "name": value, of queries, forms, connection strings and documents.
    (re.compile(rf"({_NAME}(?:['\"]?\s{{0,8}}=|['\"]\s{{0,8}}:)\s{{0,8}}){_VALUE}", re.IGNORECASE), rf"\1{REDACTED}"),
)  # fmt: skip
_USUAL_CAUSES: Final = re.compile(
    r"fg_|whsec|://|xox|/invite/|AKIA|ASIA|eyJ|-----|framegate|bearer|basic|pass|pepper|secret|token|csrf|cookie|authoriz"
    r"|signature|credential|key|database|dsn",
    re.IGNORECASE,
)
_kept: set[str] = set()
_known: re.Pattern[str] | None = None


def keep_secret(*values: str | None) -> None:
    """From now on this process logs none of these, whatever form they have. For whoever reads a secret."""
    global _known
    _kept.update(value for value in values if value is not None and len(value) >= _SHORTEST_KNOWN)
    _known = re.compile("|".join(map(re.escape, sorted(_kept, key=len, reverse=True)))) if _kept else None


def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret."""
    return _SECRET_FIELD.search(name) is not None


def clean(value: Any, depth: int = 0) -> Any:
    """`value` as it may be written: without secrets, no longer than `LONGEST`, of types that JSON has."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, bytes | bytearray):
        return clean_text(bytes(value[: _SEARCHED + 1]).decode("utf-8", "backslashreplace"))
    if depth >= _DEEPEST:
        return clean_text(str(value))
    if isinstance(value, Mapping):
        names = [(clean_text(str(name)), item) for name, item in list(value.items())[:_MOST_ITEMS]]
        return {name: REDACTED if is_secret(name) else clean(item, depth + 1) for name, item in names}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str):
        items = [clean(item, depth + 1) for item in list(value)[:_MOST_ITEMS]]
        return [*items, f"... {len(value) - _MOST_ITEMS} more"] if len(value) > _MOST_ITEMS else items
    return clean_text(str(value))


def clean_text(text: str) -> str:
    """Without secrets, and no longer than `LONGEST`; what was cut is told."""
    length = len(text)
    if length > _SEARCHED:
        text = text[: _SEARCHED // 2] + text[-_SEARCHED // 2 :]
    if _known is not None:
        text = _known.sub(REDACTED, text)
    if _USUAL_CAUSES.search(text):
        for pattern, instead in _FORMS:
            text = pattern.sub(instead, text)
    if len(text) <= LONGEST and length <= _SEARCHED:
        return text
    head, tail = text[: LONGEST // 4], text[len(text) - LONGEST * 3 // 4 :]
    return f"{head} [... cut: {length} characters in all ...] {tail}"
