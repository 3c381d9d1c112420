"""What every answer in HTML tells the browser."""

from typing import Final

_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers send `Origin: null` with forms. Addresses go to this origin only.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
_A_YEAR: Final = "max-age=31536000"
#: Modules of this origin, what they ask of it, and the pictures that they have fetched from it.
_SCRIPTS: Final = "img-src 'self' blob:; script-src 'self'; connect-src 'self'"


def html_headers(*, over_https: bool, style: str = "'self'", scripts: bool = False) -> dict[str, str]:
    """Nothing from elsewhere, nobody's frame, and without `scripts` no script at all.

    `style` is a CSP source, for a sheet in the page.
    """
    more = _SCRIPTS if scripts else "img-src 'self'"
    policy = f"default-src 'none'; style-src {style}; {more}; form-action 'self'; base-uri 'none'"
    said = {"Content-Security-Policy": f"{policy}; frame-ancestors 'none'", **_ALWAYS}
    return said | ({"Strict-Transport-Security": _A_YEAR} if over_https else {})
