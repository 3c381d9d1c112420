"""Hashing passwords for commands."""

from framegate.kernel.people import normal_password


def hash_password(password: str) -> str:
    """With the parameters of the pages."""
    from framegate.adapters.passwords import Argon2Passwords

    return Argon2Passwords().hash(normal_password(password))
