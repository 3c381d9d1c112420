"""`/inspections/{image_id}`: what became of one image, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framegate.dashboard.demands import Demands, demands_of
from framegate.dashboard.findings import Picture, look_picture, picture_of, upright
from framegate.dashboard.html import page
from framegate.dashboard.nowview import glimpse_of
from framegate.dashboard.state import PagesDep, PageState
from framegate.dashboard.steps import Event, Span, events_of, spans_of
from framegate.dashboard.telling import Story, story_of
from framegate.kernel.audit import AuditEntry, Seal
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.inspection import Look
from framegate.kernel.retention import Erasure, Part
from framegate.kernel.states import ImageState, Scope
from framegate.ports.audit import AuditFilter, AuditLog, viewed
from framegate.ports.overview import TOGETHER, Glimpse, Neighbours
from framegate.ports.store import ImageRecord
from framegate.web.identity import Principal
from framegate.web.ids import parse_id
from framegate.web.logins import session_of
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(include_in_schema=False)

Reader = Annotated[Principal, requires(Scope.RESULTS_READ, page=True)]

_MOST_ENTRIES: Final = 50


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry of the audit, and the seal over it."""

    entry: AuditEntry
    seal: Seal | None


@dataclass(frozen=True, slots=True)
class LookView:
    """One of two looks, with what it saw."""

    look: Look
    picture: Picture


@dataclass(frozen=True, slots=True)
class InspectionView:
    """Everything about one image. `audit` None: not for this person."""

    record: ImageRecord
    story: Story
    demands: Demands
    policy: Mapping[str, Any] | None
    picture: Picture | None
    size: tuple[int, int]
    looks: Sequence[LookView]
    spans: Sequence[Span]
    events: Sequence[Event]
    earlier: Sequence[Glimpse]  #: of the same camera, the nearest last
    later: Sequence[Glimpse]  #: the nearest first
    together: Sequence[Glimpse]  #: others of the same goods
    audit: Sequence[Sealed] | None

    @property
    def around(self) -> list[Glimpse]:
        """It, among those of its camera."""
        return [*self.earlier, glimpse_of(self.record), *self.later]

    @property
    def goods(self) -> dict[str, str]:
        """What `together` have in common, as a search."""
        metadata = self.record.metadata
        return next(({name: metadata[name]} for name in TOGETHER if name in metadata), {})

    @property
    def audit_cut(self) -> bool:
        """Whether there may be more."""
        return self.audit is not None and len(self.audit) == _MOST_ENTRIES

    @property
    def erased(self) -> Erasure | None:
        """Of the picture."""
        return self.record.erased(Part.ORIGINAL)

    @property
    def metadata_erased(self) -> Erasure | None:
        """Of what came with it."""
        return self.record.erased(Part.METADATA)

    @property
    def names(self) -> list[tuple[str, str, dict[str, str]]]:
        """(name, value, the search for others with it), of what the sender said."""
        return [
            (name, value, {name: value} if name in ("shipment", "sscc") else {"key": name, "value": value})
            for name, value in sorted(self.record.metadata.items())
        ]


@router.get("/inspections/{image_id}")
async def show_inspection(request: Request, image_id: str, principal: Reader, pages: PagesDep) -> Response:
    """Of any facility in which the person may read results."""
    facilities = principal.visible(None)
    audited = session_of(request).principal(Scope.AUDIT_READ).facilities
    view = await run_in_threadpool(
        _inspection, pages, facilities, ImageId(parse_id(image_id)), audited, principal.actor
    )
    return page("inspection", request, pages, view)


def _inspection(
    pages: PageState, facilities: frozenset[FacilityId], image_id: ImageId, audited: frozenset[FacilityId], actor: str
) -> InspectionView:
    deps = pages.deps
    record = deps.results.image(facilities, image_id) if facilities else None
    if record is None:
        raise Problem("not-found")
    facility, version = record.facts.facility, record.policy_version
    viewed(deps.audit, facility, image_id, actor, "page")
    policy = deps.policies.policy(facility, version) if version is not None else None
    demands = demands_of(policy.document, record.facts.camera) if policy is not None else Demands()
    story = story_of(record, demands)
    shown = record.state is ImageState.DECIDED and record.erased(Part.ORIGINAL) is None
    beside = deps.overview.neighbours(facilities, image_id) or Neighbours((), (), ())
    return InspectionView(
        record=record,
        story=story,
        demands=demands,
        policy=policy.document if policy is not None else None,
        picture=picture_of(record, demands) if shown else None,
        size=upright(record.facts),
        looks=_looks(record, demands) if shown else (),
        spans=spans_of(record),
        events=events_of(record, story.people),
        earlier=beside.older[::-1],
        later=beside.newer[::-1],
        together=beside.together,
        audit=_audit(deps.audit, record) if facility in audited else None,
    )


def _looks(record: ImageRecord, demands: Demands) -> list[LookView]:
    if len(record.looks) != 2:
        return []
    return [
        LookView(look, look_picture(record, look, other, demands))
        for look, other in zip(record.looks, reversed(record.looks), strict=True)
    ]


def _audit(log: AuditLog, record: ImageRecord) -> list[Sealed]:
    where = AuditFilter(frozenset({record.facts.facility}), object=str(record.facts.image_id))
    seal: Seal | None = None
    found = []
    # The newest, of which those about who looked are many; oldest first.
    for entry in reversed(log.entries(where, _MOST_ENTRIES, newest=True)):
        if seal is None or entry.sequence > seal.last:
            seal = log.seal_of(entry.sequence)
        found.append(Sealed(entry, seal))
    return found
