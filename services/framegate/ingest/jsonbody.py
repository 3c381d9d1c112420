"""Requests whose body is a small JSON document."""

import json
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from framegate.ingest.api import Api
from framegate.ingest.body import Pace, read_body
from framegate.web.handlers import from_validation
from framegate.web.problems import Problem

#: What a body can be refused for.
BODY: Final = ("payload-too-large", "unsupported-media-type", "upload-too-slow")
#: Of anything that is not a list of things.
MOST_BYTES: Final = 16 * 1024

M = TypeVar("M", bound=BaseModel)


async def read_json(api: Api, request: Request, most_bytes: int, remedy: str = "") -> bytes:
    """The bytes of a body that is declared as JSON. Raises `Problem`; `remedy` is for one that is too large."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem("unsupported-media-type", "Declare Content-Type as application/json.")
    body = bytearray()

    async def write(data: bytes) -> None:
        if len(body) + len(data) > most_bytes:
            raise Problem("payload-too-large", f"Send at most {most_bytes} bytes of JSON{remedy}.")
        body.extend(data)

    limits = api.deps.limits
    await read_body(request, Pace(api.deps.clock, limits.slow_after_s, limits.min_bytes_per_s), write)
    return bytes(body)


async def read_document(api: Api, request: Request, model: type[M], most_bytes: int = MOST_BYTES) -> M:
    """A body as `model`. Raises `Problem`."""
    body = await read_json(api, request, most_bytes)
    try:
        document = json.loads(body)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is text that nothing can store
    except (ValueError, RecursionError):
        raise Problem("malformed-request", "The body is no JSON document.") from None
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise from_validation(error.errors(include_input=False, include_url=False, include_context=False)) from None


def documented(model: type[BaseModel], example: dict[str, Any], most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """For `openapi_extra`."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)  # the document's own components have them
    content = {"application/json": {"schema": schema, "example": example}}
    description = f"At most {most_bytes} bytes."
    return {"requestBody": {"required": True, "description": description, "content": content}}
