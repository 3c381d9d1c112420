"""The pages that people find their way to, in the order in which they are listed."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from framegate.kernel.ids import FacilityId
from framegate.kernel.states import Scope


@dataclass(frozen=True, slots=True)
class Section:
    """A page of the navigation, and whether somebody is on it or below it."""

    title: str
    place: str
    here: bool


_PAGES: Final = (
    ("Now", "/", Scope.RESULTS_READ),
    ("Review", "/review", Scope.REVIEWS_WRITE),
    ("Inspections", "/inspections", Scope.RESULTS_READ),
    ("Incidents", "/incidents", Scope.RESULTS_READ),
    ("Cameras", "/cameras", Scope.RESULTS_READ),
    ("Pipeline", "/pipeline", Scope.RESULTS_READ),
    ("Models", "/models", Scope.RESULTS_READ),
    ("Policy", "/policy", Scope.RESULTS_READ),
    ("Hooks", "/hooks", Scope.HOOKS_MANAGE),
    ("Access", "/access", Scope.ADMIN),
)


def sections(path: str, scopes: frozenset[str], facility: FacilityId | None) -> tuple[Section, ...]:
    """Those that somebody with `scopes` may see; the chosen `facility` stays chosen."""
    chosen = f"?{urlencode({'facility': facility})}" if facility is not None else ""
    return tuple(
        Section(title, place + chosen, path == place or (place != "/" and path.startswith(f"{place}/")))
        for title, place, scope in _PAGES
        if scope in scopes
    )
