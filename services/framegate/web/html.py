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


def html_headers(*, over_https: bool, style: str = "'self'") -> dict[str, str]:
    """No script at all, nothing from elsewhere, and nobody's frame. `style` is a CSP source, for a sheet in the page."""
    policy = f"default-src 'none'; style-src {style}; img-src 'self'; form-action 'self'; base-uri 'none'"
    said = {"Content-Security-Policy": f"{policy}; frame-ancestors 'none'", **_ALWAYS}
    return said | ({"Strict-Transport-Security": _A_YEAR} if over_https else {})
