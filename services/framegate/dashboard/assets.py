"""The style sheet and the scripts."""

import hashlib
from importlib.resources import files
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from framegate.web.permissions import public
from framegate.web.problems import Problem

router = APIRouter(include_in_schema=False)

_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES: Final = {
    entry.name: entry.read_bytes()
    for entry in sorted((files("framegate.dashboard") / "static").iterdir(), key=lambda entry: entry.name)
}
#: A part of every address, so that browsers may keep the files for ever, and modules find each other by relative names.
BUILD: Final = hashlib.sha256(
    b"\0".join(part for name, data in _FILES.items() for part in (name.encode(), data))
).hexdigest()[:16]


def address(name: str) -> str:
    """Where the file is. Raises `KeyError` where there is none: a template names one that nobody ships."""
    if name not in _FILES:
        raise KeyError(name)
    return f"/assets/{BUILD}/{name}"


@router.get("/assets/{build}/{name}", dependencies=[public(produces=tuple(_TYPES.values()))])
async def asset(build: str, name: str) -> Response:
    """The file, for everybody and for ever; absent where there is none, or it was another one."""
    data = _FILES.get(name) if build == BUILD else None
    if data is None:
        raise Problem("not-found")
    kept = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type=_TYPES[name[name.rindex(".") :]], headers=kept)
