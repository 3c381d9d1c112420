"""API keys: `fg_live_<key id 12>_<secret 43><crc32 6>`, all in base62.

The prefix lets secret scanners find a leaked key, the checksum refuses a typing error without asking the database.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from typing import Final

PREFIX: Final = "fg_live_"
KEY_ID_LENGTH: Final = 12
SECRET_LENGTH: Final = 43  #: 256 bits
_CHECKSUM_LENGTH = 6
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"(fg_live_([0-9A-Za-z]{{{KEY_ID_LENGTH}}})_([0-9A-Za-z]{{{SECRET_LENGTH}}}))([0-9A-Za-z]{{6}})")


def new_key() -> tuple[str, str, str]:
    """(text, key id, secret). The text is shown once; of the secret only `hash_secret` is kept."""
    key_id, secret = _random(KEY_ID_LENGTH), _random(SECRET_LENGTH)
    body = f"{PREFIX}{key_id}_{secret}"
    return body + _checksum(body), key_id, secret


def parse_key(text: str) -> tuple[str, str] | None:
    """(key id, secret), or None for anything that was never a key."""
    found = _FORM.fullmatch(text)
    if found is None or found[4] != _checksum(found[1]):
        return None
    return found[2], found[3]


def hash_secret(pepper: bytes, secret: str) -> bytes:
    """HMAC-SHA256. A secret of 256 random bits needs no slow hash; the pepper makes a stolen table useless."""
    return hmac.digest(pepper, secret.encode(), hashlib.sha256)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
