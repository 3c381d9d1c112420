"""What surrounds every page of somebody who is logged in."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request

from framegate.dashboard.navigation import Section, sections
from framegate.dashboard.state import PageState
from framegate.kernel.ids import FacilityId
from framegate.web.logins import session_of


@dataclass(frozen=True, slots=True)
class Frame:
    """`csrf` is what forms bring back; `facility` the one that the address chooses."""

    person: str
    csrf: str
    path: str
    sections: tuple[Section, ...]
    facilities: tuple[FacilityId, ...]
    facility: FacilityId | None
    scopes: frozenset[str]
    query: tuple[tuple[str, str], ...]

    def at(self, facility: FacilityId | None) -> str:
        """This page for that facility; None: for all."""
        return self.but(facility=facility, cursor=None)

    def but(self, **changed: str | None) -> str:
        """This page with other parameters; None takes one away. State is in the address, so links carry it."""
        kept = [(name, value) for name, value in self.query if name not in changed]
        added = [(name, value) for name, value in changed.items() if value is not None]
        return f"{self.path}?{urlencode([*kept, *added])}" if kept or added else self.path

    def without(self, names: Iterable[str]) -> str:
        """This page without these parameters, from its first part on."""
        return self.but(**dict.fromkeys(("cursor", *names)))

    def may(self, scope: str) -> bool:
        """Whether the person has it in any facility: what to offer. Whether it is allowed, the API decides."""
        return scope in self.scopes


def frame_of(request: Request, pages: PageState) -> Frame:
    """For a route that declares that people must be logged in."""
    session = session_of(request)
    principal = session.principal(None)
    facilities = tuple(sorted(principal.facilities - principal.disabled))
    asked = request.query_params.get("facility")
    facility = next((each for each in facilities if each == asked), None)
    path = request.url.path
    return Frame(
        person=principal.name,
        csrf=pages.cookies.form_token(session.token),
        path=path,
        sections=sections(path, principal.scopes, facility),
        facilities=facilities,
        facility=facility,
        scopes=principal.scopes,
        query=tuple((name, value) for name, value in request.query_params.multi_items() if value),
    )
