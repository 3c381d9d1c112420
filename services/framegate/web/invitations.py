"""Invitations: links that set a password, once."""

from datetime import datetime

from framegate.kernel.people import INVITED_FOR, hash_token, new_token
from framegate.ports.people import People


def invite(people: People, pepper: bytes, base_url: str, name: str, now: datetime, actor: str) -> str | None:
    """The link, to be shown once: only a hash of it is kept. None: there is nobody of this name who may log in."""
    token = new_token()
    hashed = hash_token(pepper, token)
    if hashed is None or not people.invite(name, hashed, now + INVITED_FOR, actor):
        return None
    return f"{base_url}/invite/{token}"
