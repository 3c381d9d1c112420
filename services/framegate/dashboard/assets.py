"""The style sheet and the scripts."""

import hashlib
from importlib.resources import files
from typing import Final

from starlette.responses import Response

_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
TYPES: Final = tuple(_TYPES.values())
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


def asset(build: str, name: str) -> Response | None:
    """The file, for everybody and for ever; None: there is none, or it was another one."""
    data = _FILES.get(name) if build == BUILD else None
    if data is None:
        return None
    kept = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type=_TYPES[name[name.rindex(".") :]], headers=kept)
