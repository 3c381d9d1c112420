"""Which model serves which camera, and the states that a registered model goes through."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from framegate.kernel.errors import ModelRefused
from framegate.kernel.ids import CameraId, FacilityId


class ModelState(StrEnum):
    """How far people trust a registered model."""

    REGISTERED = "registered"  #: its files are complete and agree with each other
    VALIDATED = "validated"  #: `framegate models check` compared it with the reference engine
    APPROVED = "approved"  #: somebody takes the responsibility, by name
    DEPLOYED = "deployed"  #: decides images, of all cameras or of the canary's
    RETIRED = "retired"  #: decided images once; may be deployed again


#: From which states a model may come into each; deploying and retiring follow from deployments alone.
_FROM: Final[Mapping[ModelState, frozenset[ModelState]]] = {
    ModelState.REGISTERED: frozenset(),
    ModelState.VALIDATED: frozenset({ModelState.REGISTERED, ModelState.VALIDATED}),
    ModelState.APPROVED: frozenset({ModelState.VALIDATED, ModelState.APPROVED}),
    ModelState.DEPLOYED: frozenset({ModelState.APPROVED, ModelState.DEPLOYED, ModelState.RETIRED}),
    ModelState.RETIRED: frozenset({ModelState.DEPLOYED}),
}
_REMEDY: Final[Mapping[ModelState, str]] = {
    ModelState.REGISTERED: "run 'framegate models check {ref}' first",
    ModelState.VALIDATED: "run 'framegate models approve {ref} --by NAME' first",
    ModelState.APPROVED: "deploy it with 'framegate models deploy {ref}'",
    ModelState.DEPLOYED: "it serves; import a changed model under a new version",
    ModelState.RETIRED: "it decided images before; deploy it again or import it under a new version",
}


def check_step(ref: str, state: ModelState, to: ModelState) -> None:
    """Raises `ModelRefused` with the remedy when a model in `state` may not become `to`."""
    if state not in _FROM[to]:
        raise ModelRefused(f"{ref} is {state} and cannot become {to}: {_REMEDY[state].format(ref=ref)}")


def check_link(ref: str, state: ModelState) -> None:
    """Raises `ModelRefused` with the remedy when a model in `state` may not be part of a policy's chain."""
    if state not in _FROM[ModelState.DEPLOYED]:
        raise ModelRefused(f"{ref} is {state} and cannot be in a chain: {_REMEDY[state].format(ref=ref)}")


@dataclass(frozen=True, slots=True)
class ModelKey:
    """A registered model: its `name@version`, and the sha256 of its weights that it is loaded by."""

    ref: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """The incumbent decides the images of every camera outside the canary's share; the shadow decides nothing."""

    incumbent: ModelKey
    canary: ModelKey | None = None
    canary_share: float = 0.0  #: of the cameras, 0..1
    shadow: ModelKey | None = None

    def __post_init__(self) -> None:
        """Refuses a share without a canary, and roles that are all the same model."""
        if not 0 <= self.canary_share <= 1 or (self.canary is None) != (self.canary_share == 0):
            raise ModelRefused("a canary takes a share of the cameras above 0 % and up to 100 %")
        if self.incumbent in (self.canary, self.shadow):
            raise ModelRefused(f"{self.incumbent.ref} serves already: it cannot be compared with itself")

    @property
    def deciding(self) -> tuple[ModelKey, ...]:
        """The models whose word counts."""
        return (self.incumbent,) if self.canary is None else (self.incumbent, self.canary)

    @property
    def roles(self) -> dict[str, ModelKey]:
        """incumbent, and canary and shadow where there are any."""
        named = {"incumbent": self.incumbent, "canary": self.canary, "shadow": self.shadow}
        return {role: key for role, key in named.items() if key is not None}

    def check(self, key: ModelKey, registered: ModelKey, state: ModelState) -> None:
        """Raises `ModelRefused`: models that decide must be approved, a shadow need only be validated."""
        if key != registered:
            raise ModelRefused(f"{key.ref} has other weights than the deployment names: look it up again")
        if key in self.deciding:
            check_step(key.ref, state, ModelState.DEPLOYED)
        elif state is ModelState.REGISTERED:
            raise ModelRefused(f"{key.ref} is {state} and cannot be a shadow: {_REMEDY[state].format(ref=key.ref)}")

    @property
    def models(self) -> tuple[ModelKey, ...]:
        """All that must be loaded."""
        return self.deciding if self.shadow is None else (*self.deciding, self.shadow)

    def model_for(self, facility: FacilityId, camera: CameraId) -> ModelKey:
        """Always the same one for a camera: its hash decides, so that its verdicts do not flicker between two models.

        A larger share keeps every camera that a smaller one had; another canary gets other cameras.
        """
        if self.canary is None:
            return self.incumbent
        digest = hashlib.sha256(f"{self.canary.sha256}/{facility}/{camera}".encode()).digest()
        return self.canary if int.from_bytes(digest[:8], "big") < self.canary_share * 2**64 else self.incumbent
