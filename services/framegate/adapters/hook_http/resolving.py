"""Names to addresses, in bounded time: getaddrinfo knows no timeout of its own."""

import socket
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Final

from framegate.adapters.hook_http.failures import Unanswered
from framegate.kernel.addresses import Address, host_address
from framegate.ports.hooks import Reason

RESOLVE_S: Final = 3.0
#: Lookups that may hang at a time, each in its thread; more wait, and fail when their time is over. As many as 64 endpoints
#: with four slots each can have, so that some whose DNS hangs delay no other.
LOOKUPS: Final = 256

#: All addresses of a name, as text; raises OSError.
Lookup = Callable[[str, int], Sequence[str]]


def system_lookup(host: str, port: int) -> list[str]:
    """What the system's resolver says, in its order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Resolver:
    """Asks anew at every call; whatever goes wrong, there is no address."""

    def __init__(self, lookup: Lookup = system_lookup, *, limit_s: float = RESOLVE_S, lookups: int = LOOKUPS) -> None:
        """`limit_s`: the longest wait for an answer, seconds."""
        self._lookup, self._limit_s = lookup, limit_s
        self._slots = threading.BoundedSemaphore(lookups)

    def addresses(self, host: str, port: int, limit_s: float) -> list[Address]:
        """At least one. Raises `Unanswered` (`dns`), also when an answer cannot be read."""
        answer = self._ask(host, port, min(limit_s, self._limit_s))
        if isinstance(answer, OSError | UnicodeError):
            raise Unanswered(Reason.DNS, f"{host} cannot be resolved: check the name and its DNS") from answer
        read = [host_address(text) for text in answer]
        addresses = [address for address in read if address is not None]
        if not addresses or len(addresses) < len(read):  # a zone, fe80::1%eth0, is no address either
            raise Unanswered(Reason.DNS, f"{host} has no address that can be used: check the name and its DNS")
        return addresses

    def _ask(self, host: str, port: int, limit_s: float) -> Sequence[str] | OSError | UnicodeError:
        late = Unanswered(Reason.DNS, f"{host} was not resolved within {limit_s:.3g} s: check its DNS")
        if not self._slots.acquire(timeout=max(0.0, limit_s)):
            raise late
        answers: SimpleQueue[Sequence[str] | OSError | UnicodeError] = SimpleQueue()

        def look_up() -> None:
            try:
                answers.put(self._lookup(host, port))
            except (OSError, UnicodeError) as error:
                answers.put(error)
            finally:
                self._slots.release()

        # A daemon: a lookup that hangs must not keep the process from ending.
        try:
            threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
        except RuntimeError:  # this process may have no more threads
            self._slots.release()
            raise late from None
        try:
            return answers.get(timeout=max(0.0, limit_s))
        except Empty:
            raise late from None
