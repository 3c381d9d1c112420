"""The model registry in memory."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from framegate.adapters.memory.registry import MemoryWorkers
from framegate.adapters.memory.state import MemoryState
from framegate.kernel.detections import Detections
from framegate.kernel.errors import ModelRefused
from framegate.kernel.ids import DEFAULT_FACILITY, ImageId
from framegate.kernel.inspection import Failed, Inspected
from framegate.kernel.rollout import ModelKey, ModelState, Rollout, check_step
from framegate.kernel.states import ImageState, Stage
from framegate.ports.registry import (
    ALIVE,
    Deployment,
    DeploymentState,
    ModelEvent,
    NewModel,
    RegisteredModel,
    ShadowComparison,
    ShadowResult,
    Tally,
    compared,
    taken,
    unknown,
)


@dataclass(slots=True)
class _Entry:
    model: RegisteredModel
    new: NewModel


@dataclass(slots=True)
class _Loads:
    deployment: Deployment
    problems: dict[str, str] = field(default_factory=dict)
    serving: set[str] = field(default_factory=set)


class MemoryRegistry:
    """`Registry`. Safe for use from several threads."""

    def __init__(self, state: MemoryState, workers: MemoryWorkers) -> None:
        self._state, self._workers = state, workers
        self._models: dict[str, _Entry] = {}
        self._deployments: list[_Loads] = []

    def register(self, model: NewModel, actor: str) -> RegisteredModel:
        """See the port."""
        with self._state.lock:
            known = self._models.get(model.ref)
            if known is None:
                registered = RegisteredModel(
                    model.ref, model.sha256, model.size_bytes, model.blob_key, model.manifest, ModelState.REGISTERED,
                    self._state.now(), actor,
                )  # fmt: skip
                self._models[model.ref] = known = _Entry(registered, model)
                self._note(actor, "model.registered", model.ref, {"sha256": model.sha256})
            elif (known.new.sha256, known.new.manifest) != (model.sha256, model.manifest):
                raise taken(model.ref)
            return known.model

    def model(self, ref: str) -> RegisteredModel | None:
        """See the port."""
        with self._state.lock:
            known = self._models.get(ref)
            return None if known is None else known.model

    def models(self) -> list[RegisteredModel]:
        """See the port."""
        with self._state.lock:
            newest_first = reversed(self._models.values())
            return sorted((entry.model for entry in newest_first), key=lambda model: model.ref.partition("@")[0])

    def events(self, ref: str) -> list[ModelEvent]:
        """See the port."""
        with self._state.lock:
            about = (e for e in self._state.audit if e.object == ref and e.action.startswith("model."))
            return [ModelEvent(entry.at, entry.actor, entry.action, entry.body) for entry in about]

    def advance(
        self, ref: str, to: ModelState, actor: str, body: Mapping[str, Any], manifest: str | None = None
    ) -> RegisteredModel:
        """See the port."""
        with self._state.lock:
            known = self._must(ref)
            check_step(ref, known.state, to)
            self._set(replace(known, state=to, manifest=known.manifest if manifest is None else manifest))
            self._note(actor, f"model.{to}", ref, body)
            return self._must(ref)

    def order(self, rollout: Rollout, actor: str, detail: str = "") -> Deployment:
        """See the port."""
        with self._state.lock:
            for key in rollout.models:
                known = self._must(key.ref)
                rollout.check(key, known.key, known.state)
            self._end(DeploymentState.PENDING)
            number = len(self._deployments) + 1
            ordered = Deployment(
                number, rollout, DeploymentState.PENDING, detail, actor, self._state.now(), activated_at=None
            )
            self._deployments.append(_Loads(ordered))
            for role, key in rollout.roles.items():
                body = {"deployment": number, "detail": detail}
                self._note(actor, f"model.ordered.{role}", key.ref, body)
            if self.active() is None or not self._alive():
                self._activate(self._deployments[-1])
            return self._deployments[-1].deployment

    def deployment(self, number: int | None = None) -> Deployment | None:
        """See the port."""
        with self._state.lock:
            found = [d.deployment for d in self._deployments if number in (None, d.deployment.number)]
            return found[-1] if found else None

    def active(self) -> Deployment | None:
        """See the port."""
        with self._state.lock:
            found = [d.deployment for d in self._deployments if d.deployment.state is DeploymentState.ACTIVE]
            return found[0] if found else None

    def deployments(self, limit: int = 20) -> list[Deployment]:
        """See the port."""
        with self._state.lock:
            return [d.deployment for d in reversed(self._deployments)][:limit]

    def report_load(self, number: int, worker: str, problem: str) -> None:
        """See the port."""
        with self._state.lock:
            self._entry(number).problems[worker] = problem

    def settle(self, number: int) -> Deployment:
        """See the port."""
        with self._state.lock:
            entry = self._entry(number)
            if entry.deployment.state is DeploymentState.PENDING:
                problems = [f"{worker}: {problem}" for worker, problem in sorted(entry.problems.items()) if problem]
                if problems:
                    detail = "; ".join(problems)
                    entry.deployment = replace(entry.deployment, state=DeploymentState.FAILED, detail=detail)
                    for key in entry.deployment.rollout.models:
                        body = {"deployment": number, "problems": problems}
                        self._note("framegate", "model.not-loaded", key.ref, body)
                elif self._alive() <= entry.problems.keys():
                    self._activate(entry)
            return entry.deployment

    def report_serving(self, number: int, worker: str) -> None:
        """See the port."""
        with self._state.lock:
            self._entry(number).serving.add(worker)

    def awaited(self, number: int) -> frozenset[str]:
        """See the port."""
        with self._state.lock:
            return frozenset(self._alive() - self._entry(number).serving)

    def tally(self, number: int) -> dict[str, Tally]:
        """See the port."""
        with self._state.lock:
            began = self._entry(number).deployment.activated_at
            ends: defaultdict[str, Counter[str]] = defaultdict(Counter)
            spent: Counter[str] = Counter()
            for row in self._state.images.values():
                finding = row.finding
                if (
                    began
                    and row.end
                    and row.end.at >= began
                    and isinstance(finding, Inspected | Failed)
                    and finding.model
                ):
                    ends[finding.model][row.end.outcome.verdict or row.end.outcome.state] += 1
                    spent[finding.model] += row.work_ms.get("inference", 0.0)  # type: ignore[assignment]
            return {ref: Tally.of(counts, spent[ref]) for ref, counts in ends.items()}

    def _activate(self, entry: _Loads) -> None:
        self._end(DeploymentState.ACTIVE)
        entry.deployment = replace(entry.deployment, state=DeploymentState.ACTIVE, activated_at=self._state.now())
        ordered, rollout = entry.deployment, entry.deployment.rollout
        self._state.serving = (rollout.incumbent.ref, rollout.incumbent.sha256)
        for known in list(self._models.values()):
            if known.model.key in rollout.deciding:
                self._set(replace(known.model, state=ModelState.DEPLOYED))
            elif known.model.state is ModelState.DEPLOYED:
                self._set(replace(known.model, state=ModelState.RETIRED))
                self._note(ordered.actor, "model.retired", known.model.ref, {"deployment": ordered.number})
        for role, key in rollout.roles.items():
            body = {"deployment": ordered.number, "sha256": key.sha256}
            self._note(ordered.actor, f"model.serving.{role}", key.ref, body)

    def _end(self, state: DeploymentState) -> None:
        for entry in self._deployments:
            if entry.deployment.state is state:
                entry.deployment = replace(entry.deployment, state=DeploymentState.ENDED)

    def _alive(self) -> set[str]:
        return {s.name for s in self._workers.statuses(ALIVE) if str(Stage.INFERENCE) in s.stages}

    def _entry(self, number: int) -> _Loads:
        if not 1 <= number <= len(self._deployments):
            raise ModelRefused(f"there is no deployment {number}")
        return self._deployments[number - 1]

    def _must(self, ref: str) -> RegisteredModel:
        known = self._models.get(ref)
        if known is None:
            raise unknown(ref)
        return known.model

    def _set(self, model: RegisteredModel) -> None:
        self._models[model.ref].model = model

    def _note(self, actor: str, action: str, ref: str, body: Mapping[str, Any]) -> None:
        self._state.record(DEFAULT_FACILITY, actor, action, ref, body)


class MemoryShadows:
    """`Shadows`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self._results: dict[tuple[ImageId, str], ShadowResult] = {}

    def record_shadow(self, results: Sequence[ShadowResult]) -> None:
        """See the port."""
        with self._state.lock:
            for result in results:
                self._results.setdefault((result.image_id, result.model.sha256), result)

    def compare_shadow(self, model: ModelKey, confidence: float) -> ShadowComparison:
        """See the port."""
        with self._state.lock:
            seen = [r for (_, sha256), r in self._results.items() if sha256 == model.sha256]
            pairs = [
                (
                    _clear(row.finding.classes, row.finding.detections, confidence),
                    _clear(r.classes, r.detections, confidence),
                )
                for r in seen
                if (row := self._state.images[r.image_id]).state is ImageState.DECIDED
                and not (row.end and row.end.outcome.looks)
                and isinstance(row.finding, Inspected)
            ]
        return compared(pairs)


def _clear(classes: Sequence[str], detections: Detections, confidence: float) -> list[str]:
    return [name for name, conf in zip(classes, detections.confidence, strict=True) if conf >= confidence]
