"""`/v1/dead-letters`: messages that could not be handled, and the way back.

They are the machinery's and belong to no facility: who may in every facility sees them.
"""

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.everywhere import check_everywhere
from framegate.ingest.jsonbody import BODY, documented, read_document
from framegate.ingest.schemas import View
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.messages import Message, NewerMessage, UndecodableMessage, decode
from framegate.kernel.states import Scope
from framegate.ports.notices import moment
from framegate.ports.queue import DeadLetter
from framegate.web.identity import Principal
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires

router = APIRouter(tags=["dead letters"])

_MOST_ITEMS: Final = 200
_ANSWERS: Final = (*AUTHENTICATED, "needs-every-facility", "overloaded")


class DeadLettersQuery(BaseModel):
    """How many."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=_MOST_ITEMS, description="The most of them.")


class Redrive(BaseModel):
    """Which ones."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[str, Field(pattern="^[!-~]{1,128}$")]] | None = Field(
        None, min_length=1, max_length=_MOST_ITEMS, description="Only these; without it, every one."
    )


class DeadLetterView(View):
    """A message that was taken out of its queue."""

    id: str
    queue: str = Field(examples=["frame-prepared-live"])
    cause: str
    receive_count: int = Field(description="How often somebody tried.")
    died_at: datetime
    facility: str | None = Field(description="Of its image; null where it is no message of Framegate.")
    image: UUID | None


class DeadLetterList(View):
    """Newest first."""

    items: list[DeadLetterView]


class RedriveView(View):
    """What was put back."""

    redriven: int = Field(description="How many messages are in their queues again.")


@router.get("/v1/dead-letters", response_model=DeadLetterList, responses=problems(*_ANSWERS))
async def list_dead_letters(
    query: Annotated[DeadLettersQuery, Query()],
    principal: Annotated[Principal, requires(Scope.ADMIN, takes_parameters=True)],
    api: ApiDep,
) -> Response:
    """Messages that could not be handled, and why. Their images are not lost: the sweeper sends them again."""
    await check_everywhere(api, principal)

    def look() -> list[DeadLetter]:
        with api.deps.dead_letters() as letters:
            return letters.list_dead(query.limit)

    return JSONResponse({"items": [_document(letter) for letter in await api.operating.run(look)]})


@router.post(
    "/v1/dead-letters/redrive",
    response_model=RedriveView,
    responses=problems(*_ANSWERS, *BODY),
    openapi_extra=documented(Redrive, {"ids": ["17"]}),
)
async def redrive_dead_letters(
    request: Request, principal: Annotated[Principal, requires(Scope.ADMIN)], api: ApiDep
) -> Response:
    """Puts dead letters back into their queues, with a fresh count of deliveries. Ids that are not there are passed over."""
    said = await read_document(api, request, Redrive)
    await check_everywhere(api, principal)

    def redrive() -> int:
        with api.deps.dead_letters() as letters:
            return letters.redrive(said.ids)

    count = await api.operating.run(redrive)
    await _audit(api, principal, said.ids, count)
    return JSONResponse({"redriven": count})


async def _audit(api: Api, principal: Principal, ids: list[str] | None, count: int) -> None:
    """Under the first facility, as for models, if it is there."""
    where = DEFAULT_FACILITY if DEFAULT_FACILITY in principal.facilities else min(principal.facilities)
    body = {"ids": ids, "redriven": count}
    add = api.deps.audit.add
    await run_in_threadpool(add, where, principal.actor, "dead-letters.redriven", "dead-letters", body)


def _document(letter: DeadLetter) -> dict[str, Any]:
    message: Message | None = None
    with suppress(UndecodableMessage, NewerMessage):
        message = decode(letter.body)
    return {
        "id": letter.id,
        "queue": letter.queue,
        "cause": letter.cause,
        "receive_count": letter.receive_count,
        "died_at": moment(letter.died_at),
        "facility": message and message.facility,
        "image": message and str(message.image_id),
    }
