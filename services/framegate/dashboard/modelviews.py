"""What the pages of models show."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from framegate.dashboard.drifting import DriftView
from framegate.kernel.manifest import ClassThresholds, ModelManifest
from framegate.kernel.rollout import ModelState, Rollout
from framegate.ports.registry import Deployment, ModelEvent, RegisteredModel, ShadowComparison, Tally

#: The figures that models are known by, and what they say.
_OVERALL: Final = {
    "map50": ("Boxes found in the right place", "mAP at 50 % overlap; 100 % is perfect"),
    "map50_95": ("Boxes found exactly in place", "mAP at 50 to 95 % overlap; always lower than the one above"),
}
_OF_A_CLASS: Final = ("ap50", "precision", "recall")
#: Values longer than this are for the manifest, not for a list of facts.
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class Fact:
    """A name, a text, and what it means where that is not plain."""

    name: str
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """What a model's maker measured of one class (0..1), and suggests for it."""

    name: str
    ap50: float | None
    precision: float | None
    recall: float | None
    suggested: ClassThresholds | None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in the list. `role` is empty where it does not serve; it `drifts` at these facilities."""

    model: RegisteredModel
    role: str
    map50: float | None
    licence: str
    drifts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Trial:
    """What the incumbent and the canary decided since the canary serves; absent where they decided nothing yet."""

    tallies: Sequence[tuple[str, str, Tally]]  #: role, model, what it did


@dataclass(frozen=True, slots=True)
class Serving:
    """What serves, what is on its way, and who is still to follow."""

    active: Deployment | None
    newest: Deployment | None  #: whatever its state
    workers: int  #: inference workers that live
    awaited: Sequence[str]  #: those of them that do not serve the newest, or the active, yet

    @property
    def pending(self) -> Deployment | None:
        """What the workers load."""
        return self.newest if self.newest is not None and self.newest.state == "pending" else None

    @property
    def failed(self) -> Deployment | None:
        """What a worker could not load, and nobody has ordered anything since."""
        return self.newest if self.newest is not None and self.newest.state == "failed" else None

    @property
    def unsettled(self) -> bool:
        """Whether it will change by itself."""
        return self.pending is not None or bool(self.awaited)


@dataclass(frozen=True, slots=True)
class ModelsView:
    """`manages`: may change what serves. `back`: what a rollback brings, None where there is nothing to go back to."""

    serving: Serving
    rows: Sequence[ModelRow]
    history: Sequence[Deployment]
    manages: bool
    sees_figures: bool
    back: Rollout | None
    trial: Trial | None
    shadow: ShadowComparison | None

    @property
    def most_boxes(self) -> int:
        """Of a class on either side of the comparison: the longest bar."""
        return max((n for pair in self.shadow.classes.values() for n in pair), default=0) if self.shadow else 0


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model, with everything that is known of it."""

    model: RegisteredModel
    manifest: ModelManifest
    role: str
    incumbent: str  #: what decides now; empty: nothing does
    pending: bool
    manages: bool
    overall: Sequence[Fact]
    classes: Sequence[ClassFigures]
    others: Sequence[Fact]
    data: Sequence[Fact]
    check: Sequence[Fact]
    description: str
    events: Sequence[ModelEvent]
    drifts: Sequence[DriftView]  #: of each facility of which it has decided images

    @property
    def approvable(self) -> bool:
        """Whether somebody may vouch for it now."""
        return self.model.state is ModelState.VALIDATED

    @property
    def decides(self) -> bool:
        """Whether it may decide images."""
        return self.model.state in (ModelState.APPROVED, ModelState.DEPLOYED, ModelState.RETIRED)

    @property
    def deployable(self) -> bool:
        """Whether it can serve in any way."""
        finds_boxes = self.manifest.task == "detect"
        return finds_boxes and self.model.state is not ModelState.REGISTERED and self.role != "incumbent"


def role_of(model: RegisteredModel, rollout: Rollout | None) -> str:
    """What it serves as; empty: it does not."""
    roles = rollout.roles if rollout else {}
    return next((role for role, key in roles.items() if key == model.key), "")


def model_row(model: RegisteredModel, rollout: Rollout | None, drifts: Sequence[str]) -> ModelRow:
    """Raises `ModelRefused` for a manifest that no release wrote."""
    manifest = ModelManifest.parse(model.manifest, model.ref)
    map50 = _share(manifest.metrics.get("map50"))
    return ModelRow(model, role_of(model, rollout), map50, manifest.licence, drifts)


def model_view(
    model: RegisteredModel,
    serving: Serving,
    events: Sequence[ModelEvent],
    drifts: Sequence[DriftView],
    *,
    manages: bool,
) -> ModelView:
    """Likewise."""
    manifest = ModelManifest.parse(model.manifest, model.ref)
    raw = tomllib.loads(model.manifest)
    metrics = dict(manifest.metrics)
    overall = [
        Fact(label, f"{100 * share:.1f} %", hint)
        for name, (label, hint) in _OVERALL.items()
        if (share := _share(metrics.pop(name, None))) is not None
    ]
    classes = []
    for name in manifest.classes:
        ap50, precision, recall = (_share(metrics.pop(f"{name}_{figure}", None)) for figure in _OF_A_CLASS)
        classes.append(ClassFigures(name, ap50, precision, recall, manifest.thresholds.get(name)))
    rollout = serving.active.rollout if serving.active else None
    return ModelView(
        model, manifest, role_of(model, rollout), rollout.incumbent.ref if rollout else "", serving.pending is not None,
        manages, overall, classes, facts(metrics), facts(raw.get("data", {})), facts(manifest.check),
        str(raw.get("description", "")), events, drifts,
    )  # fmt: skip


def facts(raw: Any, before: str = "") -> list[Fact]:
    """Every entry, those inside others with the names of both."""
    if not isinstance(raw, Mapping):
        return []
    found: list[Fact] = []
    for name, value in raw.items():
        label = f"{before} {name}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            found += facts(value, label)
        else:
            found.append(Fact(label, _text(value)[:_LONGEST]))
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value)


def _share(value: Any) -> float | None:
    """A figure between 0 and 1; what makers write instead is for the list of other figures."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if usable else None
