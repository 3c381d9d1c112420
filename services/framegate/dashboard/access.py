"""`/access`: who may log in and what they may, and the keys of programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.html import page
from framegate.dashboard.query import PageQuery
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.ids import FacilityId
from framegate.kernel.people import SCOPES_OF, Role
from framegate.kernel.states import DEFAULT_SCOPES, Scope
from framegate.ports.people import Person
from framegate.ports.store import ApiKey
from framegate.web.identity import Principal
from framegate.web.permissions import requires

router = APIRouter(include_in_schema=False)

#: What each scope lets one do, for people.
SCOPE_WORDS: dict[Scope, str] = {
    Scope.IMAGES_WRITE: "send images",
    Scope.RESULTS_READ: "see images and outcomes",
    Scope.REVIEWS_WRITE: "decide what waits for people, take care of incidents",
    Scope.HOOKS_MANAGE: "say who is told of incidents",
    Scope.MODELS_MANAGE: "approve and deploy models",
    Scope.AUDIT_READ: "read the audit",
    Scope.ADMIN: "cameras, policy, people and keys",
}


class AccessQuery(PageQuery):
    """People, or keys."""

    show: Literal["keys"] | None = None


@dataclass(frozen=True, slots=True)
class PersonRow:
    """`elsewhere`: also in facilities that are not this admin's, so that only the roles here can be changed."""

    name: str
    roles: Mapping[FacilityId, Role]
    state: str
    elsewhere: bool
    myself: bool


@dataclass(frozen=True, slots=True)
class KeyRow:
    """As of a person; `state` is active, expired or revoked."""

    key: ApiKey
    facilities: Sequence[FacilityId]
    state: str
    elsewhere: bool


@dataclass(frozen=True, slots=True)
class AccessView:
    """Of the facilities in which the person is admin, `facilities`."""

    facilities: Sequence[FacilityId]
    people: Sequence[PersonRow]
    keys: Sequence[KeyRow]
    show: str | None

    roles: Sequence[Role] = tuple(Role)
    scopes: Sequence[tuple[Scope, str, bool]] = tuple(
        (scope, words, scope in DEFAULT_SCOPES) for scope, words in SCOPE_WORDS.items()
    )

    @property
    def role_words(self) -> Sequence[tuple[Role, str]]:
        """What each role may that the one before it may not."""
        known: frozenset[Scope] = frozenset()
        rows = []
        for role in Role:
            more = [SCOPE_WORDS[scope] for scope in SCOPE_WORDS if scope in SCOPES_OF[role] - known]
            known |= SCOPES_OF[role]
            rows.append((role, "; ".join(words for words in more if words != SCOPE_WORDS[Scope.IMAGES_WRITE])))
        return rows


@router.get("/access")
async def show_access(
    request: Request,
    query: Annotated[AccessQuery, Query()],
    principal: Annotated[Principal, requires(Scope.ADMIN, page=True, takes_parameters=True)],
    pages: PagesDep,
) -> Response:
    """What has nothing to do with the person's own facilities is not there."""
    wanted = principal.visible(query.facility)
    return page("access", request, pages, await run_in_threadpool(_access, pages, principal, wanted, query.show))


def _access(pages: PageState, principal: Principal, wanted: frozenset[FacilityId], show: str | None) -> AccessView:
    deps, ours = pages.deps, principal.facilities
    people: list[PersonRow] = []
    keys: list[KeyRow] = []
    if show is None:
        people = [_person(one, principal) for one in deps.people.people() if one.roles.keys() & wanted]
    else:
        now = deps.clock.now()
        known = deps.keys.keys()
        keys = [_key(one, ours, now) for one in known if one.facilities & wanted]
        keys.sort(key=lambda row: row.state != "active")
    return AccessView(sorted(wanted), people, keys, show)


def _person(person: Person, principal: Principal) -> PersonRow:
    state = "disabled" if person.disabled_at else "enabled" if person.password_hash else "invited"
    here = {place: role for place, role in sorted(person.roles.items()) if place in principal.facilities}
    return PersonRow(person.name, here, state, len(here) < len(person.roles), person.name == principal.name)


def _key(key: ApiKey, ours: frozenset[FacilityId], now: datetime) -> KeyRow:
    state = "revoked" if key.revoked_at else "expired" if key.expires_at <= now else "active"
    return KeyRow(key, sorted(key.facilities & ours), state, bool(key.facilities - ours))
