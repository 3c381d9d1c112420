"""`/v1/people`: who may log in and what they may, in the facilities in which the caller is admin.

Somebody who also has a role in facilities of others is seen without those roles. Their role here can be changed; what
concerns them everywhere (a new password, to be disabled) cannot.
"""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.jsonbody import BODY, documented, read_document
from framegate.ingest.parameters import Name
from framegate.ingest.reading import FacilityQuery
from framegate.ingest.schemas import View
from framegate.kernel.people import Role, is_person_name
from framegate.kernel.states import Scope
from framegate.ports.notices import moment
from framegate.ports.people import Person
from framegate.web.identity import Principal
from framegate.web.invitations import invite
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem, invalid

router = APIRouter(tags=["people"])

Admin = Annotated[Principal, requires(Scope.ADMIN)]
NamePath = Annotated[str, Path(description="The name of the person.", examples=["anna"])]


class PersonState(StrEnum):
    """Whether somebody can log in."""

    ENABLED = "enabled"
    INVITED = "invited"  #: has no password yet
    DISABLED = "disabled"


class NewPerson(BaseModel):
    """Somebody who is to log in."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._@-]{1,63}$", description="An e-mail address may do.", examples=["anna"]
    )
    roles: dict[Name, Role] = Field(
        min_length=1, max_length=100, description="What they may, by facility.", examples=[{"main": "reviewer"}]
    )


class NewRole(BaseModel):
    """What somebody may in one facility."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = Field(description="null: nothing.")


class PersonView(View):
    """Somebody who may log in."""

    name: str
    roles: dict[str, Role] = Field(description="In the facilities in which you are admin.")
    elsewhere: bool = Field(description="They also have a role in other facilities.")
    state: PersonState
    created_at: datetime


class PersonList(View):
    """By name."""

    items: list[PersonView]


class InvitedView(PersonView):
    """The only time that the link is shown."""

    link: str = Field(description="Sets a password, once, within 24 hours. Hand it over by a way that only they read.")


_NOT_OURS: Final = ("belongs-elsewhere-too", "person-disabled")


@router.get("/v1/people", response_model=PersonList, responses=problems(*AUTHENTICATED))
async def list_people(
    query: Annotated[FacilityQuery, Query()],
    principal: Annotated[Principal, requires(Scope.ADMIN, takes_parameters=True)],
    api: ApiDep,
) -> Response:
    """Everybody with a role in your facilities."""
    wanted = principal.visible(query.facility)
    found = await run_in_threadpool(api.deps.people.people)
    return JSONResponse({"items": [_document(one, principal) for one in found if one.roles.keys() & wanted]})


@router.post(
    "/v1/people",
    status_code=201,
    response_model=InvitedView,
    response_description="The person, with the link. Keep it: it is never shown again.",
    responses=problems(*AUTHENTICATED, *BODY, "name-taken", "person-disabled"),
    openapi_extra=documented(NewPerson, {"name": "anna", "roles": {"main": "reviewer"}}),
)
async def add_person(request: Request, principal: Admin, api: ApiDep) -> Response:
    """Adds somebody and invites them: they choose their password by the link."""
    wanted = await read_document(api, request, NewPerson)
    if not is_person_name(wanted.name):
        raise invalid("name", "has 2 to 64 small letters, digits and . _ @ -")
    roles = {principal.facility(facility): role for facility, role in wanted.roles.items()}
    person = Person(wanted.name, roles, api.deps.clock.now())
    try:
        await run_in_threadpool(api.deps.people.add_person, person, principal.actor)
    except ValueError:
        raise Problem("name-taken") from None
    return await _invited(api, principal, person, 201)


@router.put(
    "/v1/people/{name}/roles/{facility}",
    response_model=PersonView,
    responses=problems(*AUTHENTICATED, *BODY, "last-admin-role"),
    openapi_extra=documented(NewRole, {"role": "operator"}),
)
async def set_role(
    request: Request,
    name: NamePath,
    facility: Annotated[str, Path(description="Where.", examples=["main"])],
    principal: Admin,
    api: ApiDep,
) -> Response:
    """Says what somebody may in one facility, and ends all their logins. null takes the role away."""
    wanted = await read_document(api, request, NewRole)
    where, person = principal.facility(facility), await _find(api, principal, name)
    kept = {place: role for place, role in person.roles.items() if place != where}
    _keep_own(principal, person, Role.ADMIN in (wanted.role, *kept.values()))
    if not await run_in_threadpool(api.deps.people.set_role, name, where, wanted.role, principal.actor):
        raise Problem("not-found")
    roles = kept | ({where: wanted.role} if wanted.role else {})
    return JSONResponse(_document(replace(person, roles=roles), principal))


@router.post(
    "/v1/people/{name}/invite",
    response_model=InvitedView,
    response_description="The person, with the link. Keep it: it is never shown again.",
    responses=problems(*AUTHENTICATED, *_NOT_OURS),
)
async def invite_person(name: NamePath, principal: Admin, api: ApiDep) -> Response:
    """Invites somebody to choose a new password; the old one holds until then."""
    return await _invited(api, principal, await _only_ours(api, principal, name), 200)


@router.post(
    "/v1/people/{name}/disable",
    response_model=PersonView,
    responses=problems(*AUTHENTICATED, "belongs-elsewhere-too", "last-admin-role"),
)
async def disable_person(name: NamePath, principal: Admin, api: ApiDep) -> Response:
    """Ends all logins of somebody at once, and lets them in no more."""
    person = await _only_ours(api, principal, name)
    _keep_own(principal, person, False)
    await run_in_threadpool(api.deps.people.disable, name, api.deps.clock.now(), principal.actor)
    return await _shown(api, principal, name)


@router.post(
    "/v1/people/{name}/enable",
    response_model=PersonView,
    responses=problems(*AUTHENTICATED, "belongs-elsewhere-too"),
)
async def enable_person(name: NamePath, principal: Admin, api: ApiDep) -> Response:
    """Lets somebody log in again, with the password that they had."""
    await _only_ours(api, principal, name)
    await run_in_threadpool(api.deps.people.enable, name, principal.actor)
    return await _shown(api, principal, name)


async def _find(api: Api, principal: Principal, name: str) -> Person:
    """Raises `Problem`: who has nothing to do with the caller's facilities looks absent."""
    found = await run_in_threadpool(api.deps.people.find_person, name) if is_person_name(name) else None
    if found is None or not found.roles.keys() & principal.visible(None):
        raise Problem("not-found")
    return found


async def _only_ours(api: Api, principal: Principal, name: str) -> Person:
    """Raises `Problem`."""
    found = await _find(api, principal, name)
    if principal.is_elsewhere(found.roles.keys()):
        raise Problem("belongs-elsewhere-too")
    return found


def _keep_own(principal: Principal, person: Person, still_admin: bool) -> None:
    """Raises `Problem` when somebody would lock themselves out; somebody else must do that."""
    if principal.person and principal.name == person.name and not still_admin:
        raise Problem("last-admin-role")


async def _invited(api: Api, principal: Principal, person: Person, status: int) -> Response:
    deps = api.deps
    link = await run_in_threadpool(
        invite, deps.people, deps.pepper, deps.public_url, person.name, deps.clock.now(), principal.actor
    )
    if link is None:
        raise Problem("person-disabled")
    document = _document(person, principal) | {"link": link}
    return JSONResponse(document, status, headers={"Cache-Control": "no-store"})


async def _shown(api: Api, principal: Principal, name: str) -> Response:
    return JSONResponse(_document(await _find(api, principal, name), principal))


def _document(person: Person, principal: Principal) -> dict[str, Any]:
    state = PersonState.ENABLED if person.password_hash else PersonState.INVITED
    return {
        "name": person.name,
        "roles": {place: role for place, role in sorted(person.roles.items()) if place in principal.facilities},
        "elsewhere": principal.is_elsewhere(person.roles.keys()),
        "state": PersonState.DISABLED if person.disabled_at else state,
        "created_at": moment(person.created_at),
    }
