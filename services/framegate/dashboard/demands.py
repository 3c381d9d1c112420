"""What a stored policy demanded of a camera's images, to be told; the gate applies it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from framegate.kernel.ids import CameraId

_QUALITY: Final = ("too-dark", "too-bright", "blurred", "flat", "noise", "small")


@dataclass(frozen=True, slots=True)
class Limits:
    """Confidences from which people decide, and from which it fails; None: never."""

    review: float | None = None
    fail: float | None = None

    @property
    def matter(self) -> bool:
        """Whether a detection of the class can count against an image at all."""
        return self.review is not None or self.fail is not None

    @property
    def least(self) -> float:
        """The confidence from which a detection counts; above all of them where none does."""
        return min((limit for limit in (self.review, self.fail) if limit is not None), default=math.inf) or 1e-9

    def verdict(self, confidence: float) -> str:
        """fail, review, or nothing where a detection of this confidence does not count."""
        if self.fail is not None and confidence >= self.fail:
            return "fail"
        return "review" if self.review is not None and confidence >= self.review else ""


@dataclass(frozen=True, slots=True)
class Demands:
    """Without a policy: nothing is known, and nothing counts."""

    classes: Mapping[str, Limits] = field(default_factory=dict)
    otherwise: Limits = Limits()
    require: tuple[str, ...] = ()
    require_confidence: float = 0.25
    quality: frozenset[str] = frozenset()  #: flags that make a pass a review

    def of(self, name: str) -> Limits:
        """Those of the class, or the ones for every other class."""
        return self.classes.get(name, self.otherwise)


def demands_of(document: Mapping[str, Any], camera: CameraId) -> Demands:
    """A camera's entry replaces single entries of the general one. The document was checked when it was applied."""
    parts = (document, document.get("cameras", {}).get(camera, {}))
    classes: dict[str, Limits] = {}
    otherwise, require, confidence, quality = Limits(), (), 0.25, set(_QUALITY)
    for part in parts:
        classes |= {name: _limits(each) for name, each in part.get("classes", {}).items()}
        otherwise = _limits(part["otherwise"]) if "otherwise" in part else otherwise
        require = tuple(sorted(part.get("require", require)))
        confidence = part.get("require_confidence", confidence)
        if "doubtful_quality" in part:
            quality = set(part["doubtful_quality"])
        said = part.get("quality", {})
        quality = (quality - said.keys()) | {name for name, what in said.items() if what == "review"}
    return Demands(classes, otherwise, require, confidence, frozenset(quality))


def _limits(raw: Mapping[str, Any]) -> Limits:
    return Limits(raw.get("review"), raw.get("fail"))
