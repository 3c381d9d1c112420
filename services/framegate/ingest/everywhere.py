"""What belongs to no facility: models and their deployments, and the messages that could not be handled."""

from starlette.concurrency import run_in_threadpool

from framegate.ingest.api import Api
from framegate.web.identity import Principal
from framegate.web.problems import Problem


async def check_everywhere(api: Api, principal: Principal) -> None:
    """Raises `Problem` unless the caller may do this in every facility that there is: it concerns all of them."""
    if not await run_in_threadpool(api.deps.incidents.facilities) <= principal.facilities:
        raise Problem("needs-every-facility")
