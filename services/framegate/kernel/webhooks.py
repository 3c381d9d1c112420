"""Signatures of Standard Webhooks (https://www.standardwebhooks.com, specification 1.0.0), scheme `v1`."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

from framegate.kernel.errors import FramegateError

PREFIX: Final = "whsec_"
ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
#: How far a timestamp may lie from the verifier's clock, in either direction, seconds.
TOLERANCE_S: Final = 300


class SignatureRefused(FramegateError):
    """The request is not signed by the holder of the secret, or not now."""


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each secret, so that a receiver may hold any of them.

    `timestamp`: seconds since 1970 of this attempt. Raises ValueError for what is no secret; the error does not show it.
    """
    return " ".join(_signature(secret, message_id, str(timestamp), body) for secret in secrets)


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now_s: float) -> None:
    """What a receiver does; `headers` with names in lower case. Raises `SignatureRefused`."""
    missing = [name for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER) if not headers.get(name)]
    if missing:
        raise SignatureRefused(f"the request has no {' and no '.join(missing)}")
    message_id, timestamp = headers[ID_HEADER], headers[TIMESTAMP_HEADER]
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise SignatureRefused(f"{TIMESTAMP_HEADER} is not a number of seconds")
    if abs(now_s - int(timestamp)) > TOLERANCE_S:
        raise SignatureRefused(
            f"{TIMESTAMP_HEADER} is more than {TOLERANCE_S} s away: an old request, or a wrong clock"
        )
    given = [part.encode() for part in headers[SIGNATURE_HEADER].split(" ")]
    expected = [_signature(secret, message_id, timestamp, body).encode() for secret in secrets]
    if not any(hmac.compare_digest(one, other) for one in given for other in expected):
        raise SignatureRefused(f"no signature in {SIGNATURE_HEADER} fits")


def _signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode("ascii")


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("not a webhook secret: 'whsec_' and base64")
    return key
