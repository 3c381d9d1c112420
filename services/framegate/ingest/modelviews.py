"""What the API is told and answers about models. As in `schemas`: models describe, functions build."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from framegate.ingest.schemas import View
from framegate.kernel.ids import REF_PATTERN
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.rollout import ModelState, Rollout
from framegate.ports.notices import moment
from framegate.ports.registry import (
    Deployment,
    DeploymentState,
    ModelEvent,
    RegisteredModel,
    ShadowComparison,
    Tally,
)

Ref = Annotated[str, Field(pattern=REF_PATTERN, description="NAME@VERSION", examples=["carton@2"])]


class Approval(BaseModel):
    """Somebody takes the responsibility."""

    model_config = ConfigDict(extra="forbid")

    comment: str = Field(min_length=1, max_length=256, description="What it rests on, for the audit.")


class NewDeployment(BaseModel):
    """What is to serve: by itself, or beside what serves as a canary or a shadow."""

    model_config = ConfigDict(extra="forbid")

    model: Ref
    canary: float | None = Field(
        None, gt=0, le=1, allow_inf_nan=False, description="Decides the images of this share of the cameras only."
    )
    shadow: StrictBool = Field(False, description="Looks at every image and decides nothing.")

    @model_validator(mode="after")
    def _one_role(self) -> Self:
        if self.canary is not None and self.shadow:
            raise ValueError("a model is a canary or a shadow, not both")
        return self


class ModelView(View):
    """A registered model."""

    ref: str = Field(examples=["carton@2"])
    sha256: str = Field(description="Of the weights.")
    size_bytes: int
    state: ModelState
    registered_at: datetime
    registered_by: str
    licence: str
    head: str = Field(description="How its output is laid out; `classify` names pictures, all others find boxes.")
    classes: list[str]
    metrics: dict[str, Any] = Field(description="What its maker measured.")
    serves_as: str | None = Field(description="`incumbent`, `canary` or `shadow`; null: it does not serve.")


class ModelList(View):
    """By name, the newest version first."""

    items: list[ModelView]


class ModelEventView(View):
    """One step in a model's life."""

    at: datetime
    actor: str
    action: str = Field(examples=["model.approved"])
    body: dict[str, Any]


class ModelDetailView(ModelView):
    """With everything that stands in its manifest, and its history."""

    manifest: str = Field(description="TOML.")
    check: dict[str, Any] = Field(description="What the last check against the reference engine found.")
    events: list[ModelEventView] = Field(description="Oldest first.")


class DeploymentView(View):
    """What was to serve from then on."""

    number: int
    state: DeploymentState = Field(description="`pending`: the workers load it, what served before still does.")
    detail: str = Field(description="Why it failed, or why it was ordered.")
    actor: str
    since: datetime
    activated_at: datetime | None
    incumbent: str
    canary: str | None
    canary_share: float = Field(description="Of the cameras.")
    shadow: str | None


class TallyView(View):
    """What one model did since the deployment that serves became active."""

    images: int
    ends: dict[str, int] = Field(description="By verdict, or `failed`.")
    inference_ms: float = Field(description="The mean.")


class ComparedClassView(View):
    """Boxes of one class."""

    decider: int
    shadow: int


class ComparisonView(View):
    """The shadow's boxes of at least 0.3 against those of the model that decided."""

    model: str
    images: int = Field(description="That both saw.")
    agreed: int = Field(description="In which both found the same number of boxes of every class.")
    classes: dict[str, ComparedClassView]


class DeploymentList(View):
    """Newest first."""

    items: list[DeploymentView]
    serving: int | None = Field(description="The number of the one that serves.")
    tallies: dict[str, TallyView] | None = Field(description="By model, since then; null unless asked for.")
    comparison: ComparisonView | None = Field(
        description="Of the shadow that looks on; null unless asked for, and without one."
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the deployment that serves, where they were asked for."""

    tallies: Mapping[str, Tally] | None = None
    shadow: str = ""
    comparison: ShadowComparison | None = None


def model_document(model: RegisteredModel, serving: Rollout | None) -> dict[str, Any]:
    """As `ModelView`."""
    manifest = ModelManifest.parse(model.manifest, model.ref)
    roles = serving.roles if serving else {}
    return {
        "ref": model.ref,
        "sha256": model.sha256,
        "size_bytes": model.size_bytes,
        "state": model.state,
        "registered_at": moment(model.registered_at),
        "registered_by": model.registered_by,
        "licence": manifest.licence,
        "head": manifest.head,
        "classes": list(manifest.classes),
        "metrics": _json(manifest.metrics),
        "serves_as": next((role for role, key in roles.items() if key == model.key), None),
    }


def model_detail_document(model: RegisteredModel, serving: Rollout | None, events: list[ModelEvent]) -> dict[str, Any]:
    """As `ModelDetailView`."""
    return model_document(model, serving) | {
        "manifest": model.manifest,
        "check": _json(ModelManifest.parse(model.manifest, model.ref).check),
        "events": [
            {"at": moment(one.at), "actor": one.actor, "action": one.action, "body": _json(one.body)} for one in events
        ],
    }


def deployment_document(deployment: Deployment) -> dict[str, Any]:
    """As `DeploymentView`."""
    rollout = deployment.rollout
    return {
        "number": deployment.number,
        "state": deployment.state,
        "detail": deployment.detail,
        "actor": deployment.actor,
        "since": moment(deployment.since),
        "activated_at": moment(deployment.activated_at),
        "incumbent": rollout.incumbent.ref,
        "canary": rollout.canary and rollout.canary.ref,
        "canary_share": rollout.canary_share,
        "shadow": rollout.shadow and rollout.shadow.ref,
    }


def deployments_document(found: list[Deployment], serving: Deployment | None, figures: Figures) -> dict[str, Any]:
    """As `DeploymentList`."""
    tallies, compared = figures.tallies, figures.comparison
    return {
        "items": [deployment_document(one) for one in found],
        "serving": serving and serving.number,
        "tallies": None if tallies is None else {ref: _tally(one) for ref, one in tallies.items()},
        "comparison": compared
        and {
            "model": figures.shadow,
            "images": compared.images,
            "agreed": compared.agreed,
            "classes": {name: {"decider": a, "shadow": b} for name, (a, b) in compared.classes.items()},
        },
    }


def _tally(tally: Tally) -> dict[str, Any]:
    return {"images": tally.images, "ends": dict(tally.ends), "inference_ms": round(tally.inference_ms, 2)}


def _json(value: Any) -> Any:
    """TOML has dates."""
    if isinstance(value, Mapping):
        return {str(name): _json(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_json(entry) for entry in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
