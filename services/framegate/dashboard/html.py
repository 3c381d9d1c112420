"""HTML for people, from the templates."""

from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from framegate.dashboard.assets import address
from framegate.dashboard.frame import frame_of
from framegate.dashboard.state import PageState
from framegate.ports.notices import moment
from framegate.web.html import html_headers


def utc(at: datetime) -> str:
    """For people whose browser runs no script."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def words(name: str) -> str:
    """`camera-fault` for people."""
    return str(name).replace("-", " ").replace("_", " ")


def duration(seconds: float | None) -> str:
    """Two digits and a unit, or two units: 85 ms, 4.2 s, 3 min 5 s, 2 h 10 min, 5 d 3 h."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for unit, size, below, part in (("min", 60, 3600, "s"), ("h", 3600, 86400, "min")):
        if seconds < below:
            return f"{seconds // size:.0f} {unit} {seconds % size // (size / 60):.0f} {part}"
    return f"{seconds // 86400:.0f} d {seconds % 86400 // 3600:.0f} h"


def count(number: int) -> str:
    """With thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def percent(share: float | None, digits: int = 1) -> str:
    """`share` is 0 to 1."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


templates: Final = Environment(
    loader=PackageLoader("framegate.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.globals["asset"] = address
templates.filters.update(
    rfc3339=moment, utc=utc, words=words, duration=duration, count=count, percent=percent
)  # fmt: skip


def alone(template: str, status: int = 200, *, over_https: bool, **values: Any) -> HTMLResponse:
    """A page without navigation and scripts. `template` without its ending, filled with `values`, which are escaped."""
    html = templates.get_template(f"{template}.html").render(values)
    return HTMLResponse(html, status, headers=html_headers(over_https=over_https))


def page(template: str, request: Request, pages: PageState, view: Any) -> HTMLResponse:
    """For who is logged in: the template sees the page's own `view`, and the `frame` around it."""
    html = templates.get_template(f"{template}.html").render(view=view, frame=frame_of(request, pages))
    return HTMLResponse(html, headers=html_headers(over_https=pages.over_https, scripts=True))


def fragment(template: str, macro: str, *args: Any) -> str:
    """What a macro of `template` makes of `args`: a piece of a page, for those that are open."""
    module = templates.get_template(f"{template}.html").module
    return str(getattr(module, macro)(*args))
