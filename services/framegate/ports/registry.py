"""The model registry: what models there are, who vouches for them, which of them serve, and how they compare."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, Self

from framegate.kernel.detections import Detections
from framegate.kernel.errors import ModelRefused
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.rollout import ModelKey, ModelState, Rollout


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model whose weights are durable under `blob_key`."""

    name: str
    version: str
    sha256: str  #: of the weights
    size_bytes: int
    blob_key: str
    manifest: str  #: TOML, see `framegate.kernel.manifest`

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


def taken(ref: str) -> ModelRefused:
    """What `Registry.register` raises for a ref that stands for something else."""
    return ModelRefused(f"{ref} is registered with other weights or another manifest: import this one as a new version")


def unknown(ref: str) -> ModelRefused:
    """What every method raises for a ref that nobody registered."""
    return ModelRefused(
        f"there is no model {ref}: 'framegate models list' shows them, 'framegate models import' adds one"
    )


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model as it stands in the registry."""

    ref: str
    sha256: str
    size_bytes: int
    blob_key: str
    manifest: str
    state: ModelState
    registered_at: datetime
    registered_by: str

    @property
    def key(self) -> ModelKey:
        """What a rollout calls it."""
        return ModelKey(self.ref, self.sha256)


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """One step in a model's life, from the audit."""

    at: datetime
    actor: str
    action: str
    body: Mapping[str, Any]


#: How lately an inference worker must have been seen to be waited for by a new deployment.
ALIVE = timedelta(seconds=15)
#: Confidence from which boxes count where people compare a shadow.
CLEAR = 0.3


class DeploymentState(StrEnum):
    """How far a deployment has come."""

    PENDING = "pending"  #: the workers load its models beside the old ones
    ACTIVE = "active"  #: it serves
    FAILED = "failed"  #: a worker could not load it: what served before still does
    ENDED = "ended"  #: another one took its place


@dataclass(frozen=True, slots=True)
class Deployment:
    """A rollout that was ordered; `number` grows."""

    number: int
    rollout: Rollout
    state: DeploymentState
    detail: str  #: why it failed, or why it was ordered
    actor: str
    since: datetime
    activated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Tally:
    """What one model did since a deployment became active."""

    ends: Mapping[str, int]  #: by verdict, or `failed`
    inference_ms: float  #: the mean

    @property
    def images(self) -> int:
        """All of them."""
        return sum(self.ends.values())

    def share(self, end: str) -> float:
        """The share of `end`, 0 without images."""
        return self.ends.get(end, 0) / max(1, self.images)

    @classmethod
    def of(cls, ends: Mapping[str, int], inference_ms: float) -> Self:
        """From counts and the sum of the time."""
        return cls(dict(ends), inference_ms / max(1, sum(ends.values())))


@dataclass(frozen=True, slots=True)
class ShadowResult:
    """What a shadow found in an image that another model decided."""

    facility: FacilityId
    image_id: ImageId
    model: ModelKey
    engine: str
    detections: Detections
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShadowComparison:
    """The shadow's boxes against those of the model that decided, over the images that both saw.

    Boxes count from the confidence that was asked for; `agreed` images have the same number of them in every class.
    """

    images: int
    agreed: int
    classes: Mapping[str, tuple[int, int]]  #: class -> boxes of the decider, boxes of the shadow


def compared(pairs: Iterable[tuple[Iterable[str], Iterable[str]]]) -> ShadowComparison:
    """From the classes of the clear boxes on either side, one pair an image."""
    images = agreed = 0
    ours, theirs = Counter[str](), Counter[str]()
    for decider, shadow in pairs:
        left, right = Counter(decider), Counter(shadow)
        images, agreed = images + 1, agreed + (left == right)
        ours, theirs = ours + left, theirs + right
    return ShadowComparison(images, agreed, {name: (ours[name], theirs[name]) for name in sorted(ours | theirs)})


class Registry(Protocol):
    """Models and deployments. Every step is audited. Methods raise `ModelRefused` for what is not allowed."""

    def register(self, model: NewModel, actor: str) -> RegisteredModel:
        """The same weights and manifest again return what there is, amended or not; else a taken ref is refused."""
        ...

    def model(self, ref: str) -> RegisteredModel | None:
        """`name@version`."""
        ...

    def models(self) -> list[RegisteredModel]:
        """By name, the newest version first."""
        ...

    def events(self, ref: str) -> list[ModelEvent]:
        """Oldest first."""
        ...

    def advance(
        self, ref: str, to: ModelState, actor: str, body: Mapping[str, Any], manifest: str | None = None
    ) -> RegisteredModel:
        """Validates (with the `manifest` that the check amended) or approves."""
        ...

    def order(self, rollout: Rollout, actor: str, detail: str = "") -> Deployment:
        """Orders a deployment; an older pending one ends. Deciding models must be approved, a shadow validated.

        Active at once when nothing serves yet or no inference worker lives that would have to load it first.
        """
        ...

    def deployment(self, number: int | None = None) -> Deployment | None:
        """That one, or the newest whatever its state."""
        ...

    def active(self) -> Deployment | None:
        """The one that serves."""
        ...

    def deployments(self, limit: int = 20) -> list[Deployment]:
        """Newest first."""
        ...

    def report_load(self, number: int, worker: str, problem: str) -> None:
        """An inference worker has loaded what the deployment needs, or (`problem`) could not."""
        ...

    def settle(self, number: int) -> Deployment:
        """Makes a pending deployment active when every inference worker seen within `ALIVE` has loaded it, and failed when
        one could not; otherwise changes nothing.
        """
        ...

    def report_serving(self, number: int, worker: str) -> None:
        """From its next batch on, an inference worker serves this active deployment."""
        ...

    def awaited(self, number: int) -> frozenset[str]:
        """The inference workers seen within `ALIVE` that have not said yet that they serve it: the old one still decides."""
        ...

    def tally(self, number: int) -> dict[str, Tally]:
        """By `name@version`: what was decided since that deployment became active."""
        ...


class Shadows(Protocol):
    """Results that decide nothing."""

    def record_shadow(self, results: Sequence[ShadowResult]) -> None:
        """Repeating it changes nothing."""
        ...

    def compare_shadow(self, model: ModelKey, confidence: float) -> ShadowComparison:
        """Over all images it saw whose outcome rests on one look, as its own does; boxes from `confidence` on count."""
        ...
