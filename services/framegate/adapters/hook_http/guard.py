"""The only way out: resolve, vet every answer, connect to a vetted address, and look whom we are connected to."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from framegate.adapters.hook_http.deadline import Deadline
from framegate.adapters.hook_http.failures import Unanswered
from framegate.adapters.hook_http.resolving import RESOLVE_S, Resolver
from framegate.adapters.hook_http.urls import HookUrl
from framegate.kernel.addresses import Address, Allowed, host_address, is_denied
from framegate.observability.logs import get_log
from framegate.ports.hooks import Reason

#: For one of several addresses, so that a dead one leaves time for the next.
CONNECT_S: Final = 5.0
#: A port that nothing is ever sent to: connecting a UDP socket only chooses a route.
_DISCARD: Final = 9


@dataclass(frozen=True, slots=True)
class Listen:
    """Where this process itself is reached; no address: on every address of this host. Port 0: not known."""

    address: Address | None
    port: int

    @classmethod
    def of(cls, host: str, port: int) -> "Listen":
        """A name other than an address counts as every address."""
        address = host_address("127.0.0.1" if host == "localhost" else host)
        return cls(None if address is None or address.is_unspecified else address, port)

    def is_at(self, address: Address) -> bool:
        """Whether `address` leads here."""
        return is_of_this_host(address) if self.address is None else address == self.address


class Guard:
    """Safe for use from many threads."""

    def __init__(self, allowed: Allowed, listens: Sequence[tuple[str, int]], resolver: Resolver | None = None) -> None:
        """`listens`: (host, port) of this process's own servers, which nothing opens."""
        self.allowed = allowed
        self._listens = [Listen.of(host, port) for host, port in listens]
        self._resolver = resolver or Resolver()

    def addresses(self, url: HookUrl, limit_s: float = RESOLVE_S) -> list[Address]:
        """Where `url` leads now, if every answer may be connected to; else raises `Unanswered`."""
        found = [url.address] if url.address is not None else self._resolver.addresses(url.host, url.port, limit_s)
        for address in found:
            if not self.permits(url, address):
                # The address is for the operator only: whoever may make hooks must not map our network with them.
                get_log().warning(
                    "a receiver is blocked",
                    action="hook_blocked",
                    host=url.host,
                    port=url.port,
                    address=str(address),
                )
                raise Unanswered(
                    Reason.BLOCKED_ADDRESS,
                    f"{url.host} leads to an address that hooks may not reach (private, reserved or our own): "
                    "the operator can open it with FRAMEGATE_HOOKS__ALLOW",
                )
        return found

    def permits(self, url: HookUrl, address: Address) -> bool:
        """Whether a connection for `url` may be made to `address`."""
        own_ports = [listen.port for listen in self._listens if listen.is_at(address)]
        if url.port in own_ports:
            return False
        if self.allowed.reaches(url.scheme, url.host, url.port, address):
            return True
        return (url.scheme, url.port) == ("https", 443) and not own_ports and not is_denied(address)

    def connect(self, url: HookUrl, deadline: Deadline) -> socket.socket:
        """A connection to one of the addresses; raises `Unanswered`."""
        failure = "cannot be reached"
        for address in self.addresses(url, deadline.left_s()):
            try:
                return self._connect(url, address, min(deadline.left_s(), CONNECT_S))
            except TimeoutError:
                deadline.left_s()
                failure = f"did not answer within {CONNECT_S:.3g} s"
            except OSError as error:
                failure = (error.strerror or "cannot be reached").lower()
        raise Unanswered(Reason.CONNECT, f"{url.authority}: {failure}")

    def _connect(self, url: HookUrl, address: Address, timeout_s: float) -> socket.socket:
        made = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        try:
            made.settimeout(timeout_s)
            made.connect((str(address), url.port))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if ip_address(made.getpeername()[0]) != address:
                raise Unanswered(Reason.BLOCKED_ADDRESS, f"{url.authority}: the connection leads elsewhere")
        except BaseException:
            made.close()
            raise
        return made


def is_of_this_host(address: Address) -> bool:
    """Whether `address` is one of this machine's own: the route to it begins at itself."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _DISCARD))
            return ip_address(str(probe.getsockname()[0])) == address
    except OSError:  # no route: not ours, and not to be reached either
        return False
