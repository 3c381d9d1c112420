"""Signing secrets of endpoints. They are derived and never stored: a stolen database signs nothing."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from framegate.kernel.webhooks import PREFIX

#: After a rotation both secrets sign for that long, so that a receiver can change over without losing a message.
BOTH_FOR: Final = timedelta(hours=24)
_SALT: Final = b"framegate webhook secrets v1"


def secret_of(pepper: bytes, endpoint_id: UUID, generation: int) -> str:
    """`whsec_` and 32 bytes in base64: HKDF-SHA256 (RFC 5869), one block, with endpoint and generation as its info."""
    extracted = hmac.digest(_SALT, pepper, hashlib.sha256)
    info = f"{endpoint_id}.{generation}".encode() + b"\x01"
    return PREFIX + base64.b64encode(hmac.digest(extracted, info, hashlib.sha256)).decode("ascii")


def secrets_of(
    pepper: bytes, endpoint_id: UUID, generation: int, rotated_at: datetime | None, now: datetime
) -> tuple[str, ...]:
    """Those that sign now, the newest first."""
    newest = secret_of(pepper, endpoint_id, generation)
    if rotated_at is None or now >= rotated_at + BOTH_FOR:
        return (newest,)
    return newest, secret_of(pepper, endpoint_id, generation - 1)
