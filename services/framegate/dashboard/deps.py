"""What the pages are made of; whoever puts the program together fills it in."""

from dataclasses import dataclass

from framegate.ports.clock import Clock
from framegate.ports.people import Logins, Passwords, People


@dataclass(frozen=True, slots=True)
class PageDependencies:
    """`pepper` is the secret under which tokens are hashed; `public_url` is where people reach the pages."""

    people: People
    logins: Logins
    passwords: Passwords
    clock: Clock
    pepper: bytes
    public_url: str
