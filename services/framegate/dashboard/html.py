"""HTML for people: the templates, the headers of every page, and the style sheet."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

#: No script at all, nothing from elsewhere, and nobody's frame.
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers send `Origin: null` with forms. Addresses go to this origin only.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
TRANSPORT: Final = "max-age=31536000"

STYLE: Final = (files("framegate.dashboard") / "static" / "framegate.css").read_bytes()
#: Its name changes with its bytes, so browsers may keep it for ever.
STYLE_NAME: Final = f"framegate-{hashlib.sha256(STYLE).hexdigest()[:16]}.css"

_templates: Final = Environment(
    loader=PackageLoader("framegate.dashboard"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_templates.globals["style"] = f"/assets/{STYLE_NAME}"


def page(template: str, status: int = 200, *, over_https: bool, **values: Any) -> HTMLResponse:
    """`template` without its ending, filled with `values`, which are escaped."""
    return HTMLResponse(_templates.get_template(f"{template}.html").render(values), status, headers=headers(over_https))


def headers(over_https: bool) -> dict[str, str]:
    """Of every answer to people."""
    return dict(HEADERS) | ({"Strict-Transport-Security": TRANSPORT} if over_https else {})


def style_sheet() -> Response:
    """For everybody, for ever."""
    kept = {"Cache-Control": "public, max-age=31536000, immutable", "Cross-Origin-Resource-Policy": "same-origin"}
    return Response(STYLE, media_type="text/css", headers=kept)
