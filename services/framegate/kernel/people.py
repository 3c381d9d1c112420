"""People: their names, roles, passwords, and the secrets that stand for a login."""

import hashlib
import hmac
import re
import secrets
import unicodedata
from datetime import timedelta
from enum import StrEnum
from typing import Final

from framegate.kernel.states import Scope

#: A login that nobody uses ends after this ...
IDLE: Final = timedelta(minutes=30)
#: ... and any login after this.
LASTS: Final = timedelta(hours=12)
#: How long an invitation can be accepted.
INVITED_FOR: Final = timedelta(hours=24)
#: Failures to log in are in the audit once in this time.
FAILED_FOR: Final = timedelta(hours=1)
#: How the audit calls a name that nobody has: what people type there may be a password.
NOBODY: Final = "-"
#: NIST SP 800-63B-4 §3.1.1.2 for a password that is the only factor.
SHORTEST_PASSWORD: Final = 15
LONGEST_PASSWORD: Final = 256

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
#: What guesses begin with, and the words that this place suggests.
_COMMON: Final = (
    "password", "passwort", "welcome", "letmein", "iloveyou", "administrator", "admin", "changeme", "default", "secret",
    "qwertyuiop", "qwerty", "asdfghjkl", "asdfgh", "zxcvbnm", "1q2w3e4r", "abc123", "abcdefghijklmnopqrstuvwxyz",
    "12345678901234567890", "1234567890", "123456", "monkey", "dragon", "football", "sunshine", "princess",
    "framegate", "warehouse",
)  # fmt: skip
_LEFT_OVER: Final = 6  # characters that must be left of a password when the common words are taken out
_LONGEST_REPEATED: Final = 5


class Role(StrEnum):
    """What a person is in one facility. A role includes those before it."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_VIEWER: Final = frozenset({Scope.RESULTS_READ})
_REVIEWER: Final = _VIEWER | {Scope.REVIEWS_WRITE}
_OPERATOR: Final = _REVIEWER | {Scope.HOOKS_MANAGE, Scope.AUDIT_READ}
#: The scopes of keys that a role stands for.
SCOPES_OF: Final[dict[Role, frozenset[Scope]]] = {
    Role.VIEWER: _VIEWER,
    Role.REVIEWER: _REVIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.ADMIN: frozenset(Scope),
}


def is_person_name(text: str) -> bool:
    """Whether `text` may name a person: small letters, digits and `._@-`; an e-mail address may do."""
    return _NAME.fullmatch(text) is not None


def normal_password(text: str) -> str:
    """The same characters however a keyboard composes them (NFKC)."""
    return unicodedata.normalize("NFKC", text)


def password_fault(text: str, name: str) -> str | None:
    """Why `text` cannot be the password of `name`, for people; None: it can. There are no rules of composition."""
    password = normal_password(text)
    if len(password) < SHORTEST_PASSWORD:
        return f"use at least {SHORTEST_PASSWORD} characters: a sentence is fine"
    if len(password) > LONGEST_PASSWORD:
        return f"use at most {LONGEST_PASSWORD} characters"
    if any((password[:n] * len(password))[: len(password)] == password for n in range(1, _LONGEST_REPEATED + 1)):
        return "this repeats a few characters only: use something that nobody guesses"
    rest = password.casefold()
    for word in sorted({name, name.partition("@")[0], *_COMMON}, key=len, reverse=True):
        rest = rest.replace(word, "")
    if len(rest) < _LEFT_OVER:
        return "this is made of your name and common words: use something that nobody guesses"
    return None


def new_token() -> str:
    """256 random bits, for a login, an invitation or a form."""
    return secrets.token_urlsafe(32)


def hash_token(pepper: bytes, token: str) -> bytes | None:
    """What is stored of a token; None for anything that was never one."""
    return _mac(pepper, "token", token) if _TOKEN.fullmatch(token) else None


def form_token(pepper: bytes, token: str) -> str:
    """What a form must bring back: only who knows the secret cookie and the pepper can make it."""
    return _mac(pepper, "form", token).hex()


def is_form_token(pepper: bytes, token: str, sent: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(form_token(pepper, token).encode(), sent.encode())


def _mac(pepper: bytes, purpose: str, token: str) -> bytes:
    return hmac.digest(pepper, f"{purpose}\0{token}".encode(), hashlib.sha256)
