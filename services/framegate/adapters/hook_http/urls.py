"""URLs of receivers: read once and strictly, so that nobody after us can read them otherwise."""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import SplitResult, urlsplit

import idna

from framegate.kernel.addresses import DEFAULT_PORTS, Address, Allowed, host_address, is_host_name
from framegate.ports.hooks import HookRefused, Reason

MAX_URL_CHARS: Final = 2_048
_PRINTABLE: Final = re.compile(r"[!-~]+")
_NETLOC: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
_SETTING: Final = "the operator can open it with FRAMEGATE_HOOKS__ALLOW"
#: Written together in one language; everything else that mixes scripts is a disguise.
_EAST_ASIAN: Final = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "LATIN"})


@dataclass(frozen=True, slots=True)
class HookUrl:
    """A URL of allowed form; whether its address is allowed is asked at every connection."""

    scheme: str
    host: str  #: a name in lower case, or an address without brackets
    port: int
    path: str  #: with the query
    address: Address | None  #: when the host is one

    @property
    def authority(self) -> str:
        """For the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(text: str, allowed: Allowed) -> HookUrl:
    """Raises `HookRefused` (`invalid-webhook-url`) with what to do."""
    parts = _split(text)
    scheme = parts.scheme
    if scheme not in DEFAULT_PORTS:
        raise _refused("does not begin with https://")
    netloc = _NETLOC.fullmatch(parts.netloc)
    if netloc is None:
        raise _refused("has a host or a port that cannot be read")
    host, address = _host(netloc[1].lower())
    port = int(netloc[2] or DEFAULT_PORTS[scheme])
    if (scheme, port) != ("https", 443) and not allowed.fits(scheme, host, port):
        if scheme == "http":
            raise _refused(f"is plain http: use https; {_SETTING} for a receiver on the premises")
        raise _refused(f"has port {port}: only 443 is open; {_SETTING} for a receiver on the premises")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return HookUrl(scheme, host, port, path, address)


def _split(text: str) -> SplitResult:
    if len(text) > MAX_URL_CHARS:
        raise _refused(f"has over {MAX_URL_CHARS} characters: shorten it")
    if not text.isascii():
        raise _refused(_without_foreign_letters(text))
    if not _PRINTABLE.fullmatch(text):  # before urlsplit, which drops tabs and line breaks silently
        raise _refused("is empty, or has spaces or control characters: remove them or write them as %20")
    if "\\" in text:
        raise _refused("has a backslash: write / or %5C")
    if "#" in text:
        raise _refused("has a fragment (#...): leave it out, it is never sent")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise _refused("has a host that cannot be read") from None
    if "@" in parts.netloc:
        raise _refused("holds a user name or a password: leave them out, the signature proves who sends")
    if not parts.netloc:
        raise _refused("has no host: write it in full, https://hooks.example.org/path")
    return parts


def _host(host: str) -> tuple[str, Address | None]:
    if host.startswith("["):
        address = host_address(host[1:-1])
        if not isinstance(address, IPv6Address):
            raise _refused("has no IPv6 address in its brackets")
        if address.ipv4_mapped is not None:
            raise _refused("hides an IPv4 address in an IPv6 address: write it as IPv4")
        return str(address), address
    address = host_address(host)
    if address is not None:
        return host, address
    if not is_host_name(host):
        raise _refused("has a host that is neither a name nor an address written in full, as 198.51.100.7")
    for label in host.split("."):
        if label.startswith("xn--"):
            _check_script(label)
    return host, None


def _check_script(label: str) -> None:
    try:
        decoded = idna.ulabel(label)
    except (idna.IDNAError, UnicodeError):
        raise _refused(f"has {label} in its host, which is no international name") from None
    scripts = {unicodedata.name(char, "?").split(" ")[0] for char in decoded if char.isalpha()}
    if len(scripts) > 1 and not scripts <= _EAST_ASIAN:
        raise _refused(f"has {label} in its host, which mixes alphabets to look like another name")


def _without_foreign_letters(text: str) -> str:
    wrong = "has letters outside of ASCII: write a path with % and"
    try:
        host = urlsplit(text).hostname or ""
        return f"{wrong} the host as {idna.encode(host).decode('ascii')}, if that is what you mean"
    except (ValueError, UnicodeError):  # IDNAError is a UnicodeError
        return f"{wrong} an international host in its ASCII form (xn--...)"


def _refused(what: str) -> HookRefused:
    return HookRefused(Reason.INVALID_URL, f"the URL {what}")
