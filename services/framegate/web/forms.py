"""Forms that pages send, and whether a page of ours sent them."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from framegate.web.problems import Problem

#: The hidden field with the token.
CSRF_FIELD: Final = "csrf"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_MOST_BYTES: Final = 16_384
_MOST_FIELDS: Final = 64
_PATIENCE_S: Final = 10.0
_READ = "framegate.form"


def is_from_here(request: Request) -> bool:
    """Whether the browser says that a page of this origin sends it; True when it says nothing.

    The second layer only: the token decides.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields, read once. Raises `Problem` for what no form of ours sends."""
    form: Mapping[str, str] | None = request.scope.get(_READ)
    if form is None:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/x-www-form-urlencoded":
            raise Problem("unsupported-media-type", "Send application/x-www-form-urlencoded, as the page's form does.")
        try:
            async with asyncio.timeout(_PATIENCE_S):
                form = request.scope[_READ] = _fields(await _body(request))
        except TimeoutError:
            raise Problem("upload-too-slow", "Send the form again over a faster connection.") from None
    return form


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise Problem("payload-too-large", "Send less: no form of Framegate is that large.")
    return bytes(body)


def _fields(body: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise Problem("malformed-request", "Send a form in UTF-8.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Problem("malformed-request", "Send every field once.")
    return fields
