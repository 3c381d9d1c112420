"""`/v1/keys`: API keys, of the facilities in which the caller is admin.

A key that also belongs to facilities of others is seen without them, and neither rotated nor revoked from here.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.jsonbody import BODY, documented, read_document
from framegate.ingest.parameters import Name, is_plain_text
from framegate.ingest.reading import FacilityQuery
from framegate.ingest.schemas import View
from framegate.kernel.ids import is_name
from framegate.kernel.states import DEFAULT_SCOPES, Scope
from framegate.ports.notices import moment
from framegate.ports.store import ApiKey
from framegate.web.identity import Principal
from framegate.web.newkeys import make_key, successor
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem, invalid

router = APIRouter(tags=["keys"])

Admin = Annotated[Principal, requires(Scope.ADMIN)]
KeyPath = Annotated[str, Path(description="The id of the key.", examples=["7rQ0tYx2LmNa"])]
Days = Annotated[int, Field(ge=1, le=3650, description="Days until it expires.")]


class NewKey(BaseModel):
    """Who will use it, for what, and where."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=128, description="For people to recognise it by.", examples=["dock-3"])
    scopes: list[Scope] = Field(
        default_factory=lambda: sorted(DEFAULT_SCOPES),
        min_length=1, max_length=len(Scope), description="What it may; without it, send images and read results.",
    )  # fmt: skip
    facilities: list[Name] = Field(
        default_factory=list, max_length=100, description="Needed only with a key of several facilities."
    )
    days: Days = 365


class Rotation(BaseModel):
    """How the new key takes the place of the old one."""

    model_config = ConfigDict(extra="forbid")

    overlap_hours: float = Field(
        24,
        ge=0,
        le=8760,
        allow_inf_nan=False,
        description="For how long the old one holds, and no longer than it would.",
    )
    days: Days = 365


class KeyView(View):
    """A key, without its secret."""

    id: str = Field(examples=["7rQ0tYx2LmNa"])
    name: str
    scopes: list[Scope]
    facilities: list[str] = Field(description="Those in which you are admin.")
    elsewhere: bool = Field(description="It also belongs to other facilities: then you cannot change it.")
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class KeyList(View):
    """Oldest first."""

    items: list[KeyView]


class KeySecretView(KeyView):
    """The only time that the key is shown."""

    key: str = Field(description="Send it as `Authorization: Bearer <key>`.", examples=["fg_live_7rQ0tYx2LmNa_…"])


_EXAMPLE: Final = {"name": "dock-3", "scopes": ["images:write"]}
_CREATED: Final = "The key, with its secret. Keep it: it is never shown again."


@router.get("/v1/keys", response_model=KeyList, responses=problems(*AUTHENTICATED))
async def list_keys(
    query: Annotated[FacilityQuery, Query()],
    principal: Annotated[Principal, requires(Scope.ADMIN, takes_parameters=True)],
    api: ApiDep,
) -> Response:
    """The keys of your facilities, expired and revoked ones included."""
    wanted = principal.visible(query.facility)
    found = await run_in_threadpool(api.deps.keys.keys)
    return JSONResponse({"items": [_document(key, principal) for key in found if key.facilities & wanted]})


@router.post(
    "/v1/keys",
    status_code=201,
    response_model=KeySecretView,
    response_description=_CREATED,
    responses=problems(*AUTHENTICATED, *BODY),
    openapi_extra=documented(NewKey, _EXAMPLE),
)
async def create_key(request: Request, principal: Admin, api: ApiDep) -> Response:
    """Makes a key, for facilities in which you are admin."""
    wanted = await read_document(api, request, NewKey)
    if not is_plain_text(wanted.name):
        raise invalid("name", "holds 1 to 128 printable characters")
    named: list[str | None] = [*wanted.facilities] or [None]
    facilities = {principal.facility(name) for name in named}
    scopes = frozenset(str(scope) for scope in wanted.scopes)
    text, key = make_key(api.deps.pepper, wanted.name, scopes, facilities, api.deps.clock.now(), wanted.days)
    await run_in_threadpool(api.deps.keys.add_key, key, principal.actor)
    return _with_secret(text, key, principal)


@router.post(
    "/v1/keys/{key_id}/rotate",
    status_code=201,
    response_model=KeySecretView,
    response_description=_CREATED,
    responses=problems(*AUTHENTICATED, *BODY, "key-ended", "belongs-elsewhere-too"),
    openapi_extra=documented(Rotation, {"overlap_hours": 24}),
)
async def rotate_key(request: Request, key_id: KeyPath, principal: Admin, api: ApiDep) -> Response:
    """Makes a key that may do the same; the old one holds for a while more."""
    wanted = await read_document(api, request, Rotation)
    old, now = await _find(api, principal, key_id), api.deps.clock.now()
    if old.revoked_at is not None or old.expires_at <= now:
        raise Problem("key-ended")
    text, new = successor(api.deps.pepper, old, now, wanted.days)
    until = now + timedelta(hours=wanted.overlap_hours)
    if not await run_in_threadpool(api.deps.keys.replace_key, old.key_id, new, until, principal.actor):
        raise Problem("key-ended")
    return _with_secret(text, new, principal)


@router.delete(
    "/v1/keys/{key_id}",
    status_code=204,
    response_description="It is revoked, and refused within 5 seconds.",
    responses=problems(*AUTHENTICATED, "belongs-elsewhere-too"),
)
async def revoke_key(key_id: KeyPath, principal: Admin, api: ApiDep) -> Response:
    """Revokes a key for good. Of one that is revoked already nothing changes."""
    key = await _find(api, principal, key_id)
    await run_in_threadpool(api.deps.keys.revoke_key, key.key_id, principal.actor)
    return Response(status_code=204)


async def _find(api: Api, principal: Principal, key_id: str) -> ApiKey:
    """One that is the caller's to change. Raises `Problem`."""
    found = await run_in_threadpool(api.deps.keys.find_key, key_id) if is_name(key_id) else None
    if found is None or not found.facilities & principal.visible(None):
        raise Problem("not-found")
    if principal.is_elsewhere(found.facilities):
        raise Problem("belongs-elsewhere-too")
    return found


def _document(key: ApiKey, principal: Principal) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "facilities": sorted(key.facilities & principal.facilities),
        "elsewhere": principal.is_elsewhere(key.facilities),
        "created_at": moment(key.created_at),
        "expires_at": moment(key.expires_at),
        "revoked_at": moment(key.revoked_at),
    }


def _with_secret(text: str, key: ApiKey, principal: Principal) -> Response:
    return JSONResponse(_document(key, principal) | {"key": text}, 201, headers={"Cache-Control": "no-store"})
