"""`/policy`: the rules that decide in a facility, in words and as they are written, and those that held before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.html import page
from framegate.dashboard.query import PageQuery
from framegate.dashboard.state import PagesDep, PageState
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import FacilityId
from framegate.kernel.policies import Change, PolicyInWords
from framegate.kernel.states import Scope
from framegate.ports.store import PolicyVersion
from framegate.web.identity import Principal
from framegate.web.logins import session_of
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(include_in_schema=False)

_HISTORY: Final = 20
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class PolicyQuery(PageQuery):
    """`version`: an old one; `before`: the history from there on."""

    version: Version | None = None
    before: Version | None = None


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A version, and what it changed; None: it is the first."""

    version: PolicyVersion
    changes: Sequence[Change] | None


@dataclass(frozen=True, slots=True)
class PolicyView:
    """What holds, or an old version beside it."""

    facility: FacilityId
    current: PolicyVersion | None
    shown: PolicyVersion | None
    text: str  #: of `shown`, as YAML
    words: PolicyInWords | None  #: of `shown`; None: this release cannot read it
    since: Sequence[Change]  #: what is otherwise in `current` than in `shown`
    history: Sequence[HistoryRow]
    older: int | None  #: the history goes on before this version
    admin: bool

    @property
    def is_old(self) -> bool:
        """Whether what is shown holds no more."""
        return self.shown != self.current


@router.get("/policy")
async def show_policy(
    request: Request,
    query: Annotated[PolicyQuery, Query()],
    principal: Annotated[Principal, requires(Scope.RESULTS_READ, page=True, takes_parameters=True)],
    pages: PagesDep,
) -> Response:
    """Of one facility: the one that the address names, else the first."""
    facility = min(principal.visible(query.facility))
    admin = facility in session_of(request).principal(Scope.ADMIN).facilities
    view = await run_in_threadpool(_policy, pages, facility, query, admin)
    return page("policy", request, pages, view)


def _policy(pages: PageState, facility: FacilityId, query: PolicyQuery, admin: bool) -> PolicyView:
    policies, rules = pages.deps.policies, pages.deps.rules
    current = policies.current_policy(facility)
    shown = current if query.version is None else policies.policy(facility, query.version)
    if shown is None and query.version is not None:
        raise Problem("not-found")
    found = policies.policy_history(facility, _HISTORY + 1, query.before)
    history = [
        HistoryRow(one, rules.compare(found[n + 1].document, one.document) if n + 1 < len(found) else None)
        for n, one in enumerate(found[:_HISTORY])
    ]
    return PolicyView(
        facility,
        current,
        shown,
        rules.written(shown.document) if shown else "",
        _words(pages, shown),
        rules.compare(shown.document, current.document) if shown and current else (),
        history,
        found[_HISTORY - 1].version if len(found) > _HISTORY else None,
        admin,
    )


def _words(pages: PageState, version: PolicyVersion | None) -> PolicyInWords | None:
    try:
        return pages.deps.rules.told(version.document) if version else None
    except ConfigurationError:
        return None
