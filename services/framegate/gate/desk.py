"""The way of a policy into force: looked at against what is there, tried on what was decided, then applied."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, Self

from framegate.gate.admission import Known, cameras_without_a_pass, nothing_passes, unknown_names
from framegate.gate.document import Document
from framegate.gate.policy import Policy
from framegate.gate.simulate import Simulation, ended_since
from framegate.kernel.chain import Chains
from framegate.kernel.errors import ModelRefused
from framegate.kernel.ids import FacilityId
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.policies import EverythingForPeople
from framegate.kernel.rollout import check_link
from framegate.ports.registry import Registry, unknown
from framegate.ports.store import Cameras, Policies, PolicyVersion, Results

#: What a policy is tried on before it is applied.
LATELY: Final = timedelta(days=7)
_SAMPLE: Final = 2000
_ENOUGH: Final = 20  #: fewer images prove nothing about all
_EVERYTHING: Final = 0.95


class _Stores(Protocol):
    @property
    def policies(self) -> Policies: ...
    @property
    def cameras(self) -> Cameras: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def results(self) -> Results: ...


@dataclass(frozen=True, slots=True)
class Admission:
    """A policy that names only what is there. Whether it may be applied, `everything` decides."""

    document: Document
    policy: Policy
    base: PolicyVersion | None  #: what holds now, which the policy was compared with
    everything: str | None  #: why people would have to look at everything
    notes: tuple[str, ...]
    tried: Simulation

    @property
    def expected(self) -> int:
        """For `Policies.add_policy`."""
        return self.base.version if self.base else 0

    def insist(self, *, force: bool) -> None:
        """Raises `EverythingForPeople`, except by force."""
        if self.everything is not None and not force:
            raise EverythingForPeople(
                f"{self.document.where}: everything would go to people: {self.everything}. Change it, or apply it all the "
                "same with --force"
            )


@dataclass(frozen=True, slots=True)
class PolicyDesk:
    """Where the policies of a facility are changed."""

    facility: FacilityId
    policies: Policies
    cameras: Cameras
    registry: Registry
    results: Results

    @classmethod
    def of(cls, stores: _Stores, facility: FacilityId) -> Self:
        """Over the stores of a box."""
        return cls(facility, stores.policies, stores.cameras, stores.registry, stores.results)

    def admit(self, document: Document, now: datetime, models: Iterable[ModelManifest] = ()) -> Admission:
        """`models`: detectors that are to serve, beside those that do. Raises `PolicyRefused` for names of nothing."""
        detectors, known = self.check_names(document, models)
        base = self.policies.current_policy(self.facility)
        policy = Policy.parse((base.version if base else 0) + 1, document.raw)
        tried = Simulation(policy, parsed(base))
        for record in ended_since(self.results, self.facility, now - LATELY, _SAMPLE):
            tried.add(record)
        notes = [] if detectors else ["No model serves yet: the names of classes were not checked."]
        if hopeless := cameras_without_a_pass(policy, known.classes):
            notes.append(f"No image of {', '.join(hopeless)} can pass by its own rules.")
        everything = nothing_passes(policy, known.classes) or _all_reviewed(tried)
        return Admission(document, policy, base, everything, (*notes, *_blind(policy, detectors)), tried)

    def check_names(
        self, document: Document, models: Iterable[ModelManifest] = ()
    ) -> tuple[list[ModelManifest], Known]:
        """The detectors, and what there is to name. Raises `PolicyRefused`, `ConfigurationError` for what is no policy."""
        Policy.parse(0, document.raw)
        detectors = [*self._serving(), *models]
        known = self._known(document.raw, detectors)
        if problems := unknown_names(document.raw, known):
            raise document.refusal(problems)
        return detectors, known

    def apply(self, admission: Admission, actor: str) -> PolicyVersion:
        """Raises `PolicyConflict` when another policy was applied since it was admitted."""
        raw = admission.document.raw
        return self.policies.add_policy(self.facility, raw, actor, expected=admission.expected)

    def _serving(self) -> list[ModelManifest]:
        active = self.registry.active()
        found = [self.registry.model(key.ref) for key in active.rollout.models] if active else []
        return [ModelManifest.parse(model.manifest, model.ref) for model in found if model is not None]

    def _known(self, raw: Mapping[str, Any], detectors: Iterable[ModelManifest]) -> Known:
        classes = frozenset(name for manifest in detectors for name in manifest.classes)
        chained = {ref: self._classifier(ref) for ref in Chains.parse(raw).models}
        cameras = frozenset(str(camera.id) for camera in self.cameras.cameras(frozenset({self.facility})))
        return Known(classes, chained, cameras)

    def _classifier(self, ref: str) -> frozenset[str] | str:
        """Its classes, or why it cannot be part of a chain."""
        model = self.registry.model(ref)
        try:
            if model is None:
                raise unknown(ref)
            check_link(ref, model.state)
            manifest = ModelManifest.parse(model.manifest, ref)
        except ModelRefused as error:
            return str(error)
        if manifest.task != "classify":
            return f"{ref} finds boxes: a chain takes classifiers, with the head classify"
        return frozenset(manifest.classes)


def parsed(version: PolicyVersion | None) -> Policy | None:
    """Of a version that is stored."""
    return None if version is None else Policy.parse(version.version, version.document)


def _all_reviewed(tried: Simulation) -> str | None:
    reviews, images = tried.confirmed
    if images < _ENOUGH or reviews < _EVERYTHING * images:
        return None
    return f"of the newest {images} decided images of confirmed cameras, {reviews} would"


def _blind(policy: Policy, detectors: Iterable[ModelManifest]) -> list[str]:
    """Thresholds under what a model reports have no effect, which nobody sees."""
    notes = []
    for manifest in detectors:
        for name in manifest.classes:
            review = policy.rules.thresholds(name).review
            if review is not None and 0 < review < manifest.floor:
                notes.append(
                    f"{manifest.ref} reports nothing below {manifest.floor:g}: the threshold {review:g} for review of "
                    f"{name} is the same as {manifest.floor:g}."
                )
    return notes
