"""Which addresses hooks may reach, and what the operator opens beyond them (`FRAMEGATE_HOOKS__ALLOW`)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Scheme = Literal["http", "https"]

DEFAULT_PORTS: Final[dict[str, int]] = {"https": 443, "http": 80}

# Source: the IANA special-purpose address registries, and metadata services outside of them. `is_global` is asked as
# well, but not alone: it knows neither translated addresses, in which an IPv4 address hides, nor multicast.
_DENIED: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers; Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform
        "169.254.0.0/16",  # link-local; metadata of AWS, Google, Azure
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # IPv4-compatible, unspecified, loopback
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",  # Teredo (2001::/32), ORCHID and other protocols
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
#: All that was ever assigned for the public IPv6 internet.
_PUBLIC_IPV6: Final = IPv6Network("2000::/3")
_MAPPED: Final = IPv6Network("::ffff:0:0/96")

# What a name in the operator's list may resolve to beyond public addresses. Link-local and metadata need a CIDR.
_ON_PREMISES: Final[tuple[Network, ...]] = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7")
)
_METADATA: Final = IPv6Network("fd00:ec2::/32")  # of AWS, inside fc00::/7

#: The widest networks that may be opened: 10.0.0.0/8 and fc00::/7.
_WIDEST: Final = {4: 8, 6: 7}
_LABEL: Final = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_BRACKETED: Final = re.compile(r"\[([^\[\]]+)\](?::(.*))?")
_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


def is_denied(address: Address) -> bool:
    """Whether nothing may be sent there without the operator's word: all but the public internet."""
    if isinstance(address, IPv6Address) and address not in _PUBLIC_IPV6:
        return True
    return (
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or any(address in network for network in _DENIED)
    )


def is_host_name(text: str) -> bool:
    """In lower case and ASCII. False for what resolvers take for a number, as `127.1`, `0x7f.1` or `2130706433`."""
    return _NAME.fullmatch(text) is not None and not _NUMERIC.fullmatch(text)


def host_address(text: str) -> Address | None:
    """The address that is written out as a URL's host (IPv6 without its brackets), None for names and odd spellings."""
    try:
        return ip_address(text) if "%" not in text else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Opening:
    """One entry of the operator's list: exactly this scheme and port, to a name or to a network."""

    scheme: str
    port: int
    name: str = ""
    network: Network | None = None

    def fits(self, scheme: str, host: str, port: int) -> bool:
        """Whether a URL may be of this form; with a network it takes its address to know."""
        return (scheme, port) == (self.scheme, self.port) and (self.network is not None or host == self.name)

    def reaches(self, address: Address) -> bool:
        """For a URL that fits. A name opens public and on-premises addresses, whatever else it resolves to."""
        if self.network is not None:
            return address in self.network
        if not is_denied(address):
            return True
        return address not in _METADATA and any(address in network for network in _ON_PREMISES)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator opens; by default nothing."""

    openings: tuple[Opening, ...] = ()

    def fits(self, scheme: str, host: str, port: int) -> bool:
        """Whether a URL other than `https` on port 443 may be of this form."""
        return any(opening.fits(scheme, host, port) for opening in self.openings)

    def reaches(self, scheme: str, host: str, port: int, address: Address) -> bool:
        """Whether `address` is open to a URL with this scheme, host and port."""
        return any(opening.fits(scheme, host, port) and opening.reaches(address) for opening in self.openings)


def parse_allow(text: str) -> Allowed:
    """`10.0.0.0/8, hooks.local, http://plc.local:8080`: hosts, addresses or CIDRs, separated by commas.

    Each may begin with `http://` (plain, port 80) or `https://` (the default, port 443), and end with another port; IPv6
    with a port is in brackets, `[fd00::/8]:8443`. Raises ValueError that names the entry.
    """
    return Allowed(tuple(_parse_all(text)))


def _parse_all(text: str) -> Iterator[Opening]:
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            yield _parse_one(entry.lower())
        except ValueError as error:
            raise ValueError(f"the entry {entry!r} {error}") from None


def _parse_one(entry: str) -> Opening:
    scheme, separator, rest = entry.rpartition("://")
    scheme = scheme if separator else "https"
    if scheme not in DEFAULT_PORTS:
        raise ValueError("begins with neither http:// nor https://")
    place, port = _split_port(rest, DEFAULT_PORTS[scheme])
    network = _network(place)
    if network is not None:
        return Opening(scheme, port, network=network)
    if not is_host_name(place):
        raise ValueError("is neither a host name, nor an IP address, nor a CIDR, with a port after a colon at most")
    return Opening(scheme, port, name=place)


def _split_port(text: str, default: int) -> tuple[str, int]:
    place, port = text, None
    if bracketed := _BRACKETED.fullmatch(text):
        place, port = bracketed[1], bracketed[2]
        if ":" not in place:
            raise ValueError("has brackets around what is not IPv6")
    elif text.count(":") == 1:
        place, port = text.split(":")
    if port is None:
        return place, default
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ValueError("has a port that is not between 1 and 65535")
    return place, int(port)


def _network(place: str) -> Network | None:
    if "/" not in place:
        address = host_address(place)
        if address is None:
            return None
        network: Network = ip_network(address)
    else:
        try:
            network = ip_network(place)
        except ValueError as error:
            raise ValueError(f"is not a CIDR like 10.0.0.0/8: {error}") from None
    if network.prefixlen < _WIDEST[network.version]:
        raise ValueError(f"opens too much: /{_WIDEST[network.version]} at most, or several entries")
    if isinstance(network, IPv6Network) and network.overlaps(_MAPPED):
        raise ValueError("holds IPv4 addresses in the form of IPv6: write them as IPv4")
    return network
