"""The running API: what `create_app` builds from its dependencies and every route gets."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request

from framegate.ingest.acceptor import Acceptor
from framegate.ingest.backlog import Backlog
from framegate.ingest.deps import ApiDependencies
from framegate.ingest.previews import Previews
from framegate.ingest.slots import Running, UploadSlots
from framegate.ingest.storing import Storing
from framegate.ports.hooks import DEADLINE_S
from framegate.web.cursors import Cursors
from framegate.web.identity import Authenticator
from framegate.web.limits import FailureLimit, RateLimit
from framegate.web.links import Links
from framegate.web.logins import LoginReader
from framegate.web.pool import BoundedPool

#: Checks and tests of endpoints at a time.
MOST_OUTSIDE: Final = 8
_MOST_BUNDLES: Final = 8


@dataclass(frozen=True, slots=True)
class Guard:
    """See `framegate.web.permissions.Guarded`."""

    authenticator: Authenticator
    logins: LoginReader | None
    links: Links
    rate_limit: RateLimit | None


class Api:
    """State of one application. Only `stop` and `close` need to be called in the end, when no request runs any more."""

    def __init__(self, deps: ApiDependencies) -> None:
        limits = deps.limits
        self.deps = deps
        self.guard = Guard(
            Authenticator(
                deps.keys, deps.pepper, deps.clock, FailureLimit(deps.clock) if deps.watch_failures else None
            ),
            LoginReader(deps.logins, deps.pepper, deps.clock, deps.public_url) if deps.logins is not None else None,
            Links(deps.pepper, deps.clock),
            RateLimit(limits.rate_per_s, deps.clock) if limits.rate_per_s is not None else None,
        )
        self.cursors = Cursors(deps.pepper)
        self.pool = ThreadPoolExecutor(limits.upload_threads, thread_name_prefix="upload")
        self.previews = Previews(deps.blobs, deps.version)
        # Each is in memory as a whole.
        self.bundles = BoundedPool("evidence", 2, _MOST_BUNDLES, "Too many exports at once.", 2)
        # Somebody else's servers: each may take as long as a receiver is given.
        crowded = "Too many endpoints are being tried."
        self.outside = BoundedPool("outside", MOST_OUTSIDE, MOST_OUTSIDE, crowded, int(DEADLINE_S))
        self.trying = BoundedPool("policies", 2, 4, "Too many policies are being looked at.", 5)
        # Two may wait until the workers have a deployment, while a third is ordered.
        self.operating = BoundedPool("operating", 2, 4, "Too much is being changed at once.", 5)
        self._beside: set[asyncio.Task[None]] = set()
        self.slots = UploadSlots(limits.max_concurrent_uploads, limits.memory_bytes, limits.memory_total_bytes)
        self.running = Running()
        self.backlog = Backlog(deps.backlog, limits.max_backlog, deps.clock, self.pool)
        self.storing = Storing(deps.blobs, Acceptor(deps.intake), limits.image, limits.min_free_bytes)
        self.watchers = 0  #: in progress

    def beside(self, work: Coroutine[None, None, None]) -> None:
        """Goes on when the request has been answered, until the server stops. It must not raise."""
        task = asyncio.ensure_future(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def stop(self) -> None:
        """Before `close`."""
        for task in list(self._beside):
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)

    def close(self) -> None:
        """Blocks until the worker threads have ended."""
        self.pool.shutdown()
        self.bundles.close()  # before what it waits for
        self.previews.close()
        self.outside.close()
        self.trying.close()
        self.operating.close()
        for hook in self.deps.hooks.values():
            hook.close()


async def _api(request: Request) -> Api:
    # A coroutine, though it awaits nothing: FastAPI would send a plain function to a thread for every request.
    api: Api = request.app.state.api
    return api


ApiDep = Annotated[Api, Depends(_api)]
