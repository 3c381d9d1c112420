"""`POST /v1/images`."""

import asyncio
import json
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.body import Pace, read_body
from framegate.ingest.headers import UploadHeader, read_header
from framegate.ingest.multipart import FormReader
from framegate.ingest.parameters import UploadParameters, UploadQuery, documented_parameters, parse_parameters
from framegate.ingest.schemas import AcceptedView
from framegate.ingest.sink import Sink
from framegate.ingest.storing import Upload, first_queue
from framegate.kernel.states import Scope
from framegate.observability.tracing import Kind, UploadTrace
from framegate.ports.store import Accepted
from framegate.web.identity import Principal
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import KINDS, Problem

router = APIRouter(tags=["images"])

_IMAGE_PROBLEMS: Final = tuple(slug for slug, kind in KINDS.items() if kind.status in (413, 415, 422))
_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
_HEADERS: Final[list[dict[str, Any]]] = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key and request again give the same image. Chosen by the client for each image.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]{1,255}$"},
        "example": "7c1c3f4e-dock-3-000123",
    },
    {
        "name": "traceparent",
        "in": "header",
        "description": "W3C Trace Context of the camera's own trace; which goes on with the image.",
        "schema": {"type": "string"},
    },
    {
        "name": "Content-Digest",
        "in": "header",
        "description": "RFC 9530, `sha-256=:<base64>:` of the body; compared with what arrived.",
        "schema": {"type": "string"},
    },
    {
        "name": "X-Content-SHA256",
        "in": "header",
        "description": "SHA-256 of the image in hexadecimal; compared with what arrived.",
        "schema": {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"},
    },
]
#: What a trace says of the request.
_SPAN: Final[dict[str, str | int]] = {
    "http.request.method": "POST",
    "http.route": "/v1/images",
    "http.response.status_code": 202,
    "url.path": "/v1/images",
}
#: What is documented of the answer beside its body.
ACCEPTED: Final[dict[str, Any]] = {
    "headers": {
        "Location": {"description": "Where the image can be asked for.", "schema": {"type": "string"}},
        "Idempotency-Replayed": {
            "description": "`true` when nothing new was recorded: this is the earlier image.",
            "schema": {"type": "string"},
        },
    }
}
_DOCUMENTATION: Final[dict[str, Any]] = {
    "parameters": documented_parameters() + _HEADERS,
    "requestBody": {
        "required": True,
        "description": "The image itself, or a form with the part `image` and, if you like, the parameters as fields.",
        "content": {
            "image/jpeg": _BINARY,
            "image/png": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        **UploadQuery.model_json_schema(ref_template="#/components/schemas/{model}")["properties"],
                    },
                }
            },
        },
    },
}


@router.post(
    "/v1/images",
    status_code=202,
    response_model=AcceptedView,
    response_description="The image is durably stored and recorded; its outcome follows.",
    responses={
        202: ACCEPTED,
        **problems(
            *AUTHENTICATED, *_IMAGE_PROBLEMS, "empty-body", "invalid-idempotency-key", "upload-too-slow",
            "idempotency-in-progress", "overloaded", "storage-unavailable",
        ),
    },
    openapi_extra=_DOCUMENTATION,
)  # fmt: skip
async def upload_image(
    request: Request,
    principal: Annotated[Principal, requires(Scope.IMAGES_WRITE, takes_parameters=True, people=False)],
    api: ApiDep,
) -> Response:
    """Takes in one image (JPEG or PNG, at most 25 MiB and 50 megapixels).

    Any further parameter `meta.<name>` (up to 32, 256 characters each) is kept with the image.
    """
    started = api.deps.clock.monotonic()
    api.backlog.check()
    header = read_header(request.headers, api.deps.limits.image.max_bytes)
    traced = api.deps.tracing.upload(header.trace)
    with api.slots.upload(header.announced_bytes) as memory_bytes:
        sink = Sink(api.pool, api.deps.blobs.spool_dir, memory_bytes, api.deps.limits.image.max_bytes)
        try:
            if header.boundary is None:
                accepted, upload = await _raw(api, request, principal, header, traced, sink)
            else:
                accepted, upload = await _form(api, request, principal, header, traced, sink)
        finally:
            if sink.spooled:
                api.pool.submit(sink.discard)
    # One that was known already has no trace, whatever it began with.
    api.deps.metrics.accept_seconds(api.deps.clock.monotonic() - started, "" if accepted.replayed else traced.context)
    answer = accepted_answer(accepted)
    if not accepted.replayed:
        queue = first_queue(accepted, upload.parameters.lane)
        traced.recorded("POST /v1/images", Kind.SERVER, queue, {**_SPAN, "url.scheme": request.url.scheme})
    return answer


async def _raw(
    api: Api, request: Request, principal: Principal, header: UploadHeader, traced: UploadTrace, sink: Sink
) -> tuple[Accepted, Upload]:
    upload = _upload(api, principal, header, traced, list(request.query_params.multi_items()), header.declared)
    with api.running.request(upload.facility, upload.key_id, upload.idempotency_key):
        await read_body(request, pace_of(api), sink.write)
        return await _record(api, upload, sink), upload


async def _form(
    api: Api, request: Request, principal: Principal, header: UploadHeader, traced: UploadTrace, sink: Sink
) -> tuple[Accepted, Upload]:
    form = FormReader(header.boundary or b"", sink.write, hash_content=header.content_sha256 is not None)
    await read_body(request, pace_of(api), form.feed)
    form.finish()
    if form.content_sha256 is not None and form.content_sha256.digest() != header.content_sha256:
        raise Problem("digest-mismatch")
    pairs = [*request.query_params.multi_items(), *form.fields]
    upload = _upload(api, principal, header, traced, pairs, form.declared)
    with api.running.request(upload.facility, upload.key_id, upload.idempotency_key):
        return await _record(api, upload, sink), upload


def _upload(
    api: Api,
    principal: Principal,
    header: UploadHeader,
    traced: UploadTrace,
    pairs: list[tuple[str, str]],
    declared: str | None,
) -> Upload:
    now = api.deps.clock.now()
    parameters: UploadParameters = parse_parameters(pairs, now)
    expected = (header.image_sha256, header.content_sha256 if header.boundary is None else None)
    return Upload(
        facility=principal.facility(parameters.facility),
        key_id=principal.key_id,
        parameters=parameters,
        declared=declared,
        idempotency_key=header.idempotency_key,
        expected_sha256=tuple(digest for digest in expected if digest is not None),
        received_at=now,
        traced=traced,
    )


def pace_of(api: Api) -> Pace:
    """For one request."""
    limits = api.deps.limits
    return Pace(api.deps.clock, limits.slow_after_s, limits.min_bytes_per_s)


async def _record(api: Api, upload: Upload, sink: Sink) -> Accepted:
    """One visit to a worker thread; the answer comes from the thread that led the transaction."""
    if sink.size == 0:
        raise Problem("empty-body")
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Accepted] = loop.create_future()

    def settle(answer: Accepted | BaseException) -> None:
        if future.cancelled():
            return
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def done(answer: Accepted | BaseException) -> None:
        with suppress(RuntimeError):  # the loop is closed: this server has given up on its last requests
            loop.call_soon_threadsafe(settle, answer)

    api.pool.submit(api.storing.store, upload, sink, done)
    return await future


def accepted_answer(accepted: Accepted) -> Response:
    """202. Raises `Problem` after a conflict."""
    if accepted.conflict:
        raise Problem("idempotency-key-reused")
    body = {
        "id": str(accepted.image_id),
        "state": accepted.state.value,
        "duplicate_of": str(accepted.duplicate_of) if accepted.duplicate_of else None,
    }
    headers = {"Location": f"/v1/images/{accepted.image_id}"}
    if accepted.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(json.dumps(body).encode(), 202, headers, "application/json")
