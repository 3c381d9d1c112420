"""HTML for people: the templates and the style sheet."""

import hashlib
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from framegate.web.html import html_headers

STYLE: Final = (files("framegate.dashboard") / "static" / "framegate.css").read_bytes()
#: Its name changes with its bytes, so browsers may keep it for ever.
STYLE_NAME: Final = f"framegate-{hashlib.sha256(STYLE).hexdigest()[:16]}.css"

_templates: Final = Environment(
    loader=PackageLoader("framegate.dashboard"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_templates.globals["style"] = f"/assets/{STYLE_NAME}"


def page(template: str, status: int = 200, *, over_https: bool, **values: Any) -> HTMLResponse:
    """`template` without its ending, filled with `values`, which are escaped."""
    return HTMLResponse(
        _templates.get_template(f"{template}.html").render(values), status, headers=html_headers(over_https=over_https)
    )


def style_sheet() -> Response:
    """For everybody, for ever."""
    kept = {"Cache-Control": "public, max-age=31536000, immutable", "Cross-Origin-Resource-Policy": "same-origin"}
    return Response(STYLE, media_type="text/css", headers=kept)
