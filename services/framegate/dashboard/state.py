"""What every page gets: who may see it is decided with these."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from framegate.dashboard.deps import PageDependencies
from framegate.dashboard.hashing import Hashing
from framegate.dashboard.signin import SignIn
from framegate.web.logins import LoginReader


class PageState:
    """Of one application; `close` it."""

    def __init__(self, deps: PageDependencies) -> None:
        self.deps = deps
        self.cookies = LoginReader(deps.logins, deps.pepper, deps.clock, deps.public_url)
        self._hashing = Hashing(deps.passwords)
        self.sign_in = SignIn(deps, self._hashing)

    @property
    def over_https(self) -> bool:
        """Whether people reach the pages by https."""
        return self.cookies.over_https

    def close(self) -> None:
        """Blocks until the worker threads have ended."""
        self._hashing.close()


async def _state(request: Request) -> PageState:
    state: PageState = request.app.state.pages
    return state


PagesDep = Annotated[PageState, Depends(_state)]
