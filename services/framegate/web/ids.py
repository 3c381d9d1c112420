"""Ids in paths."""

from uuid import UUID

from framegate.web.problems import Problem


def parse_id(text: str) -> UUID:
    """Raises `Problem`: what is no id is not found, like one that does not exist."""
    try:
        return UUID(text)
    except ValueError:
        raise Problem("not-found") from None
