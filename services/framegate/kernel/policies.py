"""What is said about a policy before it is applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from framegate.kernel.errors import ConfigurationError

#: The document itself, or the YAML that it is written in.
PolicySource = Mapping[str, Any] | str
#: How a source is called that is no file.
UNNAMED: Final = "policy"


@dataclass(frozen=True, slots=True)
class PolicyFault:
    """What is wrong with one entry, and what to do."""

    path: str  #: such as `classes.hole.fail`; empty: the document as a whole
    detail: str
    line: int | None = None  #: of the YAML, from 1
    column: int | None = None


class PolicyRefused(ConfigurationError):
    """The policy cannot be applied; the message has a line for each reason."""

    def __init__(self, message: str, faults: Sequence[PolicyFault] = ()) -> None:
        """Without `faults` the message is the only one."""
        super().__init__(message)
        self.faults = tuple(faults) or (PolicyFault("", message),)


class EverythingForPeople(PolicyRefused):
    """The policy would send all images, or nearly all, to people."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is different in one entry. `before` and `after` are JSON, empty where the entry is not there."""

    entry: str
    before: str
    after: str

    def __str__(self) -> str:
        if not self.before:
            return f"{self.entry}: new, {self.after}"
        if not self.after:
            return f"{self.entry}: gone, was {self.before}"
        return f"{self.entry}: {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """What came of looking at a policy."""

    base: int | None  #: the version that holds, which it was compared with
    faults: Sequence[PolicyFault]  #: empty: it can be applied
    changes: Sequence[Change] = ()  #: against `base`
    notes: Sequence[str] = ()
    everything: str | None = None  #: why people would have to look at everything


@dataclass(frozen=True, slots=True)
class PolicyTrial:
    """What a policy would have decided about stored images. `ends` are by verdict, or by state without one."""

    base: int | None
    images: int
    oldest_s: float  #: how long ago the oldest of them was received
    decided: Mapping[str, int]  #: how they ended in truth
    ends: Mapping[str, int]  #: how they would end
    flips: Mapping[tuple[str, str], int]
    changed: Sequence[tuple[str, str, str]]  #: (image, was, would be), newest first, only some
    left_out: Mapping[str, int]  #: images that cannot be decided again, by the reason
    cut: bool  #: there are more images than were looked at


@dataclass(frozen=True, slots=True)
class ClassRule:
    """What detections of one class do; see the policy's thresholds. `name` is empty for every other class."""

    name: str
    review: float | None
    fail: float | None


@dataclass(frozen=True, slots=True)
class RulesInWords:
    """Rules for people who read no YAML: the thresholds, and (topic, sentence) for everything else."""

    classes: Sequence[ClassRule]
    sentences: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PolicyInWords:
    """`cameras`: what is otherwise there."""

    everywhere: RulesInWords
    cameras: Mapping[str, RulesInWords]
