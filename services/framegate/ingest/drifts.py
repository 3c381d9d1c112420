"""`/v1/drift`: whether cameras send, and models find, what they did when their reference was frozen."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.reading import FacilityQuery
from framegate.ingest.schemas import EXAMPLE_ID, View
from framegate.kernel.drift_features import Kind, Part, feature
from framegate.kernel.drift_state import Drift, DriftLimits, Finding, Standing, Subject
from framegate.kernel.ids import is_name, is_ref
from framegate.kernel.states import Scope
from framegate.ports.drift import MOST_FINDINGS
from framegate.ports.notices import moment
from framegate.web.identity import Principal
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires
from framegate.web.problems import Problem

router = APIRouter(tags=["drift"])


class PartView(View):
    """What is compared with one reference."""

    part: Part = Field(description="`picture`: of the camera alone. `model`: of what the model finds.")
    of: str | None = Field(description="The model, or the size of its input. Null: of whatever.", examples=["carton@2"])
    frozen_at: datetime | None = Field(description="When its reference was. Null: it is still learnt.")
    learnt: float = Field(description="How much of what the reference needs is there, 0 to 1.")


class MeasureView(View):
    """The newest window that had enough of a measure, against the reference."""

    feature: str = Field(examples=["brightness"])
    title: str = Field(description="The same for people.")
    psi: float = Field(description="Population stability index beyond that of usual windows.")
    js: float = Field(description="Jensen-Shannon distance.")
    p: float = Field(description="How likely a usual window is as far away.")
    size: int = Field(description="Images or boxes that were counted.")


class GroupView(View):
    """A group of values of a measure."""

    label: str = Field(examples=["54 to 60"])
    usual: float = Field(description="Its share in the reference.")
    now: float = Field(description="Its share in the window in which the finding became certain.")


class FindingView(View):
    """A measure that left what is usual; the numbers are of the window in which that became certain."""

    feature: str = Field(examples=["brightness"])
    title: str = Field(description="The same for people.")
    began_at: datetime
    psi: float
    js: float
    p: float
    size: int
    groups: list[GroupView]
    images: list[UUID] = Field(description="Those that moved it most.", examples=[[EXAMPLE_ID]])


class DriftView(View):
    """A camera, or a model on the images of one facility."""

    facility: str
    kind: Kind
    name: str = Field(description="The camera, or the model as NAME@VERSION.", examples=["dock-3"])
    state: Standing = Field(description="`learning`: nothing is compared yet.")
    parts: list[PartView]
    measures: list[MeasureView] = Field(description="Of complete windows; those furthest from what is usual first.")
    findings: list[FindingView] = Field(description="That hold now, newest first.")


class DriftList(View):
    """All that are watched, and when it is drift."""

    effect: float = Field(description="PSI beyond that of usual windows that matters.")
    least: int = Field(description="Images or boxes that a measure needs in a window.")
    items: list[DriftView]


@router.get("/v1/drift", response_model=DriftList, responses=problems(*AUTHENTICATED))
async def list_drift(
    query: Annotated[FacilityQuery, Query()],
    principal: Annotated[Principal, requires(Scope.RESULTS_READ, takes_parameters=True)],
    api: ApiDep,
) -> Response:
    """Cameras and models of the key's facilities: whether they drift, by how much, and the images that show it."""
    limits = api.deps.drift_limits
    facilities = principal.visible(query.facility)
    known = await run_in_threadpool(api.deps.drifts.known, facilities)
    findings = await run_in_threadpool(api.deps.drifts.findings, facilities, None, None, MOST_FINDINGS)
    now = api.deps.clock.now()
    items = [drift_document(subject, one, findings, limits, now) for subject, one in known.items()]
    return JSONResponse({"effect": limits.effect, "least": limits.least, "items": items})


@router.post("/v1/drift/{kind}/{name}/freeze", response_model=DriftView, responses=problems(*AUTHENTICATED))
async def freeze_drift(
    kind: Annotated[Kind, Path(description="What the name is of.")],
    name: Annotated[str, Path(description="The camera, or the model as NAME@VERSION.", examples=["dock-3"])],
    query: Annotated[FacilityQuery, Query()],
    principal: Annotated[Principal, requires(Scope.ADMIN, takes_parameters=True)],
    api: ApiDep,
) -> Response:
    """Says that it is well as it is: what drifts is over, and what comes from now on is learnt as usual.

    Until enough is learnt, nothing of it is compared. Of a model only the reference of this facility changes.
    """
    if not (is_name(name) if kind is Kind.CAMERA else is_ref(name)):
        raise Problem("not-found")
    subject = Subject(principal.facility(query.facility), kind, name)
    if not await run_in_threadpool(api.deps.drifts.freeze, subject, principal.actor):
        raise Problem("not-found")
    return await _shown(api, subject)


async def _shown(api: Api, subject: Subject) -> Response:
    drift = await run_in_threadpool(api.deps.drifts.drift, subject)
    if drift is None:
        raise Problem("not-found")
    findings = await run_in_threadpool(api.deps.drifts.findings, frozenset({subject.facility}), None, subject)
    return JSONResponse(drift_document(subject, drift, findings, api.deps.drift_limits, api.deps.clock.now()))


def drift_document(
    subject: Subject, drift: Drift, findings: Sequence[Finding], limits: DriftLimits, now: datetime
) -> dict[str, Any]:
    """As `DriftView`; `findings` may be of others too."""
    levels = sorted(drift.scores.items(), key=lambda pair: -pair[1].psi)
    return {
        "facility": subject.facility,
        "kind": subject.kind,
        "name": subject.name,
        "state": drift.standing,
        "parts": [
            {
                "part": name,
                "of": part.of,
                "frozen_at": part.frozen_at and moment(part.frozen_at),
                "learnt": round(part.share(limits, now), 4),
            }
            for name, part in sorted(drift.parts.items())
        ],
        "measures": [
            {"feature": name, "title": feature(name).title, **level._asdict()} for name, level in levels
        ],
        "findings": [_finding_document(one) for one in findings if one.subject == subject],
    }  # fmt: skip


def _finding_document(one: Finding) -> dict[str, Any]:
    groups = zip(one.labels, one.expected, one.seen, strict=True)
    return {
        "feature": one.feature,
        "title": one.title,
        "began_at": moment(one.began_at),
        "psi": one.psi,
        "js": one.js,
        "p": one.p,
        "size": one.size,
        "groups": [{"label": label, "usual": usual, "now": now} for label, usual, now in groups],
        "images": [str(image) for image in one.moved],
    }
