"""What is known of cameras and models that may drift, and where that is kept. See `framegate.kernel.drift`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol, Self
from uuid import UUID

from framegate.kernel.drift_features import Kind, Part, Seen, counted, feature
from framegate.kernel.drift_reference import Block, Level, Reference, Score
from framegate.kernel.ids import FacilityId, ImageId


@dataclass(frozen=True, slots=True)
class DriftLimits:
    """When it is drift. See docs/drift.md for where the values come from."""

    window_images: int = 150  #: of a window, at least
    window_s: float = 300.0  #: and that it must last, at least
    window_most_s: float = 86_400.0  #: then it ends with what it has, if that is `least`
    least: int = 50  #: images or boxes that a feature must have in a window
    learn_s: float = 7 * 86_400.0  #: for how long a reference is learnt, at least
    learn_images: int = 1500  #: and from how many images
    learn_windows: int = 10
    effect: float = 0.2  #: PSI beyond that of usual windows
    rate: float = 0.01  #: false discoveries among what stands out in one window
    hits: int = 2  #: windows that stand out,
    of: int = 3  #: of so many in a row
    calm: int = 3  #: windows in a row below half of `effect` that end it


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What may drift: `name` is a camera, or a model as name@version."""

    facility: FacilityId
    kind: Kind
    name: str

    def __str__(self) -> str:
        """The subject of its incident."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A feature that left what is usual; the numbers are of the window in which that became certain."""

    finding_id: UUID
    subject: Subject
    feature: str
    began_at: datetime
    ended_at: datetime | None
    psi: float
    js: float
    p: float
    size: int
    limit: float
    labels: tuple[str, ...]  #: groups of values
    expected: tuple[float, ...]  #: the share of each in the reference
    seen: tuple[float, ...]  #: and in the window
    moved: tuple[ImageId, ...]  #: of the values that became more, the most telling first

    @property
    def title(self) -> str:
        """Of its feature."""
        return feature(self.feature).title

    def to_json(self) -> dict[str, Any]:
        """All but what it is about and when."""
        numbers = {"psi": self.psi, "js": self.js, "p": self.p, "size": self.size, "limit": self.limit}
        groups = {"labels": self.labels, "expected": self.expected, "seen": self.seen}
        return numbers | {name: list(values) for name, values in groups.items()} | {"moved": list(map(str, self.moved))}

    @classmethod
    def from_json(
        cls, finding_id: UUID, subject: Subject, feature: str, times: tuple[datetime, datetime | None], raw: Any
    ) -> Self:
        """Reverses `to_json`."""
        numbers = raw["psi"], raw["js"], raw["p"], raw["size"], raw["limit"]
        groups = tuple(raw["labels"]), tuple(raw["expected"]), tuple(raw["seen"])
        moved = tuple(ImageId(UUID(image)) for image in raw["moved"])
        return cls(finding_id, subject, feature, *times, *numbers, *groups, moved)

    @property
    def most(self) -> int:
        """The group that there is so much more of."""
        gains = [seen - expected for seen, expected in zip(self.seen, self.expected, strict=True)]
        return max(range(len(gains)), key=gains.__getitem__)

    def told(self) -> str:
        """In half a sentence: what there is more of now."""
        most = self.most
        return (
            f"{self.title} (PSI {self.psi:.2f} above what is usual; {self.labels[most]}: "
            f"{self.seen[most]:.0%} of {self.size}, usually {self.expected[most]:.0%})"
        )

    def in_words(self) -> str:
        """The same for who does not know PSI, and knows which measure it is about."""
        most, at = self.most, "at " if feature(self.feature).edges else ""
        return (
            f"{100 * self.seen[most]:.0f} % of {self.size} {counted(self.feature)} are {at}“{self.labels[most]}”; "
            f"usually {100 * self.expected[most]:.0f} %."
        )


#: As long as a window lasts at most: hours further apart are no line in a plot.
JOINED: Final = timedelta(days=1)


@dataclass(slots=True)
class Hour:
    """All windows of a subject that began in the same hour."""

    at: datetime
    images: int = 0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    scores: dict[str, Level] = field(default_factory=dict)


@dataclass(slots=True)
class Window:
    """The one that goes on."""

    began_at: datetime | None = None
    at: datetime | None = None
    first: int = 0  #: sequence numbers of its images
    last: int = 0
    images: int = 0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Learning:
    """How far the reference of a part is."""

    frozen_at: datetime | None = None
    since: datetime | None = None
    images: int = 0
    windows: int = 0
    of: str | None = None  #: the model, or the size of its input; None: of whatever
    strangers: int = 0  #: images in a row that are of something else
    stranger: str | None = None

    def share(self, limits: DriftLimits, now: datetime) -> float:
        """How much of what a reference needs is there, 0 to 1: of its days, images and windows the scarcest."""
        if self.frozen_at is not None:
            return 1.0
        lasted = (now - self.since).total_seconds() if self.since else 0.0
        there = (
            (lasted, limits.learn_s), (self.images, limits.learn_images), (self.windows, limits.learn_windows),
        )  # fmt: skip
        return min(1.0, *(max(have, 0.0) / need for have, need in there if need))


class Standing(StrEnum):
    """Whether something is what it was."""

    LEARNING = "learning"  #: nothing is compared yet
    USUAL = "usual"
    DRIFTS = "drifts"


@dataclass(slots=True)
class Drift:
    """What is known of one subject. This module changes it in place."""

    window: Window = field(default_factory=Window)
    parts: dict[str, Learning] = field(default_factory=dict)
    recent: dict[str, list[bool]] = field(default_factory=dict)  #: whether the last windows stood out
    holds: dict[str, str] = field(default_factory=dict)  #: features that drift now, with the id of the finding
    calm: dict[str, int] = field(default_factory=dict)
    scores: dict[str, Level] = field(default_factory=dict)

    @property
    def standing(self) -> Standing:
        """Where only one part is compared yet, it is as usual as far as anybody can say."""
        if self.holds:
            return Standing.DRIFTS
        compared = any(part.frozen_at is not None for part in self.parts.values())
        return Standing.USUAL if compared else Standing.LEARNING

    def to_json(self) -> dict[str, Any]:
        """Reversible."""
        raw = asdict(self)
        for moments in (raw["window"], *raw["parts"].values()):
            for name in ("began_at", "at", "frozen_at", "since"):
                if moments.get(name):
                    moments[name] = moments[name].isoformat()
        return raw

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Reverses `to_json`; entries of a newer release are left alone."""
        known = {name: value for name, value in raw.items() if name in cls.__slots__}
        parts = {name: Learning(**_moments(one)) for name, one in raw["parts"].items()}
        scores = {name: Level(*level) for name, level in raw["scores"].items()}
        return cls(**known | {"window": Window(**_moments(raw["window"])), "parts": parts, "scores": scores})


class Shelf(Protocol):
    """Where what was learnt is kept, in the transaction that also keeps the place to go on from."""

    def drift(self, subject: Subject) -> Drift:
        """A new one for who is unknown. What is changed in it is kept."""
        ...

    def subjects(self) -> int:
        """How many there are."""
        ...

    def add_block(self, subject: Subject, part: Part, block: Block) -> None:
        """Keeps a window to learn from."""
        ...

    def blocks(self, subject: Subject, part: Part) -> list[Block]:
        """All that are kept."""
        ...

    def reference(self, subject: Subject, part: Part) -> Reference | None:
        """The frozen one."""
        ...

    def freeze(self, subject: Subject, part: Part, reference: Reference | None) -> None:
        """Instead of what is there; the blocks go. None: to be learnt anew."""
        ...

    def add_hour(self, subject: Subject, window: Window, scores: Sequence[Score]) -> None:
        """Adds a window to its hour."""
        ...

    def again(self, subject: Subject, window: Window) -> list[Seen]:
        """Up to some thousand of the images of a window, the newest first."""
        ...

    def begin(self, finding: Finding) -> None:
        """Keeps it."""
        ...

    def end(self, finding_id: UUID, at: datetime) -> None:
        """It does not hold any more."""
        ...


@dataclass(frozen=True, slots=True)
class DriftChange:
    """Findings of one subject began, or the last of them ended."""

    subject: Subject
    began: tuple[Finding, ...]
    ended: tuple[str, ...]  #: features
    well: bool  #: nothing drifts any more


def _moments(raw: Mapping[str, Any]) -> dict[str, Any]:
    names = ("began_at", "at", "frozen_at", "since")
    return {name: datetime.fromisoformat(value) if name in names and value else value for name, value in raw.items()}
